// SPDX-License-Identifier: Apache-2.0

import Remote

/// Scripts as tests ask them of a host.
enum Script {
    /// What a reading script prints.
    static func output(
        _ host: any RemoteHost,
        _ script: String,
        input: String = "",
        timeout: Duration = .seconds(20)
    ) async throws -> String {
        try await host.run(
            RemoteCommand(
                "look",
                script: script,
                standardInput: Array(input.utf8),
                effect: .readOnly,
                timeout: timeout
            )
        ).output
    }

    /// The error that a script ends in.
    static func failure(
        _ host: any RemoteHost,
        _ script: String = ":",
        timeout: Duration = .seconds(20)
    ) async -> RemoteError? {
        do throws(RemoteError) {
            _ = try await host.run(RemoteCommand("look", script: script, effect: .readOnly, timeout: timeout))
            return nil
        } catch {
            return error
        }
    }
}
