// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation

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

    /// Which kinds of addresses of a name are connected to.
    package enum AddressFamily: Sendable {
        case any
        case inet
        case inet6
    }

    /// A way to prove who the login user is.
    package enum AuthenticationMethod: String, Sendable, CaseIterable {
        case publicKey = "publickey"
        /// Questions of the server, one of which may be for the password.
        case keyboardInteractive = "keyboard-interactive"
        case password
    }

    /// The algorithms that may be used, in the order of preference; nil for those that libssh2 prefers.
    package struct Algorithms: Sendable, Equatable {
        package var ciphers: [String]?
        package var macs: [String]?
        package var keyExchange: [String]?
        package var hostKeys: [String]?
        /// Whether those of the keys on record come before the others of ``hostKeys``; without a list they always do.
        package var prefersRecordedHostKeys = false

        package init() {}

        subscript(_ kind: AlgorithmKind) -> [String]? {
            switch kind {
            case .keyExchange: keyExchange
            case .hostKey: hostKeys
            case .cipher: ciphers
            case .mac: macs
            }
        }
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
    /// None: the usual ones in `~/.ssh`, unless ``triesUsualKeys`` is off.
    package var privateKeyFiles: [String]
    package var triesUsualKeys = true
    /// Whether the agent may sign with the keys of these files only.
    package var identitiesOnly = false
    /// Certificates of these keys, besides those that lie next to a key as `KEY-cert.pub`.
    package var certificateFiles: [String] = []
    /// In the order in which they are tried.
    package var methods = AuthenticationMethod.allCases
    /// The login user's password; nil where nobody gave one.
    package var password: Secret?
    /// What opens the private keys that need it.
    package var keyPassphrase: Secret?
    /// The same for one key each, by its path here; they win.
    package var keyPassphrases: [String: Secret] = [:]
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
    /// The name under which the host's key is on record, if not its own.
    package var hostKeyAlias: String?
    /// Whether the names of new hosts are written down hashed.
    package var hashesNewNames = false
    package var algorithms = Algorithms()
    package var addressFamily = AddressFamily.any
    /// A command of the shell over whose stdin and stdout the host is reached, in the place of TCP.
    package var proxyCommand: String?
    /// How often a silent peer is asked for a sign of life; nil for what ``SSHLimits`` say.
    package var serverAliveInterval: Duration?
    /// How many times it may leave that unanswered.
    package var serverAliveCountMax = 3
    /// For name lookup, TCP and the SSH handshake together.
    package var connectTimeout: Duration
    /// Whom commands run as, if not the login user.
    package var becomeUser: String?
    /// By what they come to run as somebody else, and with which password.
    package var become = BecomeSettings()

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

    /// Where the agent's socket is; empty where there is none.
    var agentPath: String { agentSocket ?? ProcessInfo.processInfo.environment["SSH_AUTH_SOCK"] ?? "" }

    /// What opens the key of a file, if anybody said it.
    func passphrase(of file: PrivateKeyFile) -> Secret? {
        keyPassphrases.first { KnownHosts.expand($0.key) == file.path }?.value ?? keyPassphrase
    }

    /// `user@address:port`.
    var seat: String { "\(user)@\(address.contains(":") ? "[\(address)]" : address):\(port)" }

    /// Where it is and how it is come by, as messages name it.
    var place: String { seat + (proxyCommand.map { " through `\($0)`" } ?? "") }
}
