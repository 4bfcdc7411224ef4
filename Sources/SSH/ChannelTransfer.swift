// SPDX-License-Identifier: Apache-2.0

import CLibSSH2

/// One command on its channel: how far its request and standard input are sent, and what was read of its streams.
///
/// Not `Sendable`: belongs to one running command.
final class ChannelTransfer {
    /// What can be done on the channel, in the order of preference.
    enum Step: CaseIterable {
        // What is read may be the word that there is room for more.
        case request, answer, standardOutput, standardError, input, endOfInput
    }

    let output: OutputWriter
    /// Whether the script goes over standard input.
    let isScriptInInput: Bool
    private(set) var errorBytes: [UInt8] = []
    /// When something came last, or it was begun.
    private(set) var lastHeard = ContinuousClock.now
    /// How far standard input is sent ahead of the server; known when there is a channel.
    var pace = InputPace(roundTrip: nil)
    /// How much of standard input is sent.
    private(set) var inputSent = 0

    /// When the server said that the command's shell was killed.
    private var killed: ContinuousClock.Instant?

    private let shell: FramedShell
    private let input: InputReader
    private let outputLimit: Int
    private let onOutput: (@Sendable ([UInt8]) -> Void)?
    private var isInputSent = false
    /// The server's window when no more input could be sent.
    private var fullWindow: Int?
    private var isEndOfInputSent = false
    private var isOutputAtEnd = false
    private var isErrorAtEnd = false

    init(
        _ shell: FramedShell,
        input: InputReader,
        isScriptInInput: Bool,
        output: OutputWriter,
        outputLimit: Int,
        onOutput: (@Sendable ([UInt8]) -> Void)? = nil
    ) {
        self.shell = shell
        self.isScriptInInput = isScriptInInput
        self.input = input
        self.output = output
        self.outputLimit = outputLimit
        self.onOutput = onOutput
    }

    private var standardOutput: MarkParser { shell.standardOutput }
    private var standardError: MarkParser { shell.standardError }

    /// How far the script came, as its marks tell.
    var state: MarkParser.State { standardOutput.state }

    /// Whether the server runs what it was asked to run.
    var isUnderWay: Bool { shell.isAnswered }

    /// What was asked before the script began.
    var dialogue: BecomeDialogue { shell.dialogue }

    /// How the shell came to be another user's.
    var elevation: Elevation? { shell.frame.elevation }

    /// Whether the script cannot have begun, because nothing of it was sent.
    var isHeldBack: Bool { shell.isHeldBack }

    /// Whether the login shell's start-up files are behind it.
    var isShellUp: Bool { shell.standardOutput.isShellUp }

    /// Whether the command's end was seen on both streams, or nothing more can come.
    var isOver: Bool {
        (standardOutput.isComplete && standardError.isComplete) || (isOutputAtEnd && isErrorAtEnd)
            || killEnd.map { .now >= $0 } ?? false
    }

    /// What a killed shell has said may come behind the word of its end, and the word behind what it said.
    static let killedPatience = Duration.milliseconds(500)

    /// Until when the streams of a shell are read that was killed, where others hold them open.
    var killEnd: ContinuousClock.Instant? { killed.map { $0 + Self.killedPatience } }

    /// Notes when the server says that the shell was killed.
    func heedKill(on channel: ChannelHandle) {
        if killed == nil, isUnderWay, channel.exitSignal != nil { killed = .now }
    }

    /// The last line that the node said outside of the script's own output, for messages.
    var lastWords: String {
        [standardError.preface, standardOutput.preface, Array(errorBytes.suffix(1024))]
            .map {
                String(decoding: $0, as: UTF8.self).split(whereSeparator: \.isNewline).suffix(3).joined(
                    separator: " / "
                )
            }
            .filter { !$0.isEmpty }
            .joined(separator: " / ")
    }

