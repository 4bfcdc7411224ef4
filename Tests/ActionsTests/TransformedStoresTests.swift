// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import TestSupport
import Testing

@testable import Actions
@testable import Etcd

/// What is proven at the end where keys went through a transformer, on a real cluster.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct TransformedStoresTests {
    private func verify() throws -> EtcdVerified {
        try EtcdVerified(Parameters(["transformer": .string("/opt/t")]))
    }

    private func facts(_ records: [String: String], revision: String, before: String = "0") -> MemoryFacts {
        MemoryFacts(
            records.reduce(into: [:]) { facts, host in
                facts["\(host.key):migrated_revision"] = revision
                facts["\(host.key):migrated_keys"] = host.value
                facts["\(host.key):transformer"] = "/opt/t"
                facts["\(host.key):v3_keys"] = before
            }
        )
    }

    @Test func `records are compared between members and with what v3 holds, and v2 is not`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/only/in/v2", "x")])
            try await cluster.sh("for n in 1 2 3; do etcdctl --endpoints $url put /k$n x; done")
            let revision = "4"
            let all = ["n1": "3", "n2": "3", "n3": "3"]
            func proof(_ facts: MemoryFacts) async throws -> String {
                try await failure(of: verify(), cluster.context(facts))
            }
            let known = facts(all, revision: revision)
            let run = try await proof(known)
            #expect(run.contains("not compared key by key; 3 records were made and counted"), "\(run)")
            #expect(run.hasSuffix("v3 holds 3 keys"), "\(run)")
            #expect(known.fact("n2:keys") == "3", "the report says how many keys each member has")
            let how = try await verify().perform(cluster.context(known)).values["how"]
            #expect(how == "not key by key: the keys went through /opt/t")
            let alone = try await proof(MemoryFacts())
            #expect(alone.hasSuffix("v3 holds 3 keys on each member") && !alone.contains("records"), "\(alone)")
            let history = try await proof(facts(all.mapValues { _ in "5" }, revision: revision))
            #expect(
                history.hasSuffix("5 records were made and counted before the members were started, v3 holds 3 keys")
            )
            let seeded = try await proof(facts(["n3": "3"], revision: revision))
            #expect(seeded.contains("3 records were made"), "\(seeded)")

            let split = try await proof(facts(all.merging(["n2": "2"]) { $1 }, revision: revision))
            #expect(split.contains("did not make the same number of records"), "\(split)")
            #expect(split.contains("n2: 2 records"), "\(split)")
            for wrong in ["2", "0"] {
                let stray = try await proof(facts(all.mapValues { _ in wrong }, revision: revision))
                #expect(
                    stray.contains("v3 holds 3 keys, and the transformer /opt/t made \(wrong) records"),
                    "\(stray)"
                )
            }
            let full = try await proof(facts(all.mapValues { _ in "2" }, revision: revision, before: "1"))
            #expect(full.hasSuffix("v3 holds 3 keys"), "what was there before is counted, too: \(full)")

            // Clients write: the keys of the revision that was left cannot be counted any more.
            try await cluster.sh("etcdctl --endpoints $url put /later x")
            let later = MemoryFacts(facts(all, revision: revision).all)
            let summary = try await proof(later)
            #expect(summary.hasSuffix("counted before the members were started"), "\(summary)")
            #expect(later.fact("n1:keys") == nil)
        }
    }

    @Test func `members that differ are told, with a transformer as without`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/a", "1")])
            let facts = MemoryFacts()
            try await cluster.migrate(cluster.members[0], "")
            let message = try await failure(of: verify(), cluster.context(facts))
            #expect(message.contains("the members' v3 stores are not equal"), "\(message)")
        }
    }

    @Test func `keys in directories that expire are left as the transformer made them, and leases are refused`()
        async throws
    {
        try await EtcdCluster.with(size: 1) { cluster in
            let facts = facts(["n1": "1"], revision: "2")
            let skip = try EtcdTTLKeys(Parameters(["ttl_keys": .string("skip")]))
            let evidence = try await skip.perform(cluster.context(facts))
            #expect(evidence.summary.contains("went through /opt/t, and stay"), "\(evidence)")
            let lease = try EtcdTTLKeys(Parameters(["ttl_keys": .string("lease")]))
            let message = try await failure(of: lease, cluster.context(facts))
            #expect(message.contains("/opt/t would have made"), "\(message)")
        }
    }
}
