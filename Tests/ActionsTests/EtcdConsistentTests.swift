// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import TestSupport
import Testing

@testable import Actions
@testable import Etcd
@testable import Rollout

/// The gates of a migration, on real clusters whose members are migrated by hand.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct EtcdConsistentTests {
    private func gate(_ values: [String: Value] = [:]) throws -> EtcdConsistent {
        try EtcdConsistent(Parameters(values))
    }
    private func verify() throws -> EtcdVerified { try EtcdVerified(Parameters([:])) }

    /// What `sha256sum` gives, shortened.
    private func digest(of value: String) -> String {
        StoredKey(value: Array(value.utf8), created: 0, modified: 0).digest.replacing("sha256:", with: "")
    }

    private let keys = (0..<300).map { ("/d\($0 % 5)/key\($0)", "value \"\($0)\" \\ é 漢") }

    @Test func `a roll passes every gate, is verified, and costs little`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            let facts = MemoryFacts(["baseline_fingerprint": "of before the freeze"])
            let context = cluster.context(facts)
            let first = try await gate().perform(context)
            #expect(first.summary.contains("this is the baseline"))
            #expect(facts.fact("gate_keys") == "300")
            for index in 0..<3 {
                try await cluster.migrate(index, facts)
                let healthy = try EtcdHealthy(Parameters(["within": .int(30)]))
                _ = try await healthy.perform(cluster.context(facts, host: cluster.members[index].name))
                let evidence = try await gate().perform(context)
                #expect(evidence.summary.contains("\(index + 1) of them in v3"))
            }
            let proof = try await verify().perform(context)
            #expect(proof.values["n3:keys"] == "300")
            #expect(facts.fact("n1:hash") == proof.values["hash"])
            #expect(facts.fact("n2:revision") == facts.fact("gate_max_index"))
        }
    }

    @Test func `the first gate takes a fresh baseline over only when nothing was changed since`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            let facts = MemoryFacts()
            var context = cluster.context(facts)
            _ = try await EtcdReady(Parameters([:])).perform(context)
            context.hasChangedAnything = false
            let taken = try await gate().perform(context)
            #expect(taken.summary.contains("the preflight's baseline of 300 keys stands"))
            #expect(facts.fact("gate_fingerprint") == facts.fact("baseline_fingerprint"))
            // A freeze came between, or the preflight was long ago: the members are asked.
            for (hasChanged, at) in [(true, nil), (false, "1000.0")] {
                let asked = MemoryFacts(facts.all)
                asked.forget("gate_fingerprint")
                if let at { asked.record("baseline_at", at) }
                var later = cluster.context(asked)
                later.hasChangedAnything = hasChanged
                #expect(try await gate().perform(later).summary.contains("this is the baseline"))
            }
        }
    }

    @Test func `a stray write after the baseline halts, and is named on every member`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            let facts = MemoryFacts(["baseline_fingerprint": "x"])
            _ = try await gate().perform(cluster.context(facts))
            try await cluster.put([("/stray", "secret value")])
            try await cluster.sh("curl -sf -X DELETE $url/v2/keys/d1/key1")
            let message = try await failure(of: gate(), cluster.context(facts))
            #expect(message.contains("somebody wrote to the v2 store since the freeze"))
            #expect(message.contains("/stray: added at index"))
            #expect(message.contains("new sha256:c3a57afaa51d; on all members"), "\(message)")
            #expect(message.contains("/d1/key1: removed at index"))
            #expect(!message.contains("secret value"))
        }
    }

    @Test func `a resumed run takes its baseline anew at the first gate, and only there`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            let facts = MemoryFacts(["baseline_fingerprint": "x"])
            var context = cluster.context(facts)
            context.step = StepID("gate.1@start/*")
            _ = try await gate().perform(context)
            let before = facts.fact("gate_fingerprint")
            // The run stopped, its writers were let go, and wrote.
            try await cluster.put([("/written", "since")])
            #expect(try await failure(of: gate(), cluster.context(facts)).contains("since the freeze"))
            #expect(try await gate().perform(context).summary.contains("this is the baseline"))
            #expect(facts.fact("gate_fingerprint") != before)
            #expect(try await gate().perform(cluster.context(facts)).summary.contains("unchanged since the freeze"))
        }
    }

    @Test func `a stray write between two members is named by key with both sides`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            let facts = MemoryFacts(["baseline_fingerprint": "x"])
            _ = try await gate().perform(cluster.context(facts))
            try await cluster.migrate(0, facts)
            try await cluster.sh(
                "curl -sf -X DELETE $url/v2/keys/d2/key2; curl -sf -X PUT $url/v2/keys/d3/key3 -d value=x"
            )
            let message = try await failure(of: gate(), cluster.context(facts))
            #expect(message.contains("/d2/key2: removed at index"))
            #expect(message.contains("/d3/key3: changed at index"))
            // The digest of `x`, and that of the value with quotes, a backslash and other letters that was there before.
            #expect(message.contains("old sha256:\(digest(of: "value \"3\" \\ é 漢"))"), "\(message)")
            #expect(message.contains("new sha256:2d711642b726"), "\(message)")
            #expect(message.contains("migrated without it: n1"))
        }
    }

    @Test func `many writes are named up to ten, and an expired key is said to be expired`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            try await cluster.put([("/soon", "a\u{1}b<&>\tc")], ttl: 3)
            let facts = MemoryFacts(["baseline_fingerprint": "x"])
            _ = try await gate().perform(cluster.context(facts))
            try await cluster.sh("while curl -sf $url/v2/keys/soon >/dev/null; do :; done")
            let expired = try await failure(of: gate(), cluster.context(facts))
            #expect(expired.contains("/soon: expired at index"), "\(expired)")
            #expect(expired.contains("old sha256:\(digest(of: "a\u{1}b<&>\tc"))"), "\(expired)")
            try await cluster.sh("curl -sf -X DELETE \"$url/v2/keys/d4?recursive=true\"")
            try await cluster.put((0..<20).map { ("/stray\($0)", "x") })
            let many = try await failure(of: gate(), cluster.context(facts))
            #expect(many.contains("/d4/: removed at index"), "\(many)")
            #expect(many.split(separator: "\n").filter { $0.contains(" at index ") }.count == 10, "\(many)")
            #expect(many.contains("and more writes after these"))
        }
    }

    @Test func `where the store does not remember as far back, its keys are compared`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            let facts = MemoryFacts(["baseline_fingerprint": "x"])
            _ = try await gate().perform(cluster.context(facts))
            try await cluster.migrate(0, facts)
            try await cluster.put((0..<1100).map { ("/stray\($0 % 20)", "x\($0)") })
            let message = try await failure(of: gate(), cluster.context(facts))
            #expect(message.contains("/stray0 (v2 now: created"), "\(message)")
            #expect(message.contains("and 10 more keys"), "\(message)")
        }
    }

    @Test func `without a recorded baseline, a write after the first migration still halts`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            let facts = MemoryFacts()
            try await cluster.migrate(0, facts)
            try await cluster.put([("/stray", "x")])
            let message = try await failure(of: gate(), cluster.context(facts))
            #expect(message.contains("n1: 300 v3 keys, 301 in v2"))
        }
    }

    @Test func `a v3 write during the roll halts`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            let facts = MemoryFacts(["baseline_fingerprint": "x"])
            _ = try await gate().perform(cluster.context(facts))
            try await cluster.migrate(0, facts)
            try await cluster.sh("etcdctl --endpoints $url put /v3 x")
            let message = try await failure(of: gate(), cluster.context(facts))
            #expect(message.contains("n1: 301 v3 keys, 300 in v2"))
            #expect(message.contains("n1, v3: /v3: added at index"), "\(message)")
            #expect(message.contains("n2, v3: /v3: added at index 2, new sha256:2d711642b726"), "\(message)")
            #expect(message.contains("n2: v3 revision 2, although it is not migrated"))
        }
    }

    @Test func `migrated members with equal revisions and different data halt`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            try await cluster.put([("/d1/key1", "last")])
            let facts = MemoryFacts(["baseline_fingerprint": "x"])
            _ = try await gate().perform(cluster.context(facts))
            try await cluster.migrate(0, facts)
            // A migration that lost a key and kept the count: revision and count are as they should be.
            try await cluster.stop(cluster.members[1])
            try await cluster.sh(
                """
                cat >\(cluster.directory)/transformer <<'END'
                #!/usr/bin/python3
                import json, struct, sys
                def varint(n):
                    out = b""
                    while True:
                        b = n & 127; n >>= 7
                        out += bytes([b | (128 if n else 0)])
                        if not n: return out
                def field(n, data): return varint(n << 3 | 2) + varint(len(data)) + data
                text = sys.stdin.read(); at = 0; decoder = json.JSONDecoder()
                while at < len(text):
                    node, at = decoder.raw_decode(text, at)
                    if node.get("dir"): continue
                    value = node["value"]
                    if node["key"] == "/d2/key2": value = "lost"
                    kv = field(1, node["key"].encode()) + varint(16) + varint(node["createdIndex"]) \\
                        + varint(24) + varint(node["modifiedIndex"]) + varint(32) + varint(1) + field(5, value.encode())
                    sys.stdout.buffer.write(struct.pack("<q", len(kv)) + kv)
                sys.stdout.flush()
                import os, time
                os.close(1); time.sleep(1)
                END
                chmod +x \(cluster.directory)/transformer
                etcdctl migrate --data-dir \(cluster.members[1].dataDir) --transformer \(cluster.directory)/transformer
                """
            )
            try await cluster.start(cluster.members[1])
            try await cluster.awaitHealthy(cluster.members[1])
            facts.record("n2:migrated_revision", facts.fact("gate_max_index") ?? "")
            let message = try await failure(of: gate(), cluster.context(facts))
            #expect(message.contains("n1: hash") && message.contains("n2: hash"))
            #expect(!message.contains("v3 keys,"))
            #expect(!message.contains("the highest v2 index"))

            try await cluster.migrate(2, facts)
            let unequal = try await failure(of: verify(), cluster.context(facts))
            #expect(unequal.contains("v3 stores are not equal"))
            let stores = try await ClusterProbe.listings(cluster.targets()[1].etcdNode)
            #expect { try EtcdVerified.compare(stores, withoutTTL: false, on: "n2") } throws: {
                "\($0)".contains("/d2/key2") && !"\($0)".contains("lost")
            }
        }
    }

    @Test func `keys with a TTL are left out of account when they are left out`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put(keys)
            try await cluster.put([("/soon", "x")], ttl: 3600)
            try await cluster.put([("/later", "x")], ttl: 3600)
            let facts = MemoryFacts(["baseline_fingerprint": "x", "n1:no_ttl": "true"])
            _ = try await gate().perform(cluster.context(facts))
            #expect(facts.fact("gate_permanent_keys") == "300")
            try await cluster.migrate(0, facts, "--no-ttl")
            try await cluster.sh("curl -sf -X DELETE $url/v2/keys/soon")
            _ = try await gate().perform(cluster.context(facts))
            let strict = MemoryFacts([
                "gate_fingerprint": facts.fact("gate_fingerprint") ?? "", "gate_keys": "302",
                "gate_max_index": facts.fact("gate_max_index") ?? "",
            ])
            #expect(try await failure(of: gate(), cluster.context(strict)).contains("somebody wrote"))
        }
    }

    @Test func `a member that is out or another one than before halts the gate`() async throws {
        try await EtcdCluster.with { cluster in
            let facts = MemoryFacts(["baseline_fingerprint": "x", "n2:member_id": "abc"])
            let context = cluster.context(facts)
            #expect(try await failure(of: gate(), context).contains("and was abc"))
            try await cluster.stop(cluster.members[2])
            #expect(try await failure(of: gate(), context).contains("n3: etcd does not answer"))
        }
    }

    @Test func `outside a migration, equal stores pass under writes and with the v2 API off`() async throws {
        try await EtcdCluster.with(arguments: []) { cluster in
            try await cluster.sh(
                """
                (n=0; while [ $n -lt 60 ]; do n=$((n + 1)); etcdctl --endpoints $url put /k$n x || break; done) \
                >/dev/null 2>&1 </dev/null &
                """
            )
            let facts = MemoryFacts()
            for _ in 0..<3 {
                let evidence = try await gate().perform(cluster.context(facts))
                #expect(evidence.summary.contains("all 3 members equal"))
            }
            #expect(facts.fact("gate_fingerprint") == nil)
        }
    }

    @Test func `outside a migration, stores that differ halt`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/a", "1")])
            try await cluster.migrate(cluster.members[0])
            let message = try await failure(of: gate(["frozen": .bool(false)]), cluster.context(MemoryFacts()))
            #expect(message.contains("v3 stores differ"))
            #expect(message.contains("n2: no hash") && message.contains("future revision"))
        }
    }

    @Test func `v2 keys that were written after the migration are named in the proof`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.put([("/a", "1"), ("/b", "2")])
            let facts = MemoryFacts(["baseline_fingerprint": "x"])
            _ = try await gate().perform(cluster.context(facts))
            try await cluster.migrate(0, facts)
            // Clients of v3 may write already.
            try await cluster.sh("etcdctl --endpoints $url put /new x; etcdctl --endpoints $url put /a changed")
            _ = try await verify().perform(cluster.context(facts))
            try await cluster.put([("/old client", "x")].map { ($0.0.replacing(" ", with: "-"), $0.1) })
            let message = try await failure(of: verify(), cluster.context(facts))
            #expect(message.contains("/old-client (v2: created"))
        }
    }

    @Test func `a member under another id or in another cluster is not healthy`() async throws {
        try await EtcdCluster.with { cluster in
            let healthy = try EtcdHealthy(Parameters(["within": .int(10)]))
            let wrongMember = MemoryFacts(["n1:member_id": "1"])
            #expect(try await failure(of: healthy, cluster.context(wrongMember, host: "n1")).contains("and was 1"))
            let wrongCluster = MemoryFacts(["cluster_id": "2"])
            #expect(try await failure(of: healthy, cluster.context(wrongCluster, host: "n1")).contains("and was in 2"))
            try await cluster.stop(cluster.members[0])
            let quick = try EtcdHealthy(Parameters(["within": .int(1)]))
            let silent = try await failure(of: quick, cluster.context(MemoryFacts(), host: "n1"))
            #expect(silent.contains("not healthy after 1s"))
            try await cluster.start(cluster.members[0])
            let evidence = try await healthy.perform(cluster.context(MemoryFacts(), host: "n1"))
            #expect(evidence.summary.contains("is healthy"))
        }
    }
}
