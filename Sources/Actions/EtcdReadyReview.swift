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
        var findings = failures.map { EtcdFinding(.refusal, host: $0.host, $0.message, remedy: $0.remedy) }
        findings += membership()
        for node in nodes {
            guard let facts = facts[node.name] else { continue }
            findings += health(node, facts) + stores(node, facts) + versions(node, facts) + place(node, facts)
        }
        findings += losses()
        return findings
    }

    // MARK: - The cluster

    private func membership() -> [EtcdFinding] {
        let health = facts.mapValues(\.health)
        var findings = ClusterFacts.membershipProblems(health, hosts: Set(nodes.map(\.name))).map {
            EtcdFinding(
                .refusal,
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
                            .refusal,
                            "member \(member.id) was added and never started",
                            remedy: "start or remove it"
                        )
                    )
                } else if member.isLearner {
                    findings.append(
                        EtcdFinding(.refusal, "\(member.name) is a learner", remedy: "promote or remove it first")
                    )
                }
            }
        }
        let versions = Set(facts.values.map(\.version.server))
        if versions.count > 1 {
            let parts = facts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.version.server)" }
            findings.append(
                EtcdFinding(
                    .refusal,
                    "the members run different versions: \(parts.joined(separator: ", "))",
                    remedy: "finish the upgrade first"
                )
            )
        }
        return findings
    }

    // MARK: - One member

    private func health(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        if facts.health.isHealthy { return [] }
        return [
            EtcdFinding(
                .refusal,
                host: node.name,
                "the member is not healthy",
                why: facts.health.complaints.joined(separator: "; "),
                remedy: "repair it, and disarm alarms, before anything else is changed"
            )
        ]
    }

    private func stores(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        func add(
            _ severity: EtcdFinding.Severity,
            _ what: String,
            why: String? = nil,
            remedy: String? = nil
        ) {
            findings.append(EtcdFinding(severity, host: node.name, what, why: why, remedy: remedy))
        }
        if case .failure(let error) = facts.fingerprint { add(.refusal, error.message, remedy: error.remedy) }
        if let count = facts.count {
            if !requirements.acceptsV3Data, count.count > 0 || count.revision > 1 {
                add(
                    .refusal,
                    "the v3 store is not empty: \(count.count) keys, revision \(count.revision)",
                    why: "a migration overwrites v3 keys whose revisions collide with v2 indexes",
                    remedy: "if the v3 data may be lost, remove it; if it was migrated before, there is nothing to do"
                )
            }
        } else {
            add(
                .refusal,
                "the v3 store cannot be counted",
                why: facts.countRefusal,
                remedy: "if v3 authentication is on, turn it off for the migration"
            )
        }
        if let leases = facts.leases?.ids.count, leases > 0 {
            add(
                requirements.acceptsV3Data ? .warning : .refusal,
                "\(leases) v3 leases exist",
                why: "somebody uses the v3 API already",
                remedy: "stop v3 clients and revoke their leases"
            )
        }
        if facts.v2AuthEnabled == true {
            add(
                .warning,
                "v2 authentication is on",
                why: "v2 users and roles are not migrated",
                remedy: "set up v3 users and roles after the migration"
            )
        }
        return findings
    }

    private func versions(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        func refuse(_ what: String, why: String? = nil, remedy: String? = nil) {
            findings.append(EtcdFinding(.refusal, host: node.name, what, why: why, remedy: remedy))
        }
        let server = facts.version.server
        if !requirements.versions.contains(server) {
            refuse(
                "etcd \(server) is not in \(requirements.versions)",
                remedy: "upgrade one minor version at a time first"
            )
        }
        if let cluster = facts.version.cluster, (cluster.major, cluster.minor) != (server.major, server.minor) {
            refuse(
                "the cluster speaks \(cluster) while the member is \(server)",
                remedy: "finish the upgrade of all members first"
            )
        }
        guard let etcdctl = facts.node.etcdctlVersion else {
            refuse("\(node.settings.etcdctl) does not tell its version", remedy: "set etcdctl to one of 3.0.14 to 3.4")
            return findings
        }
        if etcdctl < EtcdVersion(3, 0, 14) {
            refuse(
                "etcdctl \(etcdctl) cannot be used",
                why: "its migrate sets a wrong consistent index (kubernetes #36056, fixed in 3.0.14)",
                remedy: "install etcdctl of the cluster's version"
            )
        } else if etcdctl >= EtcdVersion(3, 5, 0) || !facts.node.etcdctlHasMigrate {
            refuse("etcdctl \(etcdctl) has no migrate", why: "it was removed in 3.5.0", remedy: "install etcdctl 3.4")
        } else if !requirements.versions.contains(etcdctl) {
            refuse("etcdctl \(etcdctl) is not in \(requirements.versions)", remedy: "install another etcdctl")
        }
        if let cluster = facts.version.cluster, (etcdctl.major, etcdctl.minor) < (cluster.major, cluster.minor) {
            refuse(
                "etcdctl \(etcdctl) is older than the cluster's version \(cluster)",
                why: "it stops with “invalid downgrade”",
                remedy: "install etcdctl \(cluster.major).\(cluster.minor)"
            )
        }
        return findings
    }

    /// Whether the files are those of the running member, and the programs are there.
    private func place(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        func refuse(_ what: String, why: String? = nil, remedy: String? = nil) {
            findings.append(EtcdFinding(.refusal, host: node.name, what, why: why, remedy: remedy))
        }
        let (settings, found) = (node.settings, facts.node)
        if found.process == nil {
            refuse(
                "no etcd process was found behind \(settings.endpoint)",
                why: "so it is not proven that \(settings.dataDir) is its data dir",
                remedy: "use become: true, and the etcd_endpoint of this very node"
            )
        } else {
            if !found.isDataDirOpen {
                refuse(
                    "etcd_data_dir \(settings.dataDir) is not the running member's",
                    why: found.openDataDir.map { "it has \($0) open" },
                    remedy: "set etcd_data_dir for this host"
                )
            }
            if !found.isWALDirOpen {
                refuse(
                    "the WAL is not in \(settings.walDir ?? settings.dataDir + "/member/wal")",
                    why: found.openWALDir.map { "the member has \($0) open" },
                    remedy: "set etcd_wal_dir for this host"
                )
            }
        }
        if found.isDataDirOpen, let owner = found.databaseOwner, owner != settings.user {
            refuse("the db belongs to \(owner), not to \(settings.user)", remedy: "set etcd_user for this host")
        }
        if let user = found.processUser, user != settings.user, user != found.databaseOwner {
            refuse("etcd runs as \(user), not as \(settings.user)", remedy: "set etcd_user for this host")
        }
        for check in found.corruptionChecks {
            refuse(
                "corruption checks are on: \(check)",
                why: "members differ during the roll, and a CORRUPT alarm would block them",
                remedy: "restart the member without it; it may be turned on again afterwards"
            )
        }
        if !found.missingTools.isEmpty {
            refuse("missing on the node: \(found.missingTools.joined(separator: ", "))", remedy: "install them")
        }
        return findings
    }
}
