// SPDX-License-Identifier: Apache-2.0

import CLibSSH2

/// A `LIBSSH2_CHANNEL`.
///
/// Keeps its session alive; a channel that was not freed is freed with the session.
final class ChannelHandle {
    /// Which of a channel's two ways out is read.
    enum Stream: Int32 {
        case standardOutput = 0
        case standardError = 1
    }

    private let session: SessionHandle
    private var channel: OpaquePointer?

    init(_ channel: OpaquePointer, of session: SessionHandle) {
        self.channel = channel
        self.session = session
    }

    /// Asks the server to run the command.
    ///
    /// The bytes must stay where they are until the attempt is done.
    func execute(_ command: UnsafeBufferPointer<CChar>) -> Attempt<Void> {
        guard let channel else { return closed() }
        let request = "exec"
        return session.attempt(
            libssh2_channel_process_startup(
                channel,
                request,
                UInt32(request.utf8.count),
                command.baseAddress,
                UInt32(command.count)
            )
        )
    }

    /// Bytes taken; libssh2 takes a packet's worth at most.
    func write(_ bytes: UnsafeRawBufferPointer) -> Attempt<Int> {
        guard let channel else { return closed() }
        let count = libssh2_channel_write_ex(channel, 0, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
        return count < 0 ? session.failure(Int32(count)) : .done(count)
    }

    /// How many bytes of standard input the server has room for, as far as it has said so.
    var window: Int { channel.map { Int(libssh2_channel_window_write_ex($0, nil)) } ?? 0 }

    func sendEOF() -> Attempt<Void> {
        guard let channel else { return closed() }
        return session.attempt(libssh2_channel_send_eof(channel))
    }

    /// Bytes read; 0 at the end of the stream.
    func read(_ stream: Stream, into buffer: UnsafeMutableRawBufferPointer) -> Attempt<Int> {
        guard let channel else { return closed() }
        let count = libssh2_channel_read_ex(
            channel,
            stream.rawValue,
            buffer.bindMemory(to: CChar.self).baseAddress,
            buffer.count
        )
        return count < 0 ? session.failure(Int32(count)) : .done(count)
    }

    /// Whether the server said that nothing more comes, and all of it was read.
    var isAtEnd: Bool { channel.map { libssh2_channel_eof($0) != 0 } ?? true }

    /// Whether something for it has been received that was not read: data, or the end of it.
    ///
    /// Each call on a session receives for all of its channels, so the socket alone does not tell.
    var hasNews: Bool {
        guard let channel else { return false }
        var unread: UInt = 0
        _ = libssh2_channel_window_read_ex(channel, &unread, nil)
        return unread > 0 || isAtEnd
    }

    /// What the server said about the command's end.
    ///
    /// For messages only: up to libssh2 1.11 an exit status of 0 is also reported for a command that was killed or
    /// whose channel was cut (libssh2 issues 2515 and 2516).
    var endForMessages: String {
        guard let channel else { return "channel closed" }
        return exitSignal.map { "signal \($0)" } ?? "exit status \(libssh2_channel_get_exit_status(channel))"
    }

    /// The signal that ended the command's shell, as far as the server has said so (RFC 4254, 6.10).
    ///
    /// It is said when the shell ends, also where others hold its streams open.
    var exitSignal: String? {
        guard let channel else { return nil }
        var signal: UnsafeMutablePointer<CChar>?
        var length = 0
        _ = libssh2_channel_get_exit_signal(channel, &signal, &length, nil, nil, nil, nil)
        guard let signal else { return nil }
        defer { session.release(signal) }
        return String(cString: signal)
    }

    /// Waits for the server to close the channel, behind the end of its streams.
    ///
    /// What it says of the command's end comes before that, and may come after the streams have ended.
    func awaitClose() -> Attempt<Void> {
        guard let channel, isAtEnd else { return .done(()) }
        return session.attempt(libssh2_channel_wait_closed(channel))
    }

    /// Closes and frees the channel; done when the server has closed it too.
    func free() -> Attempt<Void> {
        guard let channel else { return .done(()) }
        let result = session.attempt(libssh2_channel_free(channel))
        if case .again = result { return result }
        self.channel = nil
        return .done(())
    }

    private func closed<T>() -> Attempt<T> {
        .failed(SSHFailure(kind: .libssh2(LIBSSH2_ERROR_CHANNEL_CLOSED), message: "the channel is closed"))
    }
}
