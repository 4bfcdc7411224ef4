// SPDX-License-Identifier: Apache-2.0

import Remote
import Synchronization

/// The jobs of steps that succeeded, whose files nobody needs any more.
///
/// They are removed by the next change of their node, in the same remote command: a step's outcome is in the journal
/// before the next step of its host is begun. What remains at the end is swept by ``NodeSweep``. Jobs of steps that
/// failed stay, for a resumed run to look at.
final class SpentJobs: Sendable {
    private let jobs = Mutex<[String: [JobID]]>([:])

    func add(_ job: JobID, on host: String) {
        jobs.withLock { $0[host, default: []].append(job) }
    }

    private func take(on host: String) -> [JobID] {
        jobs.withLock { $0.removeValue(forKey: host) ?? [] }
    }

    /// Shell in front of a change of a node that removes what is spent there, without making it wait.
    struct Clearing: MutationGuard {
        let jobs: SpentJobs
        let host: String
        let state: NodeState

        func prologue(for command: RemoteCommand) -> String {
            let names = jobs.take(on: host).map { ShellQuoting.quote($0.directoryName) }
            guard !names.isEmpty else { return ":" }
            return """
                (\(state.path)cd -- "$state/jobs" && rm -rf -- \(names.joined(separator: " "))) </dev/null >/dev/null 2>&1 &
                """
        }

        func epilogue(for command: RemoteCommand) -> String { ":" }
    }
}
