// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Foundation
import Synchronization

/// What a non-blocking call of libssh2 came to.
enum Attempt<Value> {
    case done(Value)
    /// Nothing yet: wait for these and make the same call again.
    case again(SSHEventLoop.Interest)
    case failed(SSHFailure)
}

extension Attempt: Sendable where Value: Sendable {}

/// A `LIBSSH2_SESSION` and its socket, both released once, together.
///
/// Not `Sendable`: it stays inside the actor that made it, so that one thread at a time uses the session. Each method
/// makes one non-blocking call and reads the error in the same synchronous stretch, because the next call overwrites it.
final class SessionHandle {
    let descriptor: Int32
    /// The command over which the host is reached, where there is one; it ends with the session.
    let proxy: ProxyProcess?
    private let session: OpaquePointer

    /// How much a server may send before it is told that it was read.
    enum ReceiveWindow: UInt32 {
        /// `LIBSSH2_CHANNEL_WINDOW_DEFAULT`, a macro that Swift does not import.
        case ofCommand = 0x20_0000
        /// A link of 1 Gbit/s and a round trip of 60 ms holds as much.
        case ofFile = 0x80_0000
    }

    /// `libssh2_init` is not thread-safe and is needed once; a lazily initialised global gives both.
    private static let initStatus: Int32 = libssh2_init(0)

    /// Takes over the connected, non-blocking socket.
    init(socket: Int32, proxy: ProxyProcess? = nil) throws(SSHFailure) {
        guard Self.initStatus == 0 else {
            Glibc.close(socket)
            throw SSHFailure(kind: .libssh2(Self.initStatus), message: "libssh2 could not be initialised")
        }
        guard let session = libssh2_session_init_ex(nil, nil, nil, nil) else {
            Glibc.close(socket)
            throw SSHFailure(kind: .libssh2(LIBSSH2_ERROR_ALLOC), message: "no memory for a session")
        }
        descriptor = socket
        self.proxy = proxy
        self.session = session
        libssh2_session_set_blocking(session, 0)
        // The pace is set by the caller; libssh2 itself never sends more often than every 2 s.
        libssh2_keepalive_config(session, 1, 2)
    }

    deinit {
        // With the socket shut, what `libssh2_session_free` still wants to send fails at once instead of waiting.
        shutdown(descriptor, Int32(SHUT_RDWR))
        for _ in 0..<16 where libssh2_session_free(session) != LIBSSH2_ERROR_EAGAIN { break }
        close(descriptor)
    }

    /// The version of the library that is loaded, like `1.10.0`.
    static var libssh2Version: String { String(cString: libssh2_version(0)) }

    /// Whether RSA keys can be used with SHA-2, which current servers ask for (libssh2 1.11.0 release notes).
    static var signsRSAWithSHA2: Bool { isLibrary(atLeast: 0x010b00) }

    /// Whether the library that is loaded has at least this version, like `0x010b01` for 1.11.1.
    ///
    /// What it can do is decided by this while the program runs, not by the header that it was built with: the same
    /// program works with 1.10 and with 1.11.
    static func isLibrary(atLeast version: Int32) -> Bool { libssh2_version(version) != nil }

    // MARK: - Calls

    /// Sends our version, and takes nothing that the server may have said meanwhile; ``handshake()`` goes on from there.
    func beginHandshake() -> Attempt<Void> { attempt(pawl_session_begin_handshake(session, descriptor)) }

    func handshake() -> Attempt<Void> { attempt(libssh2_session_handshake(session, descriptor)) }

    func disconnect() -> Attempt<Void> {
        attempt(libssh2_session_disconnect_ex(session, SSH_DISCONNECT_BY_APPLICATION, "done", ""))
    }

    /// Sets the algorithms of one kind, in the order of preference.
    ///
    /// - Returns: whether the library knows any of them.
    func prefer(_ names: [String], of kind: AlgorithmKind) -> Bool {
        kind.methods.allSatisfy { libssh2_session_method_pref(session, $0, names.joined(separator: ",")) == 0 }
    }

    /// The names that the library can speak for one kind of method.
    func supportedMethods(_ kind: AlgorithmKind) -> [String] {
        var names: UnsafeMutablePointer<UnsafePointer<CChar>?>?
        let count = libssh2_session_supported_algs(session, kind.methods[0], &names)
        guard count > 0, let names else { return [] }
        defer { libssh2_free(session, names) }
        return (0..<Int(count)).compactMap { names[$0].map { String(cString: $0) } }
    }

    /// The public key that the server proved to own in the handshake.
    func hostKey() -> [UInt8]? {
        var length = 0
        var type: Int32 = 0
        guard let key = libssh2_session_hostkey(session, &length, &type), length > 0 else { return nil }
        return key.withMemoryRebound(to: UInt8.self, capacity: length) {
            Array(UnsafeBufferPointer(start: $0, count: length))
        }
    }

    /// What the server offers for this user, like `publickey,password`.
    func authenticationMethods(user: String) -> Attempt<String> {
        guard let list = libssh2_userauth_list(session, user, UInt32(user.utf8.count)) else {
            return failure(libssh2_session_last_errno(session))
        }
        return .done(String(cString: list))
    }

