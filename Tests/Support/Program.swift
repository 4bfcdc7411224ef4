// SPDX-License-Identifier: Apache-2.0

import Foundation
import Subprocess
import SystemPackage

/// Programs of this machine that tests run.
package enum Program {
    /// How one ended, and what it said.
    package struct Output: Sendable {
        /// 128 + the signal when it was killed, as a shell says it.
        package var exitCode: Int
        package var stdout: String
        package var stderr: String

        package init(exitCode: Int, stdout: String, stderr: String) {
            (self.exitCode, self.stdout, self.stderr) = (exitCode, stdout, stderr)
        }
    }

    /// Runs a program to its end.
    ///
    /// - Parameters:
    ///   - program: its path, or a name that is looked for in `PATH`.
    ///   - arguments: what stands behind the name.
    ///   - directory: where it runs; `nil` for where this process does.
    ///   - environment: what differs from this process's own.
    ///   - meanwhile: gets its process id, and is waited for.
    /// - Returns: its end, whatever that is.
    /// - Throws: when it could not be started, or said more than 64 MiB.
    package static func run(
        _ program: String,
        _ arguments: [String],
        in directory: String? = nil,
        environment: [Environment.Key: String?] = [:],
        meanwhile: @Sendable (pid_t) async throws -> Void = { _ in }
    ) async throws -> Output {
        let result = try await Subprocess.run(
            program.hasPrefix("/") ? .path(FilePath(program)) : .name(program),
            arguments: Arguments(arguments),
            environment: .inherit.updating(environment),
            workingDirectory: directory.map { FilePath($0) },
            input: .none,
            output: .bytes(limit: 1 << 26),
            error: .bytes(limit: 1 << 26)
        ) { execution in
            try await meanwhile(execution.processIdentifier.value)
        }
        let exitCode =
            switch result.terminationStatus {
            case .exited(let code): Int(code)
            case .signaled(let signal): 128 + Int(signal)
            }
        return Output(
            exitCode: exitCode,
            stdout: String(decoding: result.standardOutput, as: UTF8.self),
            stderr: String(decoding: result.standardError, as: UTF8.self)
        )
    }
}
