// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Remote
import SSH

/// From the connection settings of the inventory to a way over SSH.
enum SSHConnector {
    static func host(_ settings: ConnectionSettings) -> any RemoteHost {
        let endpoint = SSHEndpoint(
            name: settings.name,
            address: settings.address,
            port: settings.port,
            user: settings.user,
            privateKeyFiles: settings.privateKeyFiles,
            useAgent: settings.useAgent,
            knownHostsFiles: settings.knownHostsFiles,
            hostKeyPolicy: policy(settings.hostKeyPolicy),
            connectTimeout: settings.connectTimeout,
            // Who commands run as is the engine's choice, handle by handle.
            becomeUser: nil
        )
        do throws(RemoteError) {
            return try SSHHost(endpoint)
        } catch {
            return UnusableHost(error: error)
        }
    }

    private static func policy(_ policy: ConnectionSettings.HostKeyPolicy) -> SSHEndpoint.HostKeyPolicy {
        switch policy {
        case .strict: .strict
        case .acceptNew: .acceptNew
        case .off: .off
        }
    }
}

/// A host that cannot be reached because this process cannot speak SSH at all; it says so at every command.
struct UnusableHost: RemoteHost {
    let error: RemoteError
    var name: String { error.host }

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult { throw error }
    func upload(_ file: URL, to path: String, mode: Int, timeout: Duration) async throws(RemoteError) { throw error }
    func download(_ path: String, to file: URL, timeout: Duration) async throws(RemoteError) { throw error }
    func elevated(as user: String) -> any RemoteHost { self }
    func close() async {}
}