    /// Signs in with a key, or with a certificate of it, which is a public key file to the library.
    func authenticate(
        user: String,
        privateKeyFile: String,
        passphrase: String? = nil,
        certificate: String? = nil
    ) -> Attempt<Void> {
        let length = UInt32(user.utf8.count)
        return attempt(
            libssh2_userauth_publickey_fromfile_ex(session, user, length, certificate, privateKeyFile, passphrase)
        )
    }

    /// Signs in with a password; one that is to be changed is an error.
    func authenticate(user: String, password: String) -> Attempt<Void> {
        let (length, passwordLength) = (UInt32(user.utf8.count), UInt32(password.utf8.count))
        return attempt(libssh2_userauth_password_ex(session, user, length, password, passwordLength, nil))
    }

    /// Signs in by answering the server's questions.
    func authenticate(user: String, answers: PasswordAnswers) -> Attempt<Void> {
        let context = libssh2_session_abstract(session)
        context?.pointee = Unmanaged.passUnretained(answers).toOpaque()
        defer { context?.pointee = nil }
        return attempt(
            libssh2_userauth_keyboard_interactive_ex(
                session,
                user,
                UInt32(user.utf8.count),
                PasswordAnswers.callback
            )
        )
    }

    func authenticate(user: String, publicKey: [UInt8], signer: AgentSigner) -> Attempt<Void> {
        var context: UnsafeMutableRawPointer? = Unmanaged.passUnretained(signer).toOpaque()
        return withUnsafeMutablePointer(to: &context) { context in
            attempt(
                libssh2_userauth_publickey(session, user, publicKey, publicKey.count, AgentSigner.callback, context)
            )
        }
    }

    /// Asks the peer for a sign of life.
    ///
    /// Only while the socket takes data: a half-sent packet must be repeated by the call that began it.
    func sendKeepalive() -> Attempt<Void> {
        var next: Int32 = 0
        return attempt(libssh2_keepalive_send(session, &next))
    }

    /// Has the kernel acknowledge what came, and what comes next, without its usual wait for something to send along.
    ///
    /// sshd turns Nagle's algorithm off with the first command only (`ssh_packet_set_interactive` in its packet.c). Until
    /// then its second small packet in a row waits for our word on the first, which the kernel keeps back for 40 ms
    /// (tcp(7), `TCP_QUICKACK`; not permanent, so it is said at each wait).
    func acknowledge() {
        #if os(Linux)
        guard proxy == nil else { return }
        var value: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_QUICKACK, &value, socklen_t(MemoryLayout<Int32>.size))
        #endif
    }

    /// How long ago the kernel got the last data from the peer (tcp(7), `TCP_INFO`); nil where it does not tell.
    var sinceInbound: Duration? {
        #if os(Linux)
        connectionInfo.map { .milliseconds(Int($0.tcpi_last_data_recv)) }
        #else
        nil
        #endif
    }

    /// Whether, as far as the kernel knows, the peer has not hung up; what it said last may still be unread.
    var isConnected: Bool {
        #if os(Linux)
        connectionInfo.map { Int($0.tcpi_state) == Int(TCP_ESTABLISHED) } ?? false
        #else
        false
        #endif
    }

    /// Whether the peer has closed the TCP connection, whatever was received before; false where nobody knows.
    var isCut: Bool {
        #if os(Linux)
        connectionInfo.map { Int($0.tcpi_state) != Int(TCP_ESTABLISHED) } ?? false
        #else
        false
        #endif
    }

    #if os(Linux)
    private var connectionInfo: tcp_info? {
        var info = tcp_info()
        var size = socklen_t(MemoryLayout<tcp_info>.size)
        return getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &size) == 0 ? info : nil
    }
    #endif

    func openChannel(_ window: ReceiveWindow = .ofCommand) -> Attempt<ChannelHandle> {
        let kind = "session"
        guard
            let channel = libssh2_channel_open_ex(
                session,
                kind,
                UInt32(kind.utf8.count),
                window.rawValue,
                UInt32(LIBSSH2_CHANNEL_PACKET_DEFAULT),
                nil,
                0
            )
        else {
            return failure(libssh2_session_last_errno(session))
        }
        return .done(ChannelHandle(channel, of: self))
    }

    /// Gives back memory that libssh2 allocated for its caller.
    func release(_ memory: UnsafeMutableRawPointer) { libssh2_free(session, memory) }

    // MARK: - Errors

    /// Turns a return code into an attempt; must follow the call at once.
    func attempt(_ code: Int32) -> Attempt<Void> {
        code < 0 ? failure(code) : .done(())
    }

    func failure<T>(_ code: Int32) -> Attempt<T> {
        if code == LIBSSH2_ERROR_EAGAIN { return .again(blockedDirections) }
        var text: UnsafeMutablePointer<CChar>?
        var length: Int32 = 0
        _ = libssh2_session_last_error(session, &text, &length, 0)
        let message = text.map { String(cString: $0) } ?? ""
        return .failed(
            SSHFailure(kind: .libssh2(code), message: message.isEmpty ? "libssh2 error \(code)" : message)
        )
    }

    private var blockedDirections: SSHEventLoop.Interest {
        let directions = libssh2_session_block_directions(session)
        var interest: SSHEventLoop.Interest = []
        if directions & LIBSSH2_SESSION_BLOCK_INBOUND != 0 { interest.insert(.read) }
        if directions & LIBSSH2_SESSION_BLOCK_OUTBOUND != 0 { interest.insert(.write) }
        return interest.isEmpty ? .read : interest
    }
}
