// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Subprocess
import SystemPackage

/// This machine as a node: real `/bin/sh`, no SSH in between.
///
/// For tests of what scripts do; the way over SSH has tests of its own. Commands run as the user of the test, whoever
/// they are elevated to.
package struct LocalHost: RemoteHost {
    package var name: String
    /// Runs before each command; lets a test put a failing program first on the `PATH`, for example.
    package var prelude: String

    package init(name: String = "local", prelude: String = "") {
        self.name = name
        self.prelude = prelude
    }

    package func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        let started = ContinuousClock.now
        do {
            let result = try await Subprocess.run(
                .path("/bin/sh"),
                arguments: ["-c", prelude + command.script],
                input: .array(command.standardInput),
                output: .bytes(limit: 1 << 28),
                error: .bytes(limit: 1 << 28)
            )
            guard case .exited(let code) = result.terminationStatus else {
                throw RemoteError(.inDoubt, host: name, "\(command.label): the shell was killed")
            }
            return CommandResult(
                exitCode: Int(code),
                standardOutput: Array(result.standardOutput),
                standardError: Array(result.standardError),
                duration: ContinuousClock.now - started
            )
        } catch let error as RemoteError {
            throw error
        } catch {
            throw RemoteError(.inDoubt, host: name, "\(command.label): \(error)")
        }
    }

    package func upload(_ file: URL, to path: String, mode: Int, timeout: Duration) async throws(RemoteError) {
        do {
            try Data(contentsOf: file).write(to: URL(filePath: path))
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        } catch {
            throw RemoteError(.transfer, host: name, "upload to \(path): \(error)")
        }
    }

    package func download(_ path: String, to file: URL, timeout: Duration) async throws(RemoteError) {
        do {
            try Data(contentsOf: URL(filePath: path)).write(to: file)
        } catch {
            throw RemoteError(.transfer, host: name, "download of \(path): \(error)")
        }
    }

    package func elevated(as user: String) -> any RemoteHost { self }
    package func close() async {}
}
