// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Rollout

/// `etcd_consistent`: the gate between two hosts.
///
/// In a migration it proves that nobody wrote: every member's v2 fingerprint is the one that the first gate of the run
/// recorded, every migrated member holds that very store in v3, and every other member's v3 store is as empty as it was.
/// In any other playbook it proves that all v3 stores are equal at one revision.
package struct EtcdConsistent: Action {
    package static let schema = ActionSchema(
        word: "etcd_consistent",
        summary: "Prove that all members hold the same data, and in a migration that nobody wrote since the freeze.",
        parameters: [
            .init(
                "frozen",
                .boolean,
                """
                Whether the keys must not change during the run. Without it: yes when etcd_ready took a baseline, or a \
                member was migrated in this run.
                """
            )
        ],
        example: """
            - etcd_consistent: {}
            """
    )
    package static let scope = ActionScope.cluster

    let frozen: Bool?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        frozen = parameters.boolean("frozen")
    }

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(300)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a gate is looked at anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the gate only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let gate = try await FrozenGate(context)
        return frozen ?? gate.isMigration ? try await gate.prove() : try await proveRunning(context)
    }

    /// The gate of a cluster that is written to.
    private func proveRunning(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let nodes = context.etcdNodes
        let comparison = await ClusterProbe.compareHashes(nodes)
        try await refuseSick(comparison.states, context)
        guard let hash = comparison.common else {
            throw ActionFailure(
                "the members' v3 stores differ",
                problems: comparison.problems,
                remedy: "do not restart another member; find the one that is wrong and replace it from a healthy one"
            )
        }
        let indexes = comparison.states.compactMapValues { try? $0.get().status.raftAppliedIndex }
        try await proveCaughtUp(indexes, nodes, tolerance: EtcdHealthy.tolerableLag)
        return Evidence(
            "all \(nodes.count) members equal: \(hash)",
            ["hash": "\(hash.hash)", "revision": "\(hash.revision)"]
        )
    }
}

/// Refuses members that do not answer, are sick, or are not the cluster of the inventory; `absent` are hosts that were not
/// asked because their members are known to be down.
func refuseSick(
    _ states: [String: Result<MemberState, EtcdProbeError>],
    _ context: ActionContext,
    absent: Set<String> = []
) async throws(ActionFailure) {
    var problems: [String] = []
    var healths: [String: MemberHealth] = [:]
    for (name, result) in states.sorted(by: { $0.key < $1.key }) {
        switch result {
        case .failure(let error): problems.append(error.description)
        case .success(let state):
            healths[name] = state.health
            if !state.health.isHealthy {
                problems.append("\(name) is not healthy: \(state.health.complaints.joined(separator: "; "))")
            }
            if let recorded = try await context.fact("member_id", of: name), recorded != "\(state.health.memberID)" {
                problems.append("\(name) is member \(state.health.memberID) now, and was \(recorded)")
            }
        }
    }
    problems += ClusterFacts.membershipProblems(
        healths,
        hosts: Set(states.keys).union(absent),
        clusterID: try await context.fact("cluster_id").flatMap { EtcdID(hexadecimal: $0) }
    )
    if !problems.isEmpty { throw ActionFailure("the cluster is not in order", problems: problems) }
}

/// Refuses members that lag behind, after looking again at those that seemed to.
func proveCaughtUp(
    _ indexes: [String: UInt64],
    _ nodes: [EtcdNode],
    tolerance: UInt64
) async throws(ActionFailure) {
    var latest = indexes
    for attempt in 0..<5 {
        if (latest.values.max() ?? 0) - (latest.values.min() ?? 0) <= tolerance, latest.count == nodes.count { return }
        if attempt > 0 { try? await Task.sleep(for: .milliseconds(200)) }
        latest = await ClusterProbe.statuses(nodes).compactMapValues { try? $0.get().raftAppliedIndex }
    }
    let parts = latest.sorted { $0.key < $1.key }.map { "\($0.key) at \($0.value)" }
    throw ActionFailure(
        "the members' raft indexes are more than \(tolerance) apart: \(parts.joined(separator: ", "))",
        remedy: "wait until the slow member has caught up, then resume"
    )
}
