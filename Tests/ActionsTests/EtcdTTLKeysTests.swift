// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import TestSupport
import Testing

@testable import Actions
@testable import Etcd
@testable import Rollout

/// Keys that expire, left out of a migration and written to v3 with leases, on real clusters.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct EtcdTTLKeysTests {
    private func action(_ policy: String) throws -> EtcdTTLKeys {
        try EtcdTTLKeys(Parameters(["ttl_keys": .string(policy)]))
    }

    /// Seeds keys of each kind, passes the first gate, and migrates all members by hand with `--no-ttl`.
    private func migrate(
        _ cluster: EtcdCluster,
        directorySeconds: Int = 500
    ) async throws -> MemoryFacts {
        try await cluster.put((0..<20).map { ("/stay/\($0)", "v\($0)") })
        try await cluster.put([("/short/a", Self.odd), ("/short/b-b", "second")], ttl: 300)
        try await cluster.put([("/short/later", "x")], ttl: 301)
        try await cluster.sh("curl -sf -o /dev/null -XPUT $url/v2/keys/dir -d dir=true -d ttl=\(directorySeconds)")
        try await cluster.put([("/dir/in", "inherited"), ("/dir/deep/er", "too")])
        try await cluster.put([("/dir/own", "both")], ttl: 100)
        try await cluster.put([("/dir-beside", "stays")])
        let facts = MemoryFacts(["baseline_fingerprint": "x", "policy.ttl_keys": "lease"])
        _ = try await EtcdConsistent(Parameters([:])).perform(cluster.context(facts))
        for index in 0..<3 { try await cluster.migrate(index, facts, "--no-ttl") }
        for member in cluster.members {
            facts.record("\(member.name):migrated_revision", facts.fact("gate_permanent_max_index") ?? "")
        }
        return facts
    }

    private static let odd = #"a "quoted" \ é 漢 <tag> & {"key":"/x","expiration":"y","ttl":5}"#

    private func v3(_ cluster: EtcdCluster, _ key: String, _ member: Int = 0) async throws -> String {
        let url = cluster.members[member].clientURL
        return try await cluster.sh("etcdctl --endpoints \(url) get '\(key)' --print-value-only --consistency=s")
    }

    private func count(_ cluster: EtcdCluster) async throws -> Int {
        let names = try await cluster.sh("etcdctl --endpoints $url get '' --from-key --keys-only | grep -c .")
        return try #require(Int(names.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    @Test func `lease binds keys to leases of the time that they have left, and can be done again`() async throws {
        try await EtcdCluster.with { cluster in
            let began = ContinuousClock.now
            let facts = try await migrate(cluster)
            #expect(try await count(cluster) == 23, "the lasting ones, and those that etcdctl does not leave out")
            let context = cluster.context(facts)
            let evidence = try await action("lease").perform(context)
            #expect(evidence.values["keys"] == "6")
            #expect(evidence.values["written"] == "6")
            #expect(evidence.values["left"] == "0")
            let leases = try #require(Int(evidence.values["leases"] ?? ""))
            #expect((3...5).contains(leases), "\(leases) leases for four lengths that lie near each other")
            #expect(try await count(cluster) == 27)
            for member in 0..<3 { #expect(try await v3(cluster, "/short/a", member) == Self.odd + "\n") }
            // The shortest of its own time and that of the directory above it counts.
            for (key, seconds) in [("/short/later", 300), ("/dir/own", 100), ("/dir/in", 500)] {
                let left = try await cluster.leaseSeconds(of: key)
                let passed = Int((ContinuousClock.now - began) / .seconds(1)) + 2
                #expect((seconds - passed...seconds + 2).contains(left), "\(key): \(left) after \(passed) s")
            }
            #expect(try await cluster.lease(of: "/dir-beside") == 0)
            let again = try await action("lease").perform(context)
            #expect(again.values["written"] == "0")
            #expect(again.values["left"] == "6")
            #expect(try await v3(cluster, "/dir/in") == "inherited\n")
            let proof = try await EtcdVerified(Parameters([:])).perform(context)
            #expect(proof.values["keys"] == "23")
        }
    }

    @Test func `a controller that dies at any change leaves nothing that stays`() async throws {
        try await EtcdCluster.with { cluster in
            let facts = try await migrate(cluster)
            for (changes, isLate) in [(0, false), (0, true), (1, false), (1, true), (2, false)] {
                let targets = cluster.targets(cutAfter: changes, isLate: isLate)
                _ = try? await action("lease").perform(cluster.context(facts, targets: targets))
            }
            let evidence = try await action("lease").perform(cluster.context(facts))
            #expect(evidence.values["written"] == "0" && evidence.values["left"] == "6", "\(evidence)")
            var bound: Set<UInt64> = []
            for key in ["/short/a", "/short/b-b", "/short/later", "/dir/in", "/dir/deep/er", "/dir/own"] {
                bound.insert(try await cluster.lease(of: key))
            }
            #expect(!bound.contains(0) && (3...5).contains(bound.count), "\(bound)")
            #expect(try await cluster.leaseCount() == bound.count, "no lease stays without a key")
            #expect(try await count(cluster) == 27)
        }
    }

    @Test func `a lease that is somebody else's is not touched`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.sh("etcdctl --endpoints $url lease grant 500")
            let writing = try await V3Writing(cluster.context(MemoryFacts()))
            let own = try await writing.grant([500, 600])
            _ = try await writing.run([V3Transaction(Array("k".utf8), if: .absent, .put(value: [1], lease: own[1]))])
            #expect(try await cluster.leaseCount() == 3)
            try await writing.revokeUnused()
            #expect(try await cluster.leaseCount() == 2)
            #expect(try await cluster.lease(of: "k") == UInt64(own[1]))
        }
    }

    @Test func `a key that somebody has written to v3 meanwhile is left as it is`() async throws {
        try await EtcdCluster.with { cluster in
            let facts = try await migrate(cluster)
            try await cluster.sh(
                "etcdctl --endpoints $url put /short/a mine; etcdctl --endpoints $url put /dir/in mine"
            )
            let evidence = try await action("lease").perform(cluster.context(facts))
            #expect(evidence.values["written"] == "4")
            #expect(evidence.values["left"] == "2")
            for key in ["/short/a", "/dir/in"] {
                #expect(try await v3(cluster, key) == "mine\n")
                #expect(try await cluster.lease(of: key) == 0)
            }
        }
    }

    @Test func `a key expires in v3 as it does in v2`() async throws {
        try await EtcdCluster.with { cluster in
            let facts = try await migrate(cluster)
            try await cluster.put([("/soon", "x")], ttl: 3)
            _ = try await action("lease").perform(cluster.context(facts))
            #expect(try await v3(cluster, "/soon") == "x\n")
            try await cluster.sh(
                "n=0; while [ -n \"$(etcdctl --endpoints $url get /soon)\" ]; do n=$((n+1)); [ $n -lt 200 ] || exit 1; sleep 0.1; done"
            )
        }
    }

    @Test func `skip removes what etcdctl has migrated from directories that expire`() async throws {
        try await EtcdCluster.with { cluster in
            let facts = try await migrate(cluster)
            let evidence = try await action("skip").perform(cluster.context(facts))
            #expect(evidence.values["written"] == "2")
            #expect(try await count(cluster) == 21)
            #expect(try await v3(cluster, "/dir/in").isEmpty)
            #expect(try await v3(cluster, "/dir-beside") == "stays\n")
        }
    }

    @Test(arguments: ["skip", "lease"])
    func `what was migrated from a directory that has expired since is removed`(_ policy: String) async throws {
        try await EtcdCluster.with { cluster in
            let facts = try await migrate(cluster, directorySeconds: 25)
            #expect(try await v3(cluster, "/dir/deep/er") == "too\n", "the directory must outlive the migration")
            try await cluster.sh(
                "n=0; while curl -sf -o /dev/null $url/v2/keys/dir; do n=$((n+1)); [ $n -lt 400 ] || exit 1; sleep 0.1; done"
            )
            // The gate knows that a directory's end is no stray write, and so does the proof.
            _ = try await EtcdConsistent(Parameters([:])).perform(cluster.context(facts))
            _ = try await EtcdVerified(Parameters([:])).perform(cluster.context(facts))
            _ = try await action(policy).perform(cluster.context(facts))
            #expect(try await count(cluster) == (policy == "skip" ? 21 : 24))
            #expect(try await v3(cluster, "/dir/deep/er").isEmpty)
        }
    }
}
