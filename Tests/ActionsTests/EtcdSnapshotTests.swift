// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import TestSupport
import Testing

@testable import Actions
@testable import Etcd
@testable import Rollout

/// Snapshots that members are made to write, on real clusters.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct EtcdSnapshotTests {
    private func snapshot(_ cluster: EtcdCluster, _ index: Int, start: String? = nil) throws -> EtcdSnapshot {
        let member = cluster.members[index]
        let script = try cluster.controlScript(of: member)
        return try EtcdSnapshot(
            Parameters([
                "name": .string("etcd-\(member.name)-\(UUID().uuidString.prefix(6))"),
                "data_dir": .string(member.dataDir),
                "start": .string(start ?? "sh \(script) start"), "stop": .string("sh \(script) stop"),
                "status": .string("sh \(script) status"), "within": .int(20),
            ])
        )
    }

    private func targets(_ cluster: EtcdCluster) -> [ActionTarget] {
        cluster.targets(["pawl_state_dir": .string("\(cluster.directory)/state")])
    }

    /// Adds a fourth member and tells how many keys its own v3 store has when it has caught up; removes it again.
    private func keysOfAdded(_ cluster: EtcdCluster) async throws -> (count: Int, hashes: Set<String>) {
        let net = cluster.members[0].address.split(separator: ".").dropLast().joined(separator: ".")
        let (client, peer) = ("http://\(net).4:2379", "http://\(net).4:2380")
        let initial = (cluster.members.map { "\($0.name)=\($0.peerURL)" } + ["n4=\(peer)"]).joined(separator: ",")
        let dir = cluster.directory
        do {
            try await cluster.sh(
                """
                n=0; until etcdctl --endpoints $url member add n4 --peer-urls=\(peer) >\(dir)/added 2>&1; do
                n=$((n+1)); [ $n -lt 100 ] || { cat \(dir)/added >&2; exit 1; }; sleep 0.2; done
                etcd --name n4 --data-dir \(dir)/n4 --initial-cluster-state existing --initial-cluster \(initial) \
                --listen-client-urls \(client) --advertise-client-urls \(client) --listen-peer-urls \(peer) \
                --initial-advertise-peer-urls \(peer) --enable-v2 >\(dir)/n4.log 2>&1 </dev/null &
                pid=$!; echo $pid >\(dir)/n4.pid
                (while kill -0 \(getpid()) && kill -0 $pid; do sleep 1; done; kill -9 $pid) >/dev/null 2>&1 </dev/null &
                n=0; until curl -s -m 2 \(client)/health | grep -q true; do n=$((n+1)); [ $n -lt 200 ] || exit 1; sleep 0.05; done
                """
            )
            let names = try await cluster.sh(
                "etcdctl --endpoints \(client) get '' --from-key --keys-only --consistency=s | grep -c . || true"
            )
            var hashes: Set<String> = []
            for url in cluster.members.map(\.clientURL) + [client] {
                hashes.insert(try await cluster.sh("etcdctl --endpoints \(url) endpoint hashkv | sed 's/.*, //'"))
            }
            try await removeAdded(cluster)
            return (Int(names.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1, hashes)
        } catch {
            try? await removeAdded(cluster)
            throw error
        }
    }

    private func removeAdded(_ cluster: EtcdCluster) async throws {
        try await cluster.sh(
            """
            id=$(sed -n 's/^Member *\\([0-9a-f]*\\) added.*/\\1/p' \(cluster.directory)/added)
            etcdctl --endpoints $url member remove $id >/dev/null
            kill -9 $(cat \(cluster.directory)/n4.pid); rm -rf \(cluster.directory)/n4
            """
        )
    }

    @Test func `a member that is added after snapshots has the migrated keys, and without them it has none`()
        async throws
    {
        try await EtcdCluster.with { cluster in
            try await cluster.put((0..<50).map { ("/k/\($0)", "v\($0)") })
            for member in cluster.members { try await cluster.migrate(member) }
            let before = try await keysOfAdded(cluster)
            #expect(before.count == 0, "etcd #8804 is what this is for")
            let facts = MemoryFacts()
            for (index, member) in cluster.members.enumerated() {
                let action = try snapshot(cluster, index)
                let context = cluster.context(facts, host: member.name, targets: targets(cluster))
                #expect(try await action.observe(context) == .notBegun("there is no snapshot of this step"))
                let evidence = try await action.perform(context)
                #expect(evidence.values["snapshot"]?.hasSuffix(".snap") == true)
                try await cluster.awaitHealthy(member)
                // The process that runs now has the usual count.
                let environment = try await cluster.sh(
                    "tr '\\0' '\\n' </proc/$(cat \(cluster.directory)/\(member.name).pid)/environ"
                )
                #expect(!environment.contains("ETCD_SNAPSHOT_COUNT"))
                guard case .done = try await action.observe(context) else {
                    Issue.record("it is not seen to be done")
                    return
                }
            }
            let after = try await keysOfAdded(cluster)
            #expect(after.count == 50)
            #expect(after.hashes.count == 1)
        }
    }

    @Test func `where the count is set otherwise, it is said so, and nothing is done`() async throws {
        try await EtcdCluster.with(size: 1, arguments: ["--enable-v2", "--snapshot-count=5000"]) { cluster in
            let context = cluster.context(MemoryFacts(), host: "n1", targets: targets(cluster))
            var parameters = ["within": Value.int(5)]
            let script = try cluster.controlScript(of: cluster.members[0])
            for word in ["start", "stop", "status"] { parameters[word] = .string("sh \(script) \(word)") }
            parameters["name"] = .string("etcd-\(UUID().uuidString.prefix(6))")
            parameters["data_dir"] = .string(cluster.members[0].dataDir)
            let before = try await cluster.sh("cat \(cluster.directory)/n1.pid")
            let message = try await failure(of: try EtcdSnapshot(Parameters(parameters)), context)
            let pid = try await cluster.sh("cat \(cluster.directory)/n1.pid")
            #expect(pid == before, "it was not restarted")
            #expect(message.contains("etcd runs with --snapshot-count=5000"), "\(message)")
            try await cluster.awaitHealthy(cluster.members[0])
        }
    }

    @Test func `a member that does not start with the setting is started without it`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let member = cluster.members[0]
            let script = try cluster.controlScript(of: member)
            let picky = "[ -z \"${ETCD_SNAPSHOT_COUNT-}\" ] || { echo no such setting; exit 7; }; sh \(script) start"
            let context = cluster.context(MemoryFacts(), host: "n1", targets: targets(cluster))
            let message = try await failure(of: try snapshot(cluster, 0, start: picky), context)
            #expect(message.contains("with ETCD_SNAPSHOT_COUNT=1"), "\(message)")
            #expect(message.contains("no such setting"), "\(message)")
            try await cluster.awaitHealthy(member)
        }
    }
}
