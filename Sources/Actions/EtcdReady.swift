// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout

/// `etcd_ready`: everything that must be known of a cluster before its first member is touched, all findings at once.
package struct EtcdReady: Action {
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
            TTLPolicy.parameter(
                "What is to be done with keys that expire, as in the steps that follow: nothing, so that they become "
                    + "permanent (warn, allow), leave them out (skip), or bind them to leases at the end (lease)."
            ),
            HiddenKeysPolicy.parameter(
                "What is to be done with keys under names that begin with _, which etcdctl does not migrate: drop them (warn, "
                    + "allow, skip), or write them to v3 at the end (copy)."
            ),
            .init(
                "transformer",
                .path,
                """
                The program that `etcd_prepare` and `etcd_migrate` are given: it must be there on every node, for the owner of \
                the data to run, and the same on all. Empty means none.
                """
            ),
            .init(
                "checks",
                .group(PreflightCheck.parameters),
                "What to do with what the other checks find, each by its name."
            ),
        ],
        example: """
            - etcd_ready: { versions: ">=3.0.14 <3.5", v3_store: empty, ttl_keys: refuse, hidden_keys: refuse, checks: { v2_users: refuse } }
            """
    )
    package static let scope = ActionScope.cluster

    let requirements: Requirements
    private let transformer: String?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        let text = parameters.string("versions") ?? ">=3.0.14 <3.5"
        guard let versions = EtcdVersionRange(text) else {
            throw ActionFailure("versions is not a range of versions: \(text)", remedy: "write it as >=3.0.14 <3.5")
        }
        requirements = Requirements(versions: versions, parameters)
        transformer = try requireTransformer(parameters)
    }

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(300)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a check is made anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the step only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        // Before anything is found out: a refusal is on record with the policies that it comes from.
        for (check, policy) in requirements.deviations {
            try await context.facts.record("policy.\(check.name)", policy.rawValue)
        }
        let nodes = context.etcdNodes
        var requirements = requirements
        requirements.transformers = transformers(context.cluster)
        let answers = await ClusterProbe.facts(nodes, transformers: requirements.transformers)
        let review = EtcdReadyReview(requirements: requirements, nodes: nodes, answers: answers)
        let standstill = StandstillCheck(nodes: nodes, facts: review.facts)
        async let clocks = ClockCheck(facts: review.facts).findings(nodes)
        let findings = requirements.judged(await review.findings + standstill.findings() + clocks)
        let refusals = findings.filter { $0.severity == .refusal }
        for finding in findings where finding.severity == .warning { context.progress("warning: \(finding)") }
        guard refusals.isEmpty else {
            let problems = findings.map { finding in
                (finding.severity == .refusal ? "" : "\(finding.severity.word): ") + finding.description
            }
            throw ActionFailure(
                "etcd is not ready to be migrated; \(refusals.count) findings refuse it",
                problems: problems
            )
        }
        return try await record(review.facts, nodes, findings, context)
    }

    /// The transformer of each host.
    ///
    /// A step of the cluster is resolved with the variables of its first host. Where those gave it the program, the steps
    /// of the other hosts get theirs from their own.
    private func transformers(_ targets: [ActionTarget]) -> [String: String] {
        let own = targets.map { Self.transformer(of: $0.variables) }
        let isVariable = own.first == transformer
        let programs = zip(targets, own).map { ($0.host.name, isVariable ? $1 : transformer) }
        return Dictionary(programs) { first, _ in first }.compactMapValues { $0 }
    }

    /// What the playbooks that come with pawl take for the transformer of a host: the variable `migrate_transformer`.
    ///
    /// - Parameter variables: the host's.
    /// - Returns: the path; `nil` where it is empty, or is not set.
    package static func transformer(of variables: [String: Value]) -> String? {
        guard case .string(let path)? = variables["migrate_transformer"], !path.isEmpty else { return nil }
        return path
    }

    private func record(
        _ facts: [String: MemberFacts],
        _ nodes: [EtcdNode],
        _ findings: [EtcdFinding],
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
            ("baseline_inherited_keys", "\(fingerprint.inheritedKeys)"),
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
                ("\(node.name):db_mode", facts.node.databaseMode ?? ""),
                ("\(node.name):db_label", facts.node.databaseLabel ?? ""),
            ]
        }
        // A rollback must tell them from users that were made since. Without an answer all will count as such.
        if let node = nodes.first(where: { $0.name == name }), let users = try? await ClusterProbe.v3Users(node) {
            values.append((RollbackFact.v3Users, V3Writes.before(users)))
        }
        // Last: its presence says that the others are there, and that this run is a migration.
        values.append(("baseline_fingerprint", fingerprint.digest))
        for (name, value) in values { try await context.facts.record(name, value) }
        values += requirements.deviations.map { ("policy.\($0.name)", $1.rawValue) }
        values += Self.texts(of: findings)
        return Evidence(
            "\(nodes.count) members of etcd \(reference.version.server) are ready, leader \(name), "
                + "\(fingerprint.keys) keys, highest index \(fingerprint.newestIndex)" + Self.remark(on: findings),
            Dictionary(values, uniquingKeysWith: { $1 })
        )
    }

    /// Every finding by the name of its check, with what was made of it.
    private static func texts(of findings: [EtcdFinding]) -> [(String, String)] {
        Dictionary(grouping: findings, by: \.check)
            .map { check, same in
                ("finding.\(check.name)", same.map { "\($0.severity.word): \($0)" }.joined(separator: "\n"))
            }
    }

    private static func remark(on findings: [EtcdFinding]) -> String {
        func checks(_ severity: EtcdFinding.Severity) -> [String] {
            var seen: Set<PreflightCheck> = []
            return findings.filter { $0.severity == severity && seen.insert($0.check).inserted }.map(\.check.name)
        }
        let (warned, allowed) = (checks(.warning), checks(.allowed))
        return (warned.isEmpty ? "" : ", warnings: \(warned.joined(separator: ", "))")
            + (allowed.isEmpty ? "" : ", allowed by policy: \(allowed.joined(separator: ", "))")
    }
}
