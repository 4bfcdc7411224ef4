// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// A host whose every command is told to somebody: what `-v` shows.
///
/// Scripts hold no secrets, so they are shown whole.
package struct TracedHost: RemoteHost {
    private let host: any RemoteHost
    private let tell: @Sendable (String) -> Void

    package init(_ host: any RemoteHost, tell: @escaping @Sendable (String) -> Void) {
        self.host = host
        self.tell = tell
    }

    package var name: String { host.name }

    package func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        tell(
            "[\(name)] \(command.label)\n"
                + command.script.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n")
        )
        do throws(RemoteError) {
            let result = try await host.run(command)
            let seconds = String(format: "%.3f", result.duration.seconds)
            tell("[\(name)] \(command.label): exit \(result.exitCode), \(seconds) s")
            return result
        } catch {
            tell("[\(name)] \(command.label): \(error.code): \(error.message)")
            throw error
        }
    }

    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        tell("[\(name)] upload \(transfer.file.lastPathComponent) to \(transfer.path)")
        try await host.upload(transfer)
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        tell("[\(name)] download \(transfer.path)")
        try await host.download(transfer)
    }

    package func elevated(as user: String) -> any RemoteHost { TracedHost(host.elevated(as: user), tell: tell) }
    package func close() async { await host.close() }
}
