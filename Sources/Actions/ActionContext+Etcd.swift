// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote

extension ActionTarget {
    /// The host as a member of an etcd cluster.
    package var etcdNode: EtcdNode {
        EtcdNode(name: host.name, host: host, settings: EtcdSettings(variables: variables))
    }
}

extension ActionContext {
    var etcdNodes: [EtcdNode] { cluster.map(\.etcdNode) }

    /// A fact of a host; an empty one counts as absent, which is how a fact is taken back.
    func fact(_ name: String, of host: String) async throws(ActionFailure) -> String? {
        try await fact("\(host):\(name)")
    }

    func fact(_ name: String) async throws(ActionFailure) -> String? {
        guard let value = try await facts.fact(name), !value.isEmpty else { return nil }
        return value
    }

    /// Hosts whose store was migrated in this run: `host:migrated_revision` is set.
    func migratedHosts() async throws(ActionFailure) -> Set<String> {
        var hosts: Set<String> = []
        for target in cluster where try await fact("migrated_revision", of: target.host.name) != nil {
            hosts.insert(target.host.name)
        }
        return hosts
    }

    /// The program that the keys of a migrated host went through, so that v3 need not hold what v2 does.
    func transformer() async throws(ActionFailure) -> String? {
        for target in cluster {
            if let program = try await fact("transformer", of: target.host.name) { return program }
        }
        return nil
    }

    /// The revision that the migration left on all members; `nil` when they were not migrated in this run, or differ.
    ///
    /// Where one member was migrated and the others were added to it, it is that member's.
    func migratedRevision() async throws(ActionFailure) -> Int64? {
        if let seed = try await fact(ReseedFact.seed), !seed.isEmpty {
            return try await fact("migrated_revision", of: seed).flatMap { Int64($0) }
        }
        var revisions: Set<Int64> = []
        for target in cluster {
            guard let text = try await fact("migrated_revision", of: target.host.name), let number = Int64(text) else {
                return nil
            }
            revisions.insert(number)
        }
        return revisions.count == 1 ? revisions.first : nil
    }

    /// Whether keys with a TTL were, or are to be, left out: the preflight said so, or `host:no_ttl` is set on any host.
    func leavesTTLKeysOut() async throws(ActionFailure) -> Bool {
        if let policy = try await fact("policy.ttl_keys").flatMap(TTLPolicy.init), policy.leavesOut { return true }
        for target in cluster {
            if let value = try await fact("no_ttl", of: target.host.name), value != "false" { return true }
        }
        return false
    }
}

extension ActionFailure {
    init(_ error: EtcdProbeError) {
        self.init(error.description, remedy: nil)
    }

    /// Several problems under one headline, one a line.
    init(_ headline: String, problems: [String], remedy: String? = nil) {
        self.init(([headline + ":"] + problems.map { "- \($0)" }).joined(separator: "\n"), remedy: remedy)
    }
}
