// SPDX-License-Identifier: Apache-2.0

import Etcd

extension EtcdReadyReview {
    /// Whether a member's two stores can be read, and v3 is as it must be.
    func stores(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings = v3Store(node, facts)
        if case .failure(let error) = facts.fingerprint {
            findings.append(EtcdFinding(.v2API, host: node.name, error.message, remedy: error.remedy))
        }
        if let leases = facts.leases?.ids, !leases.isEmpty {
            let some = leases.prefix(3).map { "\($0)" }.joined(separator: ", ")
            findings.append(
                EtcdFinding(
                    .leases,
                    host: node.name,
                    "\(leases.count) v3 leases exist: \(some)\(leases.count > 3 ? ", …" : "")",
                    why: "somebody uses the v3 API already",
                    remedy: "stop v3 clients and revoke their leases"
                )
            )
        }
        return findings
    }

    private func v3Store(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        guard let count = facts.count else {
            let refusal = facts.countRefusal ?? ""
            let isAuth = [
                "user name is empty", "permission denied", "invalid auth token", "Unauthenticated",
                "invalid user ID or password", "etcd_auth_password_file",
            ]
            .contains { refusal.contains($0) }
            return [
                EtcdFinding(
                    isAuth ? .v3Auth : .reachable,
                    host: node.name,
                    "the v3 store cannot be counted" + (isAuth ? ", because v3 authentication is on" : ""),
                    why: facts.countRefusal,
                    remedy: isAuth ? Self.login(node.settings) : "see etcd's log"
                )
            ]
        }
        if let refusal = facts.adminRefusal {
            return [
                EtcdFinding(
                    .v3Auth,
                    host: node.name,
                    "the v3 store cannot be hashed, because v3 authentication is on",
                    why: refusal,
                    remedy: Self.login(node.settings)
                )
            ]
        }
        guard count.count > 0 || count.revision > 1 else { return [] }
        return [
            EtcdFinding(
                .v3Store,
                host: node.name,
                "the v3 store is not empty: \(count.count) keys, revision \(count.revision)",
                why: "a migration overwrites v3 keys whose revisions collide with v2 indexes",
                remedy: "if it was migrated before, there is nothing to do; where the v3 data may be overwritten, "
                    + "set v3_store to any"
            )
        ]
    }

    private static func login(_ settings: EtcdSettings) -> String {
        guard let login = settings.login else {
            return
                "set etcd_auth_user to a user with the role root, and etcd_auth_password_file to a file on the node with its "
                + "password"
        }
        return "see that \(login.user) has the role root, and that \(login.passwordFile) on the node holds its password"
    }

    /// The server's and etcdctl's versions.
    func versions(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        func refuse(_ what: String, why: String? = nil, remedy: String) {
            findings.append(EtcdFinding(.versions, host: node.name, what, why: why, remedy: remedy))
        }
        let server = facts.version.server
        if server >= Self.withoutMigrate {
            refuse(
                "etcd \(server) cannot be migrated in place",
                why:
                    "migrate was removed in 3.5.0, and what that of 3.4 does to the files of a later etcd is not known",
                remedy:
                    "copy the keys through both APIs while nothing writes (read v2, write v3), or into a cluster of "
                    + "3.4 that is migrated; they get new revisions. 3.6 has no v2 API any more"
            )
        } else if !requirements.versions.contains(server) {
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
        return findings + etcdctl(node, facts)
    }

    private static let withoutMigrate = EtcdVersion(3, 5, 0)

    private func etcdctl(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        func refuse(_ what: String, why: String? = nil, remedy: String) {
            findings.append(EtcdFinding(.etcdctl, host: node.name, what, why: why, remedy: remedy))
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
        } else if etcdctl >= Self.withoutMigrate || !facts.node.etcdctlHasMigrate {
            refuse(
                "etcdctl \(etcdctl) has no migrate",
                why: "it was removed in 3.5.0",
                remedy: facts.version.server < Self.withoutMigrate
                    ? "upload one of 3.4, checked by its sha256 (the playbook's tools), and set etcdctl to its path"
                    : "one of 3.4 does not help with etcd \(facts.version.server)"
            )
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
}
