// SPDX-License-Identifier: Apache-2.0

import Foundation
import Subprocess
import SystemPackage

/// Programs of this machine that the matrix runs.
enum Program {
    struct Output: Sendable {
        /// 128 + the signal when it was killed, as a shell says it.
        var exitCode: Int
        var stdout: String
        var stderr: String
    }

    /// Runs a program to its end, and meanwhile a closure that gets its process id.
    static func run(
        _ program: String,
        _ arguments: [String],
        meanwhile: @Sendable (pid_t) async throws -> Void = { _ in }
    ) async throws -> Output {
        let result = try await Subprocess.run(
            program.hasPrefix("/") ? .path(FilePath(program)) : .name(program),
            arguments: Arguments(arguments),
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

/// Something that the matrix itself could not do; never a finding about pawl.
struct MatrixError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Asks until the answer is yes; `false` when the time is up.
func eventually(
    within seconds: Double,
    every pause: Duration = .milliseconds(50),
    for isTrue: () async throws -> Bool
) async throws
    -> Bool
{
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
        if try await isTrue() { return true }
        if ContinuousClock.now > deadline { return false }
        try await Task.sleep(for: pause)
    }
}
