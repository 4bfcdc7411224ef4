// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Remote
import TestSupport
import Testing

@testable import Actions
@testable import Etcd
@testable import Rollout

/// Hidden keys, which etcdctl does not migrate, written to v3 afterwards, on real clusters.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct EtcdHiddenKeysTests {
    private static let odd = #"a "quoted" \ é 漢 <tag> & {"key":"/x","expiration":"y","ttl":5} \ufffd"#
    private static let hidden = [
        ("/_plain", "one"), ("/_dir/visible/deep", "two"), ("/_dir/visible/_twice", "three"), ("/app/_inner", odd),
        ("/_empty", ""),
    ]

    private func action(_ policy: String, ttl: String = "refuse") throws -> EtcdHiddenKeys {
        try EtcdHiddenKeys(Parameters(["hidden_keys": .string(policy), "ttl_keys": .string(ttl)]))
    }

    /// Seeds visible and hidden keys, passes the first gate, and migrates all members by hand.
    private func migrate(_ cluster: EtcdCluster, _ flags: String = "") async throws -> MemoryFacts {
        try await cluster.put((0..<10).map { ("/app/\($0)", "v\($0)") } + Self.hidden + [("/_gone", "x")])
        try await cluster.sh("curl -sf -o /dev/null -X DELETE $url/v2/keys/_gone")
        let facts = MemoryFacts(["baseline_fingerprint": "x"])
        _ = try await EtcdConsistent(Parameters([:])).perform(cluster.context(facts))
        for index in cluster.members.indices { try await cluster.migrate(index, facts, flags) }
        return facts
    }

    private func v3(_ cluster: EtcdCluster, _ key: String, _ member: Int = 0) async throws -> String {
        let url = cluster.members[member].clientURL
        return try await cluster.sh("etcdctl --endpoints \(url) get '\(key)' --print-value-only --consistency=s")
    }

    private func names(_ cluster: EtcdCluster) async throws -> [String] {
        try await cluster.sh("etcdctl --endpoints $url get '' --from-key --keys-only").split(separator: "\n")
            .map(String.init)
    }

    @Test func `copy writes each hidden key to v3 as it is in v2, on all members, and can be done again`() async throws
    {
        try await EtcdCluster.with { cluster in
            let facts = try await migrate(cluster)
            #expect(try await names(cluster).count == 10, "etcdctl migrates none of them")
            let evidence = try await action("copy").perform(cluster.context(facts))
            #expect(evidence.values["keys"] == "5", "\(evidence)")
            #expect(evidence.values["written"] == "5", "\(evidence)")
            #expect(evidence.summary.contains("/_dir/visible/_twice, /_dir/visible/deep"), "\(evidence.summary)")
            for (key, value) in Self.hidden {
                for member in 0..<3 { #expect(try await v3(cluster, key, member) == value + "\n", "\(key)") }
            }
            #expect(try await names(cluster).count == 15)
            let again = try await action("copy").perform(cluster.context(facts))
            #expect(again.values["written"] == "0")
            #expect(again.summary.contains("5 were there already"), "\(again.summary)")
            #expect(again.values["revision"] == evidence.values["revision"], "nothing is written twice")
            // What was migrated is still compared as the migration left it, in the run and without it.
            for known in [facts, MemoryFacts()] {
                let proof = try await EtcdVerified(Parameters([:])).perform(cluster.context(known))
                #expect(proof.values["keys"] == "10", "\(proof)")
            }
        }
    }

    @Test func `a key that is in v3 with another value is named and never overwritten`() async throws {
        try await EtcdCluster.with { cluster in
            let facts = try await migrate(cluster)
            try await cluster.sh("etcdctl --endpoints $url put /_plain mine; etcdctl --endpoints $url put /_empty ''")
            let message = try await failure(of: action("copy"), cluster.context(facts))
            #expect(message.contains("not overwritten"), "\(message)")
            #expect(message.contains("/_plain (v2: modified") && message.contains("sha256:"), "\(message)")
            #expect(!message.contains("mine") && !message.contains("/_empty"), "\(message)")
            #expect(try await names(cluster).count == 12, "nothing was written")
            try await cluster.sh("etcdctl --endpoints $url del /_plain")
            let evidence = try await action("copy").perform(cluster.context(facts))
            #expect(evidence.values["written"] == "4", "the empty one is there with the same value")
        }
    }

    @Test func `a key that comes into v3 between look and write stays as it is`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let facts = try await migrate(cluster)
            let target = cluster.targets()[0]
            let racing = RacingHost(inner: target.host) {
                _ = try? await cluster.sh("etcdctl --endpoints $url put /_plain mine")
            }
            let context = cluster.context(
                facts,
                targets: [ActionTarget(host: racing, variables: target.variables)]
            )
            let message = try await failure(of: action("copy"), context)
            #expect(try await v3(cluster, "/_plain") == "mine\n")
            #expect(message.contains("not in v3 as they are in v2") && message.contains("/_plain"), "\(message)")
        }
    }

    @Test func `a write to a hidden key while they are copied is found`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let facts = try await migrate(cluster)
            let target = cluster.targets()[0]
            let racing = RacingHost(inner: target.host) { try? await cluster.put([("/app/_inner", "late")]) }
            let context = cluster.context(
                facts,
                targets: [ActionTarget(host: racing, variables: target.variables)]
            )
            let message = try await failure(of: action("copy"), context)
            #expect(message.contains("1 hidden keys of v2 are not the same on before and after"), "\(message)")
            #expect(message.contains("/app/_inner") && !message.contains("late"), "\(message)")
        }
    }

    @Test func `members that do not hold the same hidden keys are named, and nothing is written`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await EtcdCluster.with(size: 1) { other in
                try await cluster.put([("/_same", "1"), ("/_differs", "2")])
                try await other.put([("/_same", "1"), ("/_differs", "3")])
                var stranger = other.targets()[0]
                stranger = ActionTarget(host: LocalHost(name: "n2"), variables: stranger.variables)
                let context = cluster.context(MemoryFacts(), targets: cluster.targets() + [stranger])
                for policy in ["copy", "skip", "refuse"] {
                    let message = try await failure(of: action(policy), context)
                    #expect(message.contains("not the same on n1 and n2"), "\(message)")
                    #expect(message.contains("/_differs") && !message.contains("/_same"), "\(message)")
                }
                #expect(try await names(other).isEmpty)
            }
        }
    }

    @Test func `skip names what is left out and writes nothing, and the other policies do nothing`() async throws {
        try await EtcdCluster.with { cluster in
            let facts = try await migrate(cluster)
            let evidence = try await action("skip").perform(cluster.context(facts))
            #expect(evidence.summary.hasPrefix("5 hidden keys are left out: /_dir/visible/_twice"), "\(evidence)")
            #expect(evidence.values["left_out"] == "5")
            for policy in ["warn", "allow"] {
                let idle = try action(policy)
                #expect(idle.traits.effect == .readOnly)
                _ = try await idle.perform(cluster.context(facts))
            }
            #expect(try await names(cluster).count == 10)
        }
    }

    @Test func `refuse halts for what v3 has not, and is content with what somebody has put there`() async throws {
        // A snapshot every few writes, so that the newest keys are in the WAL only, and others in the snapshot, too.
        try await EtcdCluster.with(arguments: ["--enable-v2=true", "--snapshot-count=10"]) { cluster in
            let facts = try await migrate(cluster)
            let context = cluster.context(facts)
            #expect(try action("refuse").traits.effect == .readOnly)
            try await cluster.put([("/_late", "secret")])
            let message = try await failure(of: action("refuse"), context)
            #expect(message.contains("6 hidden keys of v2 are not in v3 as they are in v2"), "\(message)")
            #expect(message.contains("/_late is not in v3, on all members"), "\(message)")
            #expect(!message.contains("secret") && !message.contains("/_gone"), "\(message)")
            #expect(try await names(cluster).count == 10, "nothing is written")

            _ = try await action("copy").perform(context)
            try await cluster.sh("etcdctl --endpoints $url put /_late other; etcdctl --endpoints $url del /app/_inner")
            let rest = try await failure(of: action("refuse"), context)
            #expect(rest.contains("2 hidden keys of v2 are not in v3"), "\(rest)")
            #expect(rest.contains("/_late (v2: modified") && rest.contains("/app/_inner is not in v3"), "\(rest)")
            #expect(!rest.contains("other") && !rest.contains("/_plain"), "\(rest)")

            // The two ways that the remedy tells.
            try await cluster.sh("etcdctl --endpoints $url put /_late secret")
            try await cluster.sh("curl -sf -o /dev/null -X DELETE $url/v2/keys/app/_inner")
            let evidence = try await action("refuse").perform(context)
            #expect(evidence.summary.hasPrefix("5 hidden keys are in v3 as they are in v2: /_dir"), "\(evidence)")
            for (key, _) in Self.hidden + [("/_late", "")] where key != "/app/_inner" {
                try await cluster.sh("curl -sf -o /dev/null -X DELETE $url/v2/keys\(key)")
            }
            let none = try await action("refuse").perform(context)
            #expect(none.summary == "no member has hidden keys", "\(none)")
        }
    }

    @Test func `a member that alone lacks a hidden key in v3 is named`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await EtcdCluster.with(size: 1) { other in
                for one in [cluster, other] { try await one.put([("/_same", "1")]) }
                try await cluster.sh("etcdctl --endpoints $url put /_same 1")
                var stranger = other.targets()[0]
                stranger = ActionTarget(host: LocalHost(name: "n2"), variables: stranger.variables)
                let context = cluster.context(MemoryFacts(), targets: cluster.targets() + [stranger])
                let message = try await failure(of: action("refuse"), context)
                #expect(
                    message.contains("1 hidden keys of v2") && message.contains("/_same is not in v3, on n2"),
                    "\(message)"
                )
            }
        }
    }

    @Test func `hidden keys that expire go by ttl_keys`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/_session", "own")], ttl: 900)
            try await cluster.sh(
                """
                curl -sf -o /dev/null -X PUT $url/v2/keys/_leased -d dir=true -d ttl=800
                curl -sf -o /dev/null -X PUT $url/v2/keys/shown -d dir=true -d ttl=700
                """
            )
            try await cluster.put([("/_leased/in", "hidden directory"), ("/shown/_in", "visible directory")])
            let facts = try await migrate(cluster, "--no-ttl")
            let context = cluster.context(facts)
            let message = try await failure(of: action("copy"), context)
            #expect(message.contains("2 hidden keys expire: /_leased/in, /_session"), "\(message)")
            let short = try await action("copy", ttl: "skip").perform(context)
            #expect(short.values["keys"] == "5" && short.values["left_out"] == "3", "\(short)")
            let leased = try await action("copy", ttl: "lease").perform(context)
            #expect(leased.values["written"] == "3" && leased.values["leases"] == "3", "\(leased)")
            for (key, seconds) in [("/_session", 900), ("/_leased/in", 800), ("/shown/_in", 700), ("/_plain", 0)] {
                let left = try await cluster.leaseSeconds(of: key)
                #expect((max(0, seconds - 120)...seconds).contains(left), "\(key): \(left)")
            }
            let again = try await action("copy", ttl: "lease").perform(context)
            #expect(again.values["written"] == "0" && again.values["leases"] == "0", "\(again)")
        }
    }

    @Test func `a controller that dies at any change leaves nothing half done`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/_session", "own")], ttl: 900)
            let facts = try await migrate(cluster, "--no-ttl")
            for (changes, isLate) in [(0, false), (0, true), (1, false), (1, true)] {
                let targets = cluster.targets(cutAfter: changes, isLate: isLate)
                _ = try? await action("copy", ttl: "lease").perform(cluster.context(facts, targets: targets))
            }
            let evidence = try await action("copy", ttl: "lease").perform(cluster.context(facts))
            #expect(evidence.values["keys"] == "6" && evidence.values["written"] == "0", "\(evidence)")
            #expect(try await cluster.leaseCount() == 1)
            #expect(try await cluster.leaseSeconds(of: "/_session") > 700)
            #expect(try await names(cluster).count == 16)
        }
    }

    @Test func `preflight lets hidden keys pass that are to be copied, and refuses what cannot be`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            func ready(_ policy: String) throws -> EtcdReady {
                try EtcdReady(Parameters(["hidden_keys": .string(policy)]))
            }
            try await cluster.put(Self.hidden + [("/shown", "1")])
            let context = cluster.context(MemoryFacts())
            let refused = try await failure(of: ready("refuse"), context)
            #expect(refused.contains("5 hidden keys") && refused.contains("[hidden_keys]"), "\(refused)")
            for policy in ["copy", "skip"] {
                let evidence = try await ready(policy).perform(context)
                let finding = evidence.values["finding.hidden_keys"] ?? ""
                #expect(finding.hasPrefix("allowed by policy: 5 hidden keys: /_"), "\(finding)")
                #expect(evidence.values["policy.hidden_keys"] == policy)
            }
            try await cluster.put([("/_session", "x")], ttl: 900)
            try await cluster.sh("curl -sf -o /dev/null -X PUT $url/v2/keys/_bytes -d value=%ff")
            let message = try await failure(of: ready("copy"), context)
            #expect(message.contains("1 hidden keys or directories have a TTL: /_session"), "\(message)")
            #expect(message.contains("1 hidden keys hold bytes that are not UTF-8: /_bytes"), "\(message)")
            #expect(message.contains("2 findings refuse it"), "\(message)")
            _ = try await ready("skip").perform(context)
            let late = try await failure(of: action("copy", ttl: "skip"), context)
            #expect(late.contains("not UTF-8: /_bytes"), "\(late)")
        }
    }

    @Test func `where the files cannot be read a copy is refused before anything is changed`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.put([("/a", "1")])
            let targets = cluster.targets(["etcd_wal_dir": .string("/nowhere")])
            let ready = try EtcdReady(Parameters(["hidden_keys": .string("copy")]))
            let message = try await failure(of: ready, cluster.context(MemoryFacts(), targets: targets))
            #expect(message.contains("hidden keys were not looked for"), "\(message)")
            #expect(!message.contains("warning: n1: the WAL"), "\(message)")
            let late = try await failure(of: action("copy"), cluster.context(MemoryFacts(), targets: targets))
            #expect(late.contains("the WAL cannot be read, so hidden keys cannot be found"), "\(late)")
        }
    }

    @Test func `a copy beside a transformer is refused when the playbook is read`() {
        #expect(throws: ActionFailure.self) {
            _ = try EtcdHiddenKeys(Parameters(["hidden_keys": .string("copy"), "transformer": .string("/usr/bin/t")]))
        }
        #expect(throws: Never.self) {
            _ = try EtcdHiddenKeys(Parameters(["hidden_keys": .string("skip"), "transformer": .string("/usr/bin/t")]))
        }
    }
}
