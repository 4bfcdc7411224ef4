// SPDX-License-Identifier: Apache-2.0

extension RemoteHost {
    /// Runs a command that leads to the same state however often it is run: once more, where nobody saw its end.
    ///
    /// A connection that drops while a run says goodbye to its nodes would otherwise leave its lock there.
    ///
    /// - Parameter command: what may be done twice.
    /// - Returns: its end, with any exit code.
    /// - Throws: ``RemoteError`` of the first time when it was not begun then, or of the second time.
    package func runRepeatably(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        do {
            return try await run(command)
        } catch {
            guard error.code == .inDoubt else { throw error }
            return try await run(command)
        }
    }
}
