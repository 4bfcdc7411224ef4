// SPDX-License-Identifier: Apache-2.0

import Remote
import Rollout

/// The command lines that a halt report prints, to be copied into a shell as they are.
package struct RepeatedCommands: Sendable {
    /// What is at work: a run, or a look that keeps no journal.
    package enum Command: String, Sendable {
        case run, verify
    }

    var command: Command
    var request: RunRequest
    /// `--state DIR`, quoted; empty for the default.
    var state: String

    /// What can be done now, the most likely first.
    func next(after verdict: Verdict, run: String) -> [HaltReport.NextCommand] {
        if verdict == .done { return [] }
        let again = "pawl \(command.rawValue) \(ShellQuoting.line(request.words))"
        if command == .verify { return [.init(again, "looks again; nothing was changed")] }
        if case .refused = verdict {
            let line = [again, state].filter { !$0.isEmpty }.joined(separator: " ")
            return [.init(line, "starts anew when the reason is mended; nothing was changed")]
        }
        func line(_ word: String) -> String {
            ["pawl \(word) \(run)", state].filter { !$0.isEmpty }.joined(separator: " ")
        }
        return [
            .init(line("resume"), "goes on from here, looking at the nodes first"),
            .init(line("status"), "shows this again"),
        ]
    }
}

extension RunRequest {
    /// The hosts of the request as words of a command line.
    var hostWords: [String] { inventory.flatMap { ["-i", $0] } + (limit.map { ["--limit", $0] } ?? []) }

    /// The command line that takes the lock of its hosts over.
    var unlockCommand: String { "pawl unlock \(ShellQuoting.line(hostWords)) --reason TEXT" }

    /// The request as words of a command line.
    var words: [String] {
        hostWords + extraVariables.flatMap { ["-e", $0] } + [playbook]
    }
}
