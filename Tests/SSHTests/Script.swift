// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Testing

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

    /// Sets `session` to the sshd that serves the connection, and `mine` to its child that the script runs in.
    ///
    /// A script has a shell around it, or, where its shell waited for it, none.
    static let session = """
        mine=$$ session=$PPID
        case $(cat /proc/$session/comm) in
          sshd*) ;;
          *) mine=$session session=$(cut -d ' ' -f 4 /proc/$session/stat) ;;
        esac

        """

    /// The process of sshd that serves the connection.
    static func sessionProcess(of host: any RemoteHost) async throws -> Int32 {
        let said = try await output(host, session + "echo $session")
        return try #require(Int32(said.trimmingCharacters(in: .whitespacesAndNewlines)))
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
