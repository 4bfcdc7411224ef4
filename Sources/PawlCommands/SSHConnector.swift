// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Remote
import SSH

/// From the connection settings of the inventory and the SSH configuration to a way over SSH.
struct SSHConnector: Sendable {
    /// How long a host may take to answer where nobody says it.
    static let connectTimeout = Duration.seconds(10)

    let configuration: SSHConfig
    private let passphrases = AskedPassphrases()

    init(configuration: SSHConfig) { self.configuration = configuration }

    /// Asks for no further passphrase.
    func endQuestions() { passphrases.end() }

    func host(_ connection: ConnectionSettings) -> any RemoteHost {
        do throws(DiagnosticsError) {
            let settings = try configuration.settings(for: connection)
            var endpoint = Self.endpoint(connection.name, settings)
            endpoint.become = connection.become
            endpoint.password = connection.password
            endpoint.keyPassphrase = connection.keyPassphrase
            if connection.keyPassphrase == nil { endpoint.keyPassphrases = passphrases.asked(for: endpoint) }
            return Self.host(endpoint)
        } catch {
            return UnusableHost(
                error: RemoteError(
                    .unreachable,
                    host: connection.name,
                    "what the inventory and the SSH configuration say of the way to this host is wrong: \(error)",
                    remedy: "nothing was begun; `pawl ssh-config -i INVENTORY \(connection.name)` tells the same"
                )
            )
        }
    }

    private static func host(_ endpoint: SSHEndpoint) -> any RemoteHost {
        do throws(RemoteError) {
            return try SSHHost(endpoint)
        } catch {
            return UnusableHost(error: error)
        }
    }

    /// The endpoint that the settings describe.
    static func endpoint(_ name: String, _ settings: SSHConfigSettings) -> SSHEndpoint {
        let agent = agent(settings.agent)
        // New keys go to the first file, which must never be one of the system's.
        let users = settings.userKnownHostsFiles.isEmpty ? ["/dev/null"] : settings.userKnownHostsFiles
        var endpoint = SSHEndpoint(
            name: name,
            address: settings.hostName,
            port: settings.port,
            user: settings.user,
            privateKeyFiles: settings.identityFiles ?? [],
            useAgent: settings.agent != .none,
            agentSocket: agent,
            knownHostsFiles: users + settings.globalKnownHostsFiles,
            hostKeyPolicy: policy(settings.hostKeyPolicy),
            connectTimeout: settings.connectTimeout.flatMap { $0 > .zero ? $0 : nil } ?? connectTimeout,
            // Who commands run as is the engine's choice, handle by handle.
            becomeUser: nil
        )
        endpoint.triesUsualKeys = settings.identityFiles == nil
        endpoint.identitiesOnly = settings.identitiesOnly
        endpoint.methods = settings.authentications.compactMap { SSHEndpoint.AuthenticationMethod(rawValue: $0) }
        endpoint.certificateFiles = settings.certificateFiles
        endpoint.hostKeyAlias = settings.hostKeyAlias
        endpoint.hashesNewNames = settings.hashKnownHosts
        endpoint.algorithms.ciphers = settings.ciphers
        endpoint.algorithms.macs = settings.macs
        endpoint.algorithms.keyExchange = settings.kexAlgorithms
        endpoint.algorithms.hostKeys = settings.hostKeyAlgorithms
        endpoint.algorithms.prefersRecordedHostKeys = settings.prefersRecordedHostKeys
        endpoint.addressFamily = family(settings.addressFamily)
        endpoint.proxyCommand = settings.proxyCommand
        endpoint.serverAliveInterval = settings.serverAliveInterval
        endpoint.serverAliveCountMax = settings.serverAliveCountMax
        return endpoint
    }

    private static func agent(_ agent: SSHConfigSettings.Agent) -> String? {
        if case .socket(let path) = agent { return path }
        return nil
    }

    private static func policy(_ policy: SSHConfigSettings.HostKeyPolicy) -> SSHEndpoint.HostKeyPolicy {
        switch policy {
        case .strict: .strict
        case .acceptNew: .acceptNew
        case .off: .off
        }
    }

    private static func family(_ family: SSHConfigSettings.AddressFamily) -> SSHEndpoint.AddressFamily {
        switch family {
        case .any: .any
        case .inet: .inet
        case .inet6: .inet6
        }
    }
}

/// A host that cannot be reached because this process cannot speak SSH at all; it says so at every command.
struct UnusableHost: RemoteHost {
    let error: RemoteError
    var name: String { error.host }

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult { throw error }
    func upload(_ transfer: FileTransfer) async throws(RemoteError) { throw error }
    func download(_ transfer: FileTransfer) async throws(RemoteError) { throw error }
    func elevated(as user: String) -> any RemoteHost { self }
    func close() async {}
}
