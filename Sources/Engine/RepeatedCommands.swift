// SPDX-License-Identifier: Apache-2.0

import Fleet
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
    /// The run that is taken back, where that is what is at work.
    var rollbackOf: String?

    /// What can be done now, the most likely first.
    ///
    /// `mayRollBack` says that the run changed members and kept backups of them.
    func next(after verdict: Verdict, run: String, mayRollBack: Bool = false) -> [HaltReport.NextCommand] {
        if verdict == .done { return [] }
        let again =
            rollbackOf.map { "pawl rollback \($0)" } ?? "pawl \(command.rawValue) \(ShellQuoting.line(request.words))"
        if command == .verify { return [.init(again, "looks again; nothing was changed")] }
        if case .refused = verdict {
            let line = [again, state].filter { !$0.isEmpty }.joined(separator: " ")
            return [.init(line, "starts anew when the reason is mended; nothing was changed")]
        }
        func line(_ word: String) -> String {
            ["pawl \(word) \(run)", state].filter { !$0.isEmpty }.joined(separator: " ")
        }
        let back = HaltReport.NextCommand(
            line("rollback"),
            "takes the changed members back to before this run; shows first what it would do"
        )
        return [.init(line("resume"), "goes on from here, looking at the nodes first")] + (mayRollBack ? [back] : [])
            + [.init(line("status"), "shows this again")]
    }
}

extension RunRequest {
    /// The hosts of the request as words of a command line.
    var hostWords: [String] { inventory.arguments + (limit.map { ["--limit", $0] } ?? []) }

    /// The command line that takes the lock of its hosts over.
    var unlockCommand: String { "pawl unlock \(ShellQuoting.line(hostWords)) --reason TEXT" }

    /// The request as words of a command line.
    package var words: [String] {
        hostWords + extraVariables.flatMap { ["-e", $0] } + [playbook]
    }
}
