// SPDX-License-Identifier: Apache-2.0

import Fleet
import Remote

extension SSHConnection {
    /// How a shell of the user is come by; nil for the login user.
    func elevation(to user: String?) -> Elevation? {
        guard let user else { return nil }
        let become = endpoint.become
        return Elevation(
            user: user,
            method: become.method,
            program: become.program ?? become.method.rawValue,
            hasPassword: become.password != nil && !becomeWays.unasked.contains(user),
            onTerminal: becomeWays.onTerminal.contains(user)
        )
    }

    /// Whether there is another way than the refused one, which the next try takes.
    func adapt(to refusal: BecomeRefusal) -> Bool { becomeWays.learn(from: refusal) }

    /// Notes that a script has begun.
    func noteBegun(_ transfer: ChannelTransfer) {
        spares.note(begunAs: transfer.elevation)
        if let elevation = transfer.elevation {
            becomeWays.note(elevation, wasAsked: transfer.dialogue.questions > 0)
        }
    }

    /// When a script that is kept back is no longer waited for; nil once it was sent.
    ///
    /// What looks like a question that nobody can answer is not waited for as long as silence is.
    func start(
        of transfer: ChannelTransfer,
        begun started: ContinuousClock.Instant
    ) -> ContinuousClock.Instant? {
        guard transfer.isHeldBack else { return nil }
        let limit = started + limits.shellStart
        return transfer.dialogue.oddQuestion == nil ? limit : min(limit, transfer.lastHeard + limits.question)
    }

    // MARK: - Words

    func error(_ refusal: BecomeRefusal, _ request: ChannelRequest) -> RemoteError {
        error(
            .become,
            "\(request.label): \(refusal.summary(login: endpoint.user))",
            remedy: refusal.remedy(login: endpoint.user)
        )
    }

    /// The login shell came to its end and the script's shell never began: nobody was become, or there is no shell.
    func refusal(
        _ transfer: ChannelTransfer,
        _ code: Int,
        _ request: ChannelRequest
    ) throws(RemoteError) -> BecomeRefusal {
        let said = transfer.lastWords
        if code == CommandFrame.cutShortExitCode, transfer.isScriptInInput, !transfer.isHeldBack {
            throw error(
                .unreachable,
                "\(request.label): the shell did not get its script: \(said)",
                remedy: "nothing was begun; check that the node has `dd`, and try again"
            )
        }
        guard let elevation = transfer.elevation else {
            throw error(
                .unreachable,
                "\(request.label): /bin/sh did not start: \(said.isEmpty ? "exit code \(code)" : said)",
                remedy: "nothing was begun"
            )
        }
        return BecomeRefusal(elevation, said: said, exitCode: code, transfer.dialogue)
    }

    /// The channel came to its end before there was any shell.
    func noShell(_ transfer: ChannelTransfer, _ end: String, _ request: ChannelRequest) -> RemoteError {
        let said = transfer.lastWords
        let word = said.isEmpty ? "" : "; the node said: \(said)"
        // sshd's own words (do_pwchange in its session.c).
        if said.contains("Password change required but no TTY available") {
            return error(
                .authentication,
                "\(request.label): the password of \(endpoint.user) has expired, and the node runs nothing until it is "
                    + "changed\(word)",
                remedy: "nothing was begun; change the password: log in by hand with `ssh \(endpoint.user)@"
                    + "\(endpoint.address)`, or `passwd \(endpoint.user)` as root on the node (chage -l tells its age)"
            )
        }
        return error(
            .shell,
            "\(request.label): the login shell of \(endpoint.user) does not run commands (\(end))\(word)",
            remedy: "nothing was begun; let no start-up file end the shell (~/.bashrc, ~/.profile, /etc/profile), give "
                + "\(endpoint.user) a shell that runs commands (chsh), and a key without `command=` or ForceCommand, or "
                + "name another ansible_user"
        )
    }

    /// Nobody was there for the script in time.
    func notStarted(_ transfer: ChannelTransfer, after time: Duration, _ request: ChannelRequest) -> RemoteError {
        let said = transfer.lastWords
        if transfer.isShellUp, let elevation = transfer.elevation {
            return error(BecomeRefusal(elevation, said: said, after: time, transfer.dialogue), request)
        }
        let words = said.isEmpty ? "said nothing" : "did not begin a shell; it said: \(said)"
        return error(
            .shell,
            "\(request.label): the login shell of \(endpoint.user) \(words), for \(time.inWords)",
            remedy: "nothing was begun; its start-up files may be waiting for something: log in by hand with "
                + "`ssh \(endpoint.user)@\(endpoint.address) true`, and let them ask and print in interactive shells only"
        )
    }
}