    /// Does as much of one step as can be done without waiting.
    ///
    /// The count says whether anything moved.
    func take(_ step: Step, on channel: ChannelHandle, _ loop: SSHEventLoop) throws(SSHFailure) -> Attempt<Int> {
        switch step {
        case .request: shell.send(on: channel)
        case .answer: answer(on: channel)
        case .input: try sendInput(on: channel)
        case .endOfInput: sendEndOfInput(on: channel)
        case .standardOutput: try read(.standardOutput, from: channel, loop)
        case .standardError: try read(.standardError, from: channel, loop)
        }
    }

    /// Says what whoever elevates has asked for.
    private func answer(on channel: ChannelHandle) -> Attempt<Int> {
        switch shell.reply {
        case nil: return .done(0)
        case .line(let bytes):
            let attempt = bytes.withUnsafeBytes { channel.write($0) }
            if case .done(let count) = attempt { shell.note(answered: count) }
            return attempt
        case .endOfInput:
            shell.note(answered: 0)
            isInputSent = true
            return .done(1)
        }
    }

    private func sendInput(on channel: ChannelHandle) throws(SSHFailure) -> Attempt<Int> {
        fullWindow = nil
        guard shell.takesInput, !isInputSent else { return .done(0) }
        var moved = 0
        // Bounded, so that reading gets its turn.
        for _ in 0..<16 {
            if try input.isAtEnd() {
                isInputSent = true
                return .done(moved + 1)
            }
            guard pace.allows(window: channel.window) else {
                fullWindow = channel.window
                return moved == 0 ? .again(.read) : .done(moved)
            }
            switch input.offer({ channel.write($0) }) {
            case .done(0): return .done(moved)
            case .done(let count):
                moved += count
                inputSent += count
            case .again(let interest):
                fullWindow = channel.window
                return interest.contains(.write) || moved == 0 ? .again(interest) : .done(moved)
            case .failed(let failure):
                // A command may end without reading all of its input; how it ended is told by its marks.
                guard Self.isClosedForInput(failure) else { return .failed(failure) }
                isInputSent = true
                isEndOfInputSent = true
                return .done(1)
            }
        }
        return .done(moved)
    }

    /// Whether the server has room again for input that could not be sent: another call may have received its word.
    func hasRoom(on channel: ChannelHandle) -> Bool { fullWindow.map { channel.window > $0 } ?? false }

    private static func isClosedForInput(_ failure: SSHFailure) -> Bool {
        failure.kind == .libssh2(LIBSSH2_ERROR_CHANNEL_CLOSED)
            || failure.kind == .libssh2(LIBSSH2_ERROR_CHANNEL_EOF_SENT)
    }

    private func sendEndOfInput(on channel: ChannelHandle) -> Attempt<Int> {
        guard isInputSent, !isEndOfInputSent else { return .done(0) }
        switch channel.sendEOF() {
        case .done:
            isEndOfInputSent = true
            return .done(1)
        case .again(let interest): return .again(interest)
        case .failed(let failure):
            guard Self.isClosedForInput(failure) else { return .failed(failure) }
            isEndOfInputSent = true
            return .done(1)
        }
    }

    private func read(
        _ stream: ChannelHandle.Stream,
        from channel: ChannelHandle,
        _ loop: SSHEventLoop
    ) throws(SSHFailure) -> Attempt<Int> {
        guard shell.isAnswered else { return .done(0) }
        let isStandardOutput = stream == .standardOutput
        if isStandardOutput ? isOutputAtEnd : isErrorAtEnd { return .done(0) }
        let attempt: Attempt<Int> = loop.withScratch { scratch in
            let attempt = channel.read(stream, into: scratch)
            if case .done(let count) = attempt, count > 0 {
                lastHeard = .now
                let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
                shell.hear(bytes, from: stream) {
                    if isStandardOutput {
                        output.take($0)
                        onOutput?(Array($0))
                    } else {
                        errorBytes += $0
                    }
                }
            }
            return attempt
        }
        if case .done(0) = attempt, channel.isAtEnd {
            if isStandardOutput { isOutputAtEnd = true } else { isErrorAtEnd = true }
            return .done(1)
        }
        if let failure = output.failure { throw failure }
        guard output.bytes.count + errorBytes.count <= outputLimit else {
            throw SSHFailure(kind: .local, message: "it printed more than \(outputLimit) bytes")
        }
        return attempt
    }
}
