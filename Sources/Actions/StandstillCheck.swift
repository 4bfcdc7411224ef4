// SPDX-License-Identifier: Apache-2.0

import Etcd

/// Tells members that really differ from members that are merely written to while they are looked at.
///
/// Preflight runs before the freeze, so writes are normal then: what moves between two samples is a warning, and what
/// stands still and differs is a refusal.
struct StandstillCheck: Sendable {
    let nodes: [EtcdNode]
    let facts: [String: MemberFacts]

    func findings() async -> [EtcdFinding] {
        guard facts.count == nodes.count, nodes.count > 1 else { return [] }
        async let raft = raftFindings()
        async let stores = storeFindings()
        return await raft + stores
    }

    private func raftFindings() async -> [EtcdFinding] {
        var samples: [[String: UInt64]] = []
        for attempt in 0..<3 {
            if attempt > 0 { try? await Task.sleep(for: .milliseconds(250)) }
            let sample = await ClusterProbe.statuses(nodes).compactMapValues { try? $0.get().raftAppliedIndex }
            samples.append(sample)
            // ≤ 1 apart: a member may be an internal sync behind (etcd, op-guide/v2-migration.md).
            if sample.count == nodes.count, Self.spread(sample) <= 1 { return [] }
        }
        guard let first = samples.first, let last = samples.last, last.count == nodes.count else { return [] }
        let parts = last.sorted { $0.key < $1.key }.map { "\($0.key) at \($0.value)" }.joined(separator: ", ")
        let slowest = last.min { $0.value < $1.value }
        let isStuck = slowest.map { first[$0.key] == $0.value } ?? true
        if isStuck || Self.spread(last) > EtcdHealthy.tolerableLag {
            return [
                EtcdFinding(
                    .raftConvergence,
                    host: slowest?.key,
                    "the raft indexes have not converged: \(parts)",
                    why: isStuck ? "this member does not advance" : "this member is far behind",
                    remedy: "repair the member before anything else is changed"
                )
            ]
        }
        return [
            EtcdFinding(
                .raftConvergence,
                "raft indexes move: \(parts)",
                why: "somebody writes; the freeze must stop that",
                isMinor: true
            )
        ]
    }

    private static func spread(_ sample: [String: UInt64]) -> UInt64 {
        (sample.values.max() ?? 0) - (sample.values.min() ?? 0)
    }

    private func storeFindings() async -> [EtcdFinding] {
        let before = facts.compactMapValues { try? $0.fingerprint.get() }
        guard before.count == nodes.count, Set(before.values.map(\.digest)).count > 1 else { return [] }
        let after = await ClusterProbe.states(nodes, fingerprints: true, hashed: [])
            .compactMapValues { try? $0.get().fingerprint }
        guard after.count == nodes.count, Set(after.values.map(\.digest)).count > 1 else { return [] }
        // Those that moved may have been seen at different moments; that any two stood still and differ is proof.
        let still = after.filter { $0.value.digest == before[$0.key]?.digest }
        guard Set(still.values.map(\.digest)).count > 1 else {
            return [
                EtcdFinding(
                    .fingerprints,
                    "the v2 keys change while they are read, so that the members cannot be compared yet",
                    why: "somebody writes; they are compared after the freeze",
                    isMinor: true
                )
            ]
        }
        let names = await StrayWrites(
            nodes: nodes,
            migrated: [],
            digests: after.mapValues(\.digest),
            recorded: nil
        ).named(newest: nil, keys: nil, after)
        let parts = after.sorted { $0.key < $1.key }.map {
            "\($0.key) \($0.value.keys) keys, \($0.value.digest.prefix(12))"
        }
        return [
            EtcdFinding(
                .fingerprints,
                "the members hold different v2 keys: \(parts.joined(separator: "; "))",
                why: names.joined(separator: "; "),
                remedy: "replace the member that is wrong before anything else is changed"
            )
        ]
    }
}
