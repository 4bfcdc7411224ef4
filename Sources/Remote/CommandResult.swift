// SPDX-License-Identifier: Apache-2.0

/// How a command ended that was seen to end: its trailer arrived, with its exit code.
///
/// A command that ran and failed is a result, not an error; the action that asked for it decides.
package struct CommandResult: Sendable, Equatable {
    package var exitCode: Int
    package var standardOutput: [UInt8]
    package var standardError: [UInt8]
    /// From the request to the trailer, on the controller's clock.
    package var duration: Duration

    package init(exitCode: Int, standardOutput: [UInt8], standardError: [UInt8], duration: Duration) {
        self.exitCode = exitCode
        self.standardOutput = standardOutput
        self.standardError = standardError
        self.duration = duration
    }

    /// Standard output as text; bytes that are not UTF-8 are replaced.
    package var output: String { String(decoding: standardOutput, as: UTF8.self) }
    /// Standard error as text; bytes that are not UTF-8 are replaced.
    package var errorOutput: String { String(decoding: standardError, as: UTF8.self) }
}
