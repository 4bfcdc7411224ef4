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

    package func upload(_ file: URL, to path: String, mode: Int, timeout: Duration) async throws(RemoteError) {
        tell("[\(name)] upload \(file.lastPathComponent) to \(path)")
        try await host.upload(file, to: path, mode: mode, timeout: timeout)
    }

    package func download(_ path: String, to file: URL, timeout: Duration) async throws(RemoteError) {
        tell("[\(name)] download \(path)")
        try await host.download(path, to: file, timeout: timeout)
    }

    package func elevated(as user: String) -> any RemoteHost { TracedHost(host.elevated(as: user), tell: tell) }
    package func close() async { await host.close() }
}
