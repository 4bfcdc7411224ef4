// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Playbooks
import Rollout

/// `etcd_ready`: everything that must be known of a cluster before its first member is touched, all findings at once.
package struct EtcdReady: Action {
    /// What to do with a condition that loses something.
    enum Policy: String, Sendable {
        case refuse, warn, allow

        var severity: EtcdFinding.Severity? {
            switch self {
            case .refuse: .refusal
            case .warn: .warning
            case .allow: nil
            }
        }
    }

    struct Requirements: Sendable {
        var versions: EtcdVersionRange
        var acceptsV3Data: Bool
        var ttlKeys: Policy
        var hiddenKeys: Policy
    }

    private static let policies = ActionSchema.Parameter.Kind.choice(["refuse", "warn", "allow"])

    package static let schema = ActionSchema(
        word: "etcd_ready",
        summary:
            "Check everything that a migration from v2 to v3 depends on, and record the baseline. Changes nothing.",
        parameters: [
            .init("versions", .string, default: .string(">=3.0.14 <3.5"), "Accepted versions of etcd and etcdctl."),
            .init(
                "v3_store",
                .choice(["empty", "any"]),
                default: .string("empty"),
                "Whether the v3 store must be empty; a migration overwrites v3 keys where revisions collide."
            ),
            .init(
                "ttl_keys",
                policies,
                default: .string("refuse"),
                "What to do with keys that expire: they become permanent, and expire during the roll."
            ),
            .init(
                "hidden_keys",
                policies,
                default: .string("refuse"),
                "What to do with keys under names that begin with _: a migration drops them."
            ),
        ],
        example: """
            - etcd_ready: { versions: ">=3.0.14 <3.5", v3_store: empty, ttl_keys: refuse, hidden_keys: refuse }
            """
    )
    package static let scope = ActionScope.cluster

    let requirements: Requirements

    package init(_ parameters: Parameters) throws(ActionFailure) {
        let text = parameters.string("versions") ?? ">=3.0.14 <3.5"
        guard let versions = EtcdVersionRange(text) else {
            throw ActionFailure("versions is not a range of versions: \(text)", remedy: "write it as >=3.0.14 <3.5")
        }
        requirements = Requirements(
            versions: versions,
            acceptsV3Data: parameters.string("v3_store") == "any",
            ttlKeys: parameters.string("ttl_keys").flatMap(Policy.init(rawValue:)) ?? .refuse,
            hiddenKeys: parameters.string("hidden_keys").flatMap(Policy.init(rawValue:)) ?? .refuse
        )
    }

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(300)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a check is made anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the step only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let nodes = context.etcdNodes
        let answers = await ClusterProbe.facts(nodes)
        let review = EtcdReadyReview(requirements: requirements, nodes: nodes, answers: answers)
        var findings = review.findings
        findings += await StandstillCheck(nodes: nodes, facts: review.facts).findings()
        // A stable sort: within its severity, a finding keeps its place.
        findings = findings.filter { $0.severity == .refusal } + findings.filter { $0.severity == .warning }
        let warnings = findings.filter { $0.severity == .warning }
        for warning in warnings { context.progress("warning: \(warning)") }
        let refusals = findings.count - warnings.count
        if refusals > 0 {
            throw ActionFailure(
                "etcd is not ready to be migrated; \(refusals) findings refuse it",
                problems: findings.map { ($0.severity == .warning ? "warning: " : "") + $0.description }
            )
        }
        return try await record(review.facts, nodes, warnings, context)
    }

    private func record(
        _ facts: [String: MemberFacts],
        _ nodes: [EtcdNode],
        _ warnings: [EtcdFinding],
        _ context: ActionContext
    ) async throws(ActionFailure) -> Evidence {
        let leader = ClusterFacts.leader(facts.mapValues(\.health))
        guard let name = leader ?? nodes.first?.name, let reference = facts[name],
            case .success(let fingerprint) = reference.fingerprint
        else { throw ActionFailure("no member gave its fingerprint") }
        var values: [(String, String)] = [
            ("cluster_id", "\(reference.status.clusterID)"), ("leader", name),
            ("cluster_version", reference.version.cluster.map { "\($0)" } ?? ""),
            ("baseline_keys", "\(fingerprint.keys)"), ("baseline_max_index", "\(fingerprint.newestIndex)"),
            ("baseline_ttl_keys", "\(fingerprint.temporaryKeys)"),
            ("baseline_permanent_keys", "\(fingerprint.permanentKeys)"),
            ("baseline_permanent_max_index", "\(fingerprint.newestPermanentIndex)"),
            ("baseline_permanent_fingerprint", fingerprint.permanent),
            ("baseline_at", "\(Date.now.timeIntervalSince1970)"),
        ]
        for node in nodes {
            guard let facts = facts[node.name] else { continue }
            values += [
                ("\(node.name):member_id", "\(facts.memberID)"), ("\(node.name):member_name", facts.memberName),
                ("\(node.name):server_version", "\(facts.version.server)"),
                ("\(node.name):etcdctl_version", facts.node.etcdctlVersion.map { "\($0)" } ?? ""),
                ("\(node.name):v3_revision", "\(facts.count?.revision ?? facts.status.revision)"),
                ("\(node.name):v3_keys", "\(facts.count?.count ?? 0)"),
                ("\(node.name):snapshots", "\(facts.node.snapshotCount)"),
            ]
        }
        // Last: its presence says that the others are there, and that this run is a migration.
        values.append(("baseline_fingerprint", fingerprint.digest))
        for (name, value) in values { try await context.facts.record(name, value) }
        for (index, warning) in warnings.enumerated() { values.append(("warning.\(index + 1)", "\(warning)")) }
        return Evidence(
            "\(nodes.count) members of etcd \(reference.version.server) are ready, leader \(name), "
                + "\(fingerprint.keys) keys, highest index \(fingerprint.newestIndex)"
                + (warnings.isEmpty ? "" : ", \(warnings.count) warnings"),
            Dictionary(values, uniquingKeysWith: { $1 })
        )
    }
}
