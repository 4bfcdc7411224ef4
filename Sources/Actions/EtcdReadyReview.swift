// SPDX-License-Identifier: Apache-2.0

import Etcd

/// Judges the facts of all members.
///
/// Pure: one look at a cluster in, all findings out, worst first.
struct EtcdReadyReview: Sendable {
    let requirements: EtcdReady.Requirements
    let nodes: [EtcdNode]
    /// Of the members that answered.
    let facts: [String: MemberFacts]
    private let failures: [EtcdProbeError]

    init(
        requirements: EtcdReady.Requirements,
        nodes: [EtcdNode],
        answers: [String: Result<MemberFacts, EtcdProbeError>]
    ) {
        self.requirements = requirements
        self.nodes = nodes
        facts = answers.compactMapValues { try? $0.get() }
        failures = answers.sorted { $0.key < $1.key }.compactMap { _, result in
            if case .failure(let error) = result { error } else { nil }
        }
    }

    var findings: [EtcdFinding] {
        var findings = failures.map { EtcdFinding(.reachable, host: $0.host, $0.message, remedy: $0.remedy) }
        findings += membership() + agreement()
        for node in nodes {
            guard let facts = facts[node.name] else { continue }
            findings += health(node, facts) + stores(node, facts) + versions(node, facts)
            findings += place(node, facts) + conditions(node, facts)
        }
        findings += transformer() + losses()
        return requirements.judged(findings)
    }

    // MARK: - The cluster

    private func membership() -> [EtcdFinding] {
        let health = facts.mapValues(\.health)
        var findings = ClusterFacts.identityProblems(health, hosts: Set(nodes.map(\.name))).map {
            EtcdFinding(
                .membership,
                $0,
                remedy: "make the inventory's hosts exactly the members of one cluster, one host each"
            )
        }
        var seen: Set<EtcdID> = []
        for (_, facts) in facts.sorted(by: { $0.key < $1.key }) {
            for member in facts.health.list.members where seen.insert(member.id).inserted {
                if !member.isStarted {
                    findings.append(
                        EtcdFinding(
                            .unstartedMembers,
                            "member \(member.id) (\(member.peerURLs.joined(separator: ", "))) was added and never started",
                            remedy: "start or remove it"
                        )
                    )
                } else if member.isLearner {
                    findings.append(
                        EtcdFinding(
                            .learners,
                            "\(member.name) (\(member.id)) is a learner",
                            remedy: "promote or remove it first"
                        )
                    )
                }
            }
        }
        return findings
    }

    /// What members must have in common: a leader, a version.
    private func agreement() -> [EtcdFinding] {
        var findings = ClusterFacts.leaderProblems(facts.mapValues(\.health)).map {
            EtcdFinding(.leader, $0, remedy: "wait for the election, or repair the network between the members")
        }
        let leaderless = nodes.map(\.name).filter { facts[$0].map { $0.status.leader == nil } ?? false }
        if !leaderless.isEmpty {
            findings.append(
                EtcdFinding(
                    .leader,
                    "without a leader: \(leaderless.joined(separator: ", "))",
                    why: "the member sees no quorum",
                    remedy: "start the other members, or repair the network between them"
                )
            )
        }
        if Set(facts.values.map(\.version.server)).count > 1 {
            let parts = facts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.version.server)" }
            findings.append(
                EtcdFinding(
                    .versions,
                    "the members run different versions: \(parts.joined(separator: ", "))",
                    remedy: "finish the upgrade first"
                )
            )
        }
        return findings + alarms()
    }

    /// Each alarm once, though every member tells of all of them.
    private func alarms() -> [EtcdFinding] {
        let alarms = Set(facts.values.flatMap { $0.alarms?.alarms ?? [] })
        return alarms.sorted { ($0.member, $0.kind) < ($1.member, $1.kind) }
            .map { alarm in
                let host = facts.first { $0.value.memberID == alarm.member }?.key
                let cause =
                    switch alarm.kind {
                    case "NOSPACE": "compact and defragment, or raise --quota-backend-bytes"
                    case "CORRUPT": "find out which member is wrong and replace it"
                    default: "see what raised it"
                    }
                return EtcdFinding(
                    .alarms,
                    host: host,
                    "alarm:\(alarm.kind) is raised for member \(alarm.member)",
                    why: "it blocks writes on all members",
                    remedy: "\(cause), then etcdctl alarm disarm"
                )
            }
    }

    private func health(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        if facts.health.isHealthy { return [] }
        return [
            EtcdFinding(
                .health,
                host: node.name,
                "the member is not healthy",
                why: facts.health.complaints.joined(separator: "; "),
                remedy: "repair it, and disarm alarms, before anything else is changed"
            )
        ]
    }
}
