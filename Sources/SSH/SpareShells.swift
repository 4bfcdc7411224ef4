// SPDX-License-Identifier: Apache-2.0

import CLibSSH2

/// Shells on a session that were started ahead of their scripts, and wait for them.
///
/// Of the 75 ms that a command costs over an open connection, nearly all is the start of its shell: sshd's fork, the
/// login shell, `sudo` with its PAM session. While a command runs, the shell of the next one is started beside it, so that
/// steps that follow one another closely do not wait for that. One shell runs one script, as without them; a shell that
/// gets none sees the end of its input with the connection's end, and ends.
///
/// Not `Sendable`: belongs to its session's actor, and is used inside its gate only.
final class SpareShells {
    /// A shell, and whose it is.
    struct Waiting {
        var elevation: Elevation?
        var channel: ChannelHandle
        var shell: FramedShell
        var asked: ContinuousClock.Instant
    }

    /// How long a command takes during which a second shell is started.
    ///
    /// Steps come as stop, swap and start, of which the second may be over before the next shell is up; steps that are
    /// all short have no use for it, and it takes them the processor.
    static let longCommand = Duration.milliseconds(30)

    /// Whom a script has run as on this session, so that starting a shell is known to work.
    private var proven: Set<Elevation?> = []
    private var ready: [Waiting] = []
    private var beginning: Waiting?
    /// Whether a channel was asked for and not yet given: libssh2 goes on with that asking, whoever asks next.
    private var isOpening = false
    /// The server gives as many channels as it wants (`MaxSessions`).
    private var isAllowed = true

    /// Notes that a script of this user has begun.
    func note(begunAs elevation: Elevation?) { proven.insert(elevation) }

    /// Whether a script of this user has begun.
    func isProven(_ elevation: Elevation?) -> Bool { proven.contains(elevation) }

    /// Takes out those that were asked for before; they are to be closed.
    func takeOlder(than limit: ContinuousClock.Instant) -> [ChannelHandle] {
        defer { ready.removeAll { $0.asked < limit } }
        return ready.filter { $0.asked < limit }.map(\.channel)
    }

    /// Takes a shell of the user out; it may have ended in the meantime.
    func take(for elevation: Elevation?) -> Waiting? {
        ready.firstIndex { $0.elevation == elevation }.map { ready.remove(at: $0) }
    }

    /// Leaves a channel that was asked for and not yet given to whoever asks next; whether there is one.
    func takeOpening() -> Bool {
        defer { isOpening = false }
        return isOpening
    }

    /// Gives all up; what is returned is to be closed.
    func giveUp() -> [ChannelHandle] {
        defer {
            isAllowed = false
            ready = []
            beginning = nil
        }
        return (ready + (beginning.map { [$0] } ?? [])).map(\.channel)
    }

    /// Does as much for the next shell as can be done without waiting.
    ///
    /// None is started where a program may ask first: nobody would answer before the shell is needed.
    ///
    /// - Parameters:
    ///   - elevation: whose shell it is to be.
    ///   - session: where.
    ///   - time: how long the command runs already.
    /// - Returns: whether anything moved.
    func grow(for elevation: Elevation?, on session: SessionHandle, after time: Duration) -> Attempt<Int> {
        let limit = time < Self.longCommand ? 1 : 2
        guard isAllowed, proven.contains(elevation), elevation?.mayAsk != true, beginning != nil || ready.count < limit
        else { return .done(0) }
        var moved = 0
        if beginning == nil {
            isOpening = true
            switch session.openChannel() {
            case .done(let channel):
                isOpening = false
                moved = 1
                beginning = Waiting(
                    elevation: elevation,
                    channel: channel,
                    shell: FramedShell(CommandFrame(waitingAs: elevation)),
                    asked: .now
                )
            case .again(let interest): return .again(interest)
            case .failed(let failure):
                isOpening = false
                return refused(failure, LIBSSH2_ERROR_CHANNEL_FAILURE)
            }
        }
        guard let next = beginning else { return .done(moved) }
        switch next.shell.send(on: next.channel) {
        case .done:
            ready.append(next)
            beginning = nil
            return .done(1)
        case .again(let interest): return interest.contains(.write) || moved == 0 ? .again(interest) : .done(moved)
        case .failed(let failure): return refused(failure, LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED)
        }
    }

    /// A server that gives no further channel has not failed the command that runs.
    private func refused(_ failure: SSHFailure, _ expected: Int32) -> Attempt<Int> {
        guard failure.kind == .libssh2(expected) else { return .failed(failure) }
        isAllowed = false
        beginning = nil
        return .done(0)
    }
}
