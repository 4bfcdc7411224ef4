// SPDX-License-Identifier: Apache-2.0

/// The bounds of everything that could otherwise take for ever.
package struct SSHLimits: Sendable {
    /// All authentication attempts together; a peer that goes silent meanwhile is noticed by this alone.
    package var authentication: Duration = .seconds(25)
    /// From asking for a channel to having it.
    ///
    /// An open channel proves that the connection lives.
    package var channelOpen: Duration = .seconds(10)
    /// From asking for a command to having its shell, where the script is kept back until then: login shells with their
    /// start-up files, and programs that check a password.
    package var shellStart: Duration = .seconds(30)
    /// How long a line that looks like a question may stand unfinished before it is taken for one.
    package var question: Duration = .seconds(3)
    /// One answer of the agent, which may ask a human first.
    package var agent: Duration = .seconds(20)
    /// Keys of the agent that are tried.
    ///
    /// sshd allows six tries by default (`MaxAuthTries`).
    package var agentKeys = 5
    /// Saying goodbye.
    package var close: Duration = .seconds(2)
    /// A peer that says nothing for this long, although asked to answer, is given up.
    package var silence: Duration = .seconds(25)
    /// How often it is asked; nil for a third of that.
    package var aliveInterval: Duration?
    /// How long a shell that was started ahead of its script is of use.
    ///
    /// A server may close sessions that are idle (`ChannelTimeout`), and a script that is sent in that very moment is in doubt;
    /// nobody sets that time as short as this.
    package var spareShell: Duration = .seconds(20)
    /// Standard output and standard error of one command together, where they are kept in memory.
    package var outputBytes = 256 << 20

    package init() {}

    /// How often a peer is asked for a sign of life while a command runs.
    ///
    /// libssh2 asks every 2 s at most.
    var keepaliveInterval: Duration { max(.seconds(2), aliveInterval ?? silence / 3) }

    /// These, with what the endpoint says of signs of life.
    ///
    /// A peer is given a few seconds at least, whatever the configuration says: a command whose connection is given up
    /// is in doubt.
    func with(_ endpoint: SSHEndpoint) -> SSHLimits {
        guard let interval = endpoint.serverAliveInterval else { return self }
        var limits = self
        limits.aliveInterval = interval
        limits.silence = max(.seconds(4), interval * max(1, endpoint.serverAliveCountMax))
        return limits
    }
}
