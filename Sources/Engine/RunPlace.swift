// SPDX-License-Identifier: Apache-2.0

import Journal
import Remote

/// Where a run of another controller stands, from its marks on the nodes (docs/design/journal.md).
///
/// Only for a message: what is not there, or not understood, is left out.
struct RunPlace: CustomStringConvertible {
    var run: String
    var sequence: Int
    var step: String?
    /// Whether the end of the step's command was seen on the node.
    var isBehind: Bool

    init(_ replica: RunReplica) {
        run = replica.run.id
        sequence = replica.extent.sequence
        step = replica.entry.step
        isBehind = replica.exitCode != nil
    }

    var description: String {
        let name = step ?? "an unknown step"
        return isBehind ? "behind step \(name)" : "at step \(name)"
    }

    /// What the newest mark of a run says.
    static func newest(of run: String, on nodes: LockNodes) async -> RunPlace? {
        await withTaskGroup(of: RunPlace?.self) { group in
            for node in nodes.nodes.values {
                group.addTask { await read(from: node) }
            }
            var newest: RunPlace?
            for await place in group {
                guard let place, place.run == run, place.step != nil else { continue }
                if place.sequence >= newest?.sequence ?? 0 { newest = place }
            }
            return newest
        }
    }

    private static func read(from node: LockNodes.Node) async -> RunPlace? {
        let script = node.state.path + "cat -- \"$state/run\" 2>/dev/null\n"
        let command = RemoteCommand(
            "look where the run stands",
            script: script,
            effect: .readOnly,
            timeout: .seconds(10)
        )
        guard let result = try? await node.host.run(command), result.exitCode == 0 else { return nil }
        return (try? ReplicaText.read(result.standardOutput)).map(RunPlace.init)
    }
}
