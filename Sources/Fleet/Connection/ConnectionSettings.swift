// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How one host is reached and as whom, read from its variables as Ansible reads them.
package struct ConnectionSettings: Hashable, Sendable {
    /// What is done with a server's host key.
    package enum HostKeyPolicy: String, Sendable {
        /// Only a known key is accepted.
        case strict
        /// An unknown host's key is accepted and recorded; a changed one never is.
        case acceptNew
        /// Any key is accepted.
        case off
    }

    /// The name in the inventory.
    package var name: String
    /// Where it listens: a host name or an address.
    package var address: String
    package var port: Int
    package var user: String
    /// In the order in which they are tried, with `~` expanded.
    package var privateKeyFiles: [String]
    /// Whether keys of the agent are offered besides the files.
    package var useAgent: Bool
    package var knownHostsFiles: [String]
    package var hostKeyPolicy: HostKeyPolicy
    package var connectTimeout: Duration
    /// Whom commands run as; `nil` for the login user.
    package var becomeUser: String?

    package init(
        name: String,
        address: String,
        port: Int = 22,
        user: String,
        privateKeyFiles: [String] = [],
        useAgent: Bool = true,
        knownHostsFiles: [String],
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
        self.knownHostsFiles = knownHostsFiles
        self.hostKeyPolicy = hostKeyPolicy
        self.connectTimeout = connectTimeout
        self.becomeUser = becomeUser
    }

    /// Reads the settings from a host's variables.
    ///
    /// - Parameters:
    ///   - host: The host with its merged variables.
    ///   - resolve: Puts values in the place of the templates of a text. It is asked for texts that hold `{{` only, and
    ///     what it leaves unresolved is an error.
    /// - Throws: ``DiagnosticsError`` with everything that is wrong, at the places where the variables were set.
    package init(
        host: InventoryHost,
        resolve: (String) throws(DiagnosticsError) -> String = { text throws(DiagnosticsError) in text }
    ) throws(DiagnosticsError) {
        var reader = ConnectionVariables(host: host, resolve: resolve)
        reader.refuseOtherTransports()
        let options = reader.sshOptions()
        let keys = [reader.text("ansible_private_key_file", "ansible_ssh_private_key_file")].compactMap(\.self)
        let policy = reader.boolean("ansible_host_key_checking", "ansible_ssh_host_key_checking")
        let knownHosts = options.knownHostsFiles ?? ["~/.ssh/known_hosts"]
        self.init(
            name: host.name,
            address: reader.text("ansible_host", "ansible_ssh_host") ?? host.name,
            port: reader.port("ansible_port", "ansible_ssh_port") ?? 22,
            user: reader.text("ansible_user", "ansible_ssh_user") ?? Self.loginUser,
            privateKeyFiles: (keys + options.identityFiles).map(SourceFile.expanded),
            useAgent: options.useAgent ?? true,
            knownHostsFiles: (knownHosts + ["/etc/ssh/ssh_known_hosts"]).map(SourceFile.expanded),
            hostKeyPolicy: options.hostKeyPolicy ?? (policy == false ? .off : .strict),
            connectTimeout: options.connectTimeout ?? .seconds(10),
            becomeUser: reader.becomeUser()
        )
        if !reader.problems.isEmpty { throw DiagnosticsError(reader.problems) }
    }

    /// The account that runs pawl, which is whom `ssh` would log in as.
    private static var loginUser: String { NSUserName() }
}
