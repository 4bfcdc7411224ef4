// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_healthy`: waits until the host's member serves again, and proves that it is the member it was.
package struct EtcdHealthy: Action {
    package static let schema = ActionSchema(
        word: "etcd_healthy",
        summary: "Wait until this host's etcd member is healthy and has caught up with its cluster.",
        parameters: [
            .init("within", .duration, default: .int(120), "How long the member may take.")
        ],
        shorthand: "within",
        example: """
            - name: Member healthy
              etcd_healthy: { within: 2m }
            """
    )
    package static let scope = ActionScope.host

    /// How far a member may be behind while others write.
    static let tolerableLag: UInt64 = 250

    let within: Duration

    package init(_ parameters: Parameters) throws(ActionFailure) {
        within = parameters.duration("within") ?? .seconds(120)
        if within < .seconds(1) { throw ActionFailure("within must be at least one second") }
    }

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: within + .seconds(60)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a check is made anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the step only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard let target = context.target else { throw ActionFailure("etcd_healthy needs a host") }
        let node = target.etcdNode
        let deadline = ContinuousClock.now + within
        let others = context.etcdNodes.filter { $0.name != node.name }
        // The others are asked while this one comes up.
        async let asked = ClusterProbe.statuses(others)
        var outcome = try await wait(node, within: within, raftIndex: 0)
        let statuses = await asked.compactMapValues { try? $0.get() }
        let isFrozen = try await context.fact("gate_fingerprint") != nil
        let newest = statuses.values.map(\.raftIndex).max() ?? 0
        let reached = isFrozen ? newest : newest - min(newest, Self.tolerableLag)
        let needed = max(reached, try await markedIndex(context))
        if outcome.health.status.raftAppliedIndex < needed {
            context.progress("\(node.name) is catching up with raft index \(needed)")
            let left = max(.seconds(1), deadline - ContinuousClock.now)
            outcome = try await wait(node, within: left, raftIndex: needed)
        }
        try await proveIdentity(of: outcome.health, node.name, others: statuses, context)
        let status = outcome.health.status
        return Evidence(
            "member \(status.memberID) is healthy, raft index \(status.raftAppliedIndex), revision \(status.revision)",
            [
                "member_id": "\(status.memberID)", "cluster_id": "\(status.clusterID)",
                "revision": "\(status.revision)", "raft_index": "\(status.raftIndex)",
                "raft_applied_index": "\(status.raftAppliedIndex)", "tries": "\(outcome.tries)",
            ]
        )
    }

    private func wait(
        _ node: EtcdNode,
        within: Duration,
        raftIndex: UInt64
    ) async throws(ActionFailure) -> HealthyScript.Outcome {
        let outcome: HealthyScript.Outcome
        do throws(EtcdProbeError) {
            outcome = try await HealthyScript(settings: node.settings, within: within, raftIndex: raftIndex)
                .run(on: node)
        } catch {
            throw ActionFailure(
                "the member is not healthy after \(DurationText.of(within)): \(error.message)",
                remedy: error.remedy ?? "look at the log of \(node.settings.service) on \(node.name)"
            )
        }
        let status = outcome.health.status
        var complaints = outcome.health.complaints
        if status.raftAppliedIndex < raftIndex {
            complaints.append("raft index \(status.raftAppliedIndex) has not reached \(raftIndex)")
        }
        if outcome.isSettled, outcome.health.isHealthy { return outcome }
        throw ActionFailure(
            "the member is not healthy after \(DurationText.of(within)): "
                + (complaints.isEmpty ? "its process does not stay up" : complaints.joined(separator: "; ")),
            remedy: "look at the log of \(node.settings.service) on \(node.name)"
        )
    }

    /// How far any member's db was marked when it was migrated with all members stopped.
    ///
    /// A v3 write at an index up to that would be missing on the member, for good. Once the cluster is past it, what stands
    /// there was agreed on while nobody wrote to v3.
    private func markedIndex(_ context: ActionContext) async throws(ActionFailure) -> UInt64 {
        var highest: UInt64 = 0
        for target in context.cluster {
            let index = try await context.fact(EtcdMigrated.index, of: target.host.name).flatMap { UInt64($0) }
            highest = max(highest, index ?? 0)
        }
        return highest
    }

    /// A healthy member of another cluster, or another member of this one, would pass every other test.
    private func proveIdentity(
        of health: MemberHealth,
        _ name: String,
        others: [String: EndpointStatus],
        _ context: ActionContext
    ) async throws(ActionFailure) {
        let remedy = "etcd was started with another data dir or other flags than before; compare them with the backup"
        if let recorded = try await context.fact("member_id", of: name), recorded != "\(health.memberID)" {
            throw ActionFailure("it is member \(health.memberID) now, and was \(recorded)", remedy: remedy)
        }
        if let recorded = try await context.fact("cluster_id"), recorded != "\(health.clusterID)" {
            throw ActionFailure("it is in cluster \(health.clusterID) now, and was in \(recorded)", remedy: remedy)
        }
        if let other = others.first(where: { $0.value.clusterID != health.clusterID }) {
            throw ActionFailure(
                "it is in cluster \(health.clusterID), and \(other.key) in \(other.value.clusterID)",
                remedy: remedy
            )
        }
    }
}
