// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Remote
import TestSupport
import Testing

@testable import Actions
@testable import Etcd

/// Preflight on real clusters.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct EtcdReadyTests {
    private func action(_ values: [String: Value] = [:]) throws -> EtcdReady { try EtcdReady(Parameters(values)) }

    @Test func `a good cluster is ready, and its baseline is recorded`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/a/b", "1"), ("/c", "2")])
            let facts = MemoryFacts()
            let evidence = try await action().perform(cluster.context(facts))
            #expect(evidence.summary.contains("3 members of etcd 3.4.23 are ready"))
            #expect(facts.fact("baseline_keys") == "2")
            #expect(facts.fact("baseline_max_index") == evidence.values["baseline_max_index"])
            #expect(facts.fact("baseline_fingerprint")?.count == 64)
            #expect(["n1", "n2", "n3"].contains(facts.fact("leader") ?? ""))
            #expect(Set(["n1", "n2", "n3"].compactMap { facts.fact("\($0):member_id") }).count == 3)
            #expect(facts.fact("n2:member_name") == "n2")
            #expect(facts.fact("n2:etcdctl_version") == "3.4.23")
            #expect(facts.fact("n1:v3_revision") == "1")
            // No snapshot yet: said, but no reason to refuse.
            #expect(evidence.values["finding.snapshot_file"]?.contains("no snapshot exists on n1, n2, n3") == true)
        }
    }

    @Test func `all findings come at once`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/expires", "1")], ttl: 3600)
            try await cluster.sh("etcdctl --endpoints $url put /v3 x; etcdctl --endpoints $url lease grant 600")
            try await cluster.sh("curl -sf -X PUT $url/v2/keys/ttldir -d dir=true -d ttl=3600")
            let targets = cluster.targets([
                "etcd_data_dir": .string(cluster.members[0].dataDir), "etcd_user": .string("etcd"),
                "etcdctl": .string("no-such-etcdctl"),
            ])
            let message = try await failure(of: action(), cluster.context(MemoryFacts(), targets: targets))
            #expect(message.contains("n1: the v3 store is not empty: 1 keys, revision 2"))
            #expect(message.contains("n3: the v3 store is not empty"))
            #expect(message.contains("1 v3 leases exist"))
            #expect(message.contains("1 keys have a TTL: /expires (3"))
            #expect(message.contains("1 directories have a TTL: /ttldir"))
            #expect(message.contains("n2: etcd_data_dir \(cluster.members[0].dataDir) is not the running member's"))
            #expect(!message.contains("n1: etcd_data_dir"))
            #expect(message.contains("n1: the db belongs to root, not to etcd"))
            #expect(message.contains("missing on the node: no-such-etcdctl"))
        }
    }

    @Test func `what is allowed is not refused`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/expires", "1")], ttl: 3600)
            try await cluster.sh("etcdctl --endpoints $url put /v3 x")
            let lenient = try action(["ttl_keys": .string("warn"), "v3_store": .string("any")])
            let facts = MemoryFacts()
            let evidence = try await lenient.perform(cluster.context(facts))
            #expect(evidence.values.values.contains { $0.contains("1 keys have a TTL") })
            #expect(facts.fact("baseline_permanent_keys") == "0")
            #expect(facts.fact("n1:v3_revision") == "2")
        }
    }

    @Test func `hidden keys of a snapshot are refused by name`() async throws {
        try await EtcdCluster.with(arguments: ["--enable-v2=true", "--snapshot-count=5"]) { cluster in
            try await cluster.put([("/_secret/x", "1"), ("/a/_inner", "2"), ("/b", "{\"Path\":\"/1/_fake\"}")])
            try await cluster.put((0..<20).map { ("/k\($0)", "v") })
            let context = cluster.context(MemoryFacts())
            let message = try await failure(of: action(), context)
            #expect(message.contains("2 hidden keys: "))
            #expect(message.contains("/_secret/x") && message.contains("/a/_inner"))
            #expect(!message.contains("_fake"))
            _ = try await action(["hidden_keys": .string("allow")]).perform(context)
        }
    }

    @Test func `a member that no host of the inventory is, and one that is out, are refused`() async throws {
        try await EtcdCluster.with { cluster in
            let two = Array(cluster.targets().prefix(2))
            let message = try await failure(of: action(), cluster.context(MemoryFacts(), targets: two))
            #expect(message.contains("the cluster has a member that no host of the inventory is: n3"))
            try await cluster.stop(cluster.members[2])
            let silent = try await failure(of: action(), cluster.context(MemoryFacts()))
            #expect(silent.contains("n3: etcd does not answer at \(cluster.members[2].clientURL)"))
        }
    }

    @Test func `two hosts that reach one member are refused`() async throws {
        try await EtcdCluster.with { cluster in
            var targets = cluster.targets()
            targets[2].variables["etcd_endpoint"] = .string(cluster.members[1].clientURL)
            let message = try await failure(of: action(), cluster.context(MemoryFacts(), targets: targets))
            #expect(message.contains("n2 and n3 reach the same member"))
        }
    }

    @Test func `an alarm, a corruption check and a v2 API that is off are refused`() async throws {
        try await EtcdCluster.with(arguments: [
            "--quota-backend-bytes=16384", "--experimental-corrupt-check-time=1h",
        ]) { cluster in
            _ = try? await cluster.sh(
                "for i in 1 2 3 4 5 6 7 8; do etcdctl --endpoints $url put /k$i $(seq 1 900 | tr '\\n' x); done"
            )
            let message = try await failure(of: action(), cluster.context(MemoryFacts()))
            #expect(message.contains("alarm:NOSPACE"))
            #expect(message.contains("corruption checks are on: --experimental-corrupt-check-time=1h"))
            #expect(message.contains("etcd's v2 API is off"))
        }
    }

    @Test func `members that hold different v2 keys are refused with the key's name`() async throws {
        try await EtcdCluster.with(size: 1) { first in
            try await EtcdCluster.with(size: 1) { second in
                try await first.put([("/same", "1"), ("/differs", "secret")])
                try await second.put([("/same", "1"), ("/differs", "hidden")])
                var other = second.targets()[0]
                other.host = LocalHost(name: "n2")
                let nodes = [first.targets()[0], other].map(\.etcdNode)
                let facts = await ClusterProbe.facts(nodes).compactMapValues { try? $0.get() }
                let findings = await StandstillCheck(nodes: nodes, facts: facts).findings()
                let text = findings.map(\.description).joined(separator: "\n")
                #expect(findings.map(\.severity) == [.refusal])
                #expect(text.contains("the members hold different v2 keys"))
                #expect(text.contains("/differs (n1: created"))
                #expect(!text.contains("/same") && !text.contains("secret"))
            }
        }
    }

    @Test func `members that differed while they were written to are not refused`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/a", "1")])
            // What a member looks like whose data was put back without its peers: another store under the same ids.
            let nodes = cluster.targets()
            let review = await ClusterProbe.facts(nodes.map(\.etcdNode))
            var facts = try review.mapValues { try $0.get() }
            var print = try #require(facts["n2"]).fingerprint.get()
            print.permanent = String(repeating: "0", count: 64)
            facts["n2"]?.fingerprint = .success(print)
            // Seen only once: the second look finds them equal, so that nothing is refused.
            let findings = await StandstillCheck(nodes: nodes.map(\.etcdNode), facts: facts).findings()
            #expect(findings.isEmpty)
        }
    }

    @Test func `versions are judged by the range, the cluster and what migrate needs`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let context = cluster.context(MemoryFacts())
            let narrow = try await failure(of: action(["versions": .string(">=3.0.14 <3.4")]), context)
            #expect(narrow.contains("etcd 3.4.23 is not in >=3.0.14 <3.4"))
            let nodes = context.etcdNodes
            var facts = try #require(await ClusterProbe.facts(nodes)["n1"]).get()
            func findings(_ etcdctl: EtcdVersion, _ hasMigrate: Bool = true) throws -> String {
                facts.node.etcdctlVersion = etcdctl
                facts.node.etcdctlHasMigrate = hasMigrate
                return EtcdReadyReview(
                    requirements: try action().requirements,
                    nodes: nodes,
                    answers: ["n1": .success(facts)]
                ).findings.filter { $0.severity == .refusal }.map(\.description).joined(separator: "\n")
            }
            #expect(try findings(EtcdVersion(3, 4, 31)).isEmpty)
            #expect(try findings(EtcdVersion(3, 0, 13)).contains("wrong consistent index"))
            #expect(try findings(EtcdVersion(3, 5, 0), false).contains("removed in 3.5.0"))
            #expect(try findings(EtcdVersion(3, 3, 25)).contains("older than the cluster's version 3.4.0"))
            #expect(throws: ActionFailure.self) { try action(["versions": .string("new")]) }
        }
    }
}
