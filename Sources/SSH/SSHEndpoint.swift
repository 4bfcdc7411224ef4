// SPDX-License-Identifier: Apache-2.0

/// Where a node is and how to get in: what the inventory and `ssh_config` say about one host.
package struct SSHEndpoint: Sendable, Equatable {
    /// What to do with a host key that is not on record.
    package enum HostKeyPolicy: String, Sendable {
        /// Unknown and changed keys are refused.
        case strict
        /// An unknown key is written down and accepted; a changed one is refused.
        case acceptNew
        /// Any key is accepted, except a revoked one.
        case off
    }

    /// The name in the inventory.
    package var name: String
    /// The host name or address to connect to.
    package var address: String
    package var port: Int
    /// The login user.
    package var user: String
    /// Private keys in the order in which they are tried.
    ///
    /// None: the usual ones in `~/.ssh`.
    package var privateKeyFiles: [String]
    /// Whether the agent is asked.
    package var useAgent: Bool
    /// The agent's socket.
    ///
    /// None: the one at `SSH_AUTH_SOCK`.
    package var agentSocket: String?
    /// Where host keys are on record.
    ///
    /// None: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`.
    package var knownHostsFiles: [String]
    package var hostKeyPolicy: HostKeyPolicy
    /// For name lookup, TCP and the SSH handshake together.
    package var connectTimeout: Duration
    /// Whom commands run as, if not the login user.
    package var becomeUser: String?

    package init(
        name: String,
        address: String,
        port: Int = 22,
        user: String,
        privateKeyFiles: [String] = [],
        useAgent: Bool = true,
        agentSocket: String? = nil,
        knownHostsFiles: [String] = [],
        hostKeyPolicy: HostKeyPolicy = .strict,
        connectTimeout: Duration = .seconds(10),
        becomeUser: String? = nil
    ) {
        self.name = name
        self.address = address
        self.port = port
        self.user = user
        self.privateKeyFiles = privateKeyFiles
        self.useAgent = useAgent
        self.agentSocket = agentSocket
        self.knownHostsFiles = knownHostsFiles
        self.hostKeyPolicy = hostKeyPolicy
        self.connectTimeout = connectTimeout
        self.becomeUser = becomeUser
    }

    /// `user@address:port`, as messages name it.
    var place: String { "\(user)@\(address.contains(":") ? "[\(address)]" : address):\(port)" }
}
