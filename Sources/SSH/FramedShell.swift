// SPDX-License-Identifier: Apache-2.0

import Fleet

/// One framed shell on a channel: how far the asking for it is, and what it said.
///
/// Not `Sendable`: belongs to one channel.
final class FramedShell {
    let frame: CommandFrame
    /// Whether the request is sent as a whole, so that other packets may follow.
    private(set) var isSent = false
    private(set) var isAnswered = false
    private(set) var standardOutput: MarkParser
    private(set) var standardError: MarkParser
    /// What is asked before the script begins.
    private(set) var dialogue: BecomeDialogue
    /// What is to be sent as an answer, where something was asked.
    private(set) var reply: BecomeDialogue.Reply?

    /// libssh2 wants the same bytes at the same place until the call is done.
    private let bytes: ContiguousArray<CChar>

    init(_ frame: CommandFrame, password: Secret? = nil) {
        self.frame = frame
        dialogue = BecomeDialogue(password: password)
        standardOutput = MarkParser(mark: frame.mark)
        standardError = MarkParser(mark: frame.mark)
        bytes = ContiguousArray(frame.request.utf8.map { CChar(bitPattern: $0) })
    }

    /// Whether the command's standard input may be sent: with a careful frame not before its shell is there, since a
    /// program that asks would take it for the answer.
    var takesInput: Bool { isSent && (!frame.isCareful || standardOutput.isReady) }

    /// Whether the script cannot have begun, because nothing of it was sent.
    var isHeldBack: Bool { frame.isCareful && !standardOutput.isReady }

    /// Notes how much of the answer was sent.
    func note(answered count: Int) {
        guard case .line(let bytes) = reply, count < bytes.count else {
            reply = nil
            return
        }
        reply = .line(Array(bytes.dropFirst(count)))
    }

    /// Does as much of the asking as can be done without waiting; the count says whether anything moved.
    func send(on channel: ChannelHandle) -> Attempt<Int> {
        guard !isAnswered else { return .done(0) }
        switch bytes.withUnsafeBufferPointer({ channel.execute($0) }) {
        case .done:
            isSent = true
            isAnswered = true
            return .done(1)
        case .again(let interest):
            if !interest.contains(.write) { isSent = true }
            return .again(interest)
        case .failed(let failure):
            return .failed(failure)
        }
    }

    /// Takes what a shell says that has no script yet, without waiting; whether it is still there.
    ///
    /// To be repeated as it is where it must wait to write.
    func hearWaiting(on channel: ChannelHandle, _ loop: SSHEventLoop) -> Attempt<Bool> {
        for stream in [ChannelHandle.Stream.standardOutput, .standardError] {
            reading: while true {
                let attempt = loop.withScratch { scratch in
                    let attempt = channel.read(stream, into: scratch)
                    if case .done(let count) = attempt {
                        hear(UnsafeRawBufferPointer(rebasing: scratch[..<count]), from: stream) { _ in }
                    }
                    return attempt
                }
                switch attempt {
                case .done(0): break reading
                case .done: continue
                case .again(let interest) where interest.contains(.write): return .again(interest)
                case .again: break reading
                case .failed(let failure): return .failed(failure)
                }
            }
        }
        return .done(!channel.isAtEnd && !standardOutput.isComplete && !standardError.isComplete)
    }

    /// Takes the marks out of what came; `emit` gets the bytes of the script.
    func hear(
        _ bytes: UnsafeRawBufferPointer,
        from stream: ChannelHandle.Stream,
        emit: (UnsafeRawBufferPointer) -> Void
    ) {
        switch stream {
        case .standardOutput: standardOutput.feed(bytes, emit: emit)
        case .standardError:
            standardError.feed(bytes, emit: emit)
            hearQuestion()
        }
    }

    /// Whoever elevates asks on standard error, behind the `shell` mark; what start-up files print is no question.
    private func hearQuestion() {
        guard frame.elevation?.mayAsk == true, isHeldBack, standardError.isShellUp, standardError.state == .before,
            !standardError.isReady, reply == nil
        else { return }
        reply = dialogue.hear(standardError.preface)
        if reply != nil { standardError.forgetPreface() }
    }
}
