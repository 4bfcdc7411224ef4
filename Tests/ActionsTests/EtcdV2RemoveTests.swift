// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import TestSupport
import Testing

@testable import Actions
@testable import Etcd
@testable import Rollout

/// The removal of v2 data, and the verdict about etcd 3.6, on real clusters.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct EtcdV2RemoveTests {
    private func remove(_ cluster: EtcdCluster, guarded: Bool = false) throws -> EtcdV2Remove {
        try EtcdV2Remove(Parameters(["export_to": .string("\(cluster.directory)/export"), "guard": .bool(guarded)]))
    }

    private func verdict(_ require: String) throws -> EtcdUpgradeReady {
        try EtcdUpgradeReady(Parameters(["require": .string(require)]))
    }

    private func seed(_ cluster: EtcdCluster) async throws {
        try await cluster.put([
            ("/registry/a", "1"), ("/registry/b%20c", "2"), ("/t\u{fc}r", "3"), ("/_hidden/x", "4"),
            ("/dir/_in/y", "5"),
        ])
        try await cluster.sh(
            """
            curl -sf -o /dev/null -XPUT $url/v2/auth/users/joe -H 'Content-Type: application/json' \
            -d '{"user":"joe","password":"x"}'
            """
        )
    }

    /// Restarts the members so that each has a snapshot of what it holds.
    private func writeSnapshots(_ cluster: EtcdCluster) async throws {
        for member in cluster.members {
            try await cluster.stop(member)
            try await cluster.start(member, ["--snapshot-count=1"])
            try await cluster.awaitHealthy(member)
            try await cluster.sh(
                """
                n=0; before=$(ls \(member.dataDir)/member/snap | grep snap$ | tail -n 1)
                while [ "$(ls \(member.dataDir)/member/snap | grep snap$ | tail -n 1)" = "$before" ]; do
                curl -s \(member.clientURL)/health >/dev/null; n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done
                """
            )
            try await cluster.stop(member)
            try await cluster.start(member)
            try await cluster.awaitHealthy(member)
        }
    }

    @Test func `all v2 data goes, hidden and users too, after an export, and new snapshots show it`() async throws {
        try await EtcdCluster.with { cluster in
            try await seed(cluster)
            let context = cluster.context(MemoryFacts())
            let bare = try await failure(of: verdict("v2_removed"), context)
            #expect(bare.contains("n2: it has no snapshot"), "\(bare)")
            try await writeSnapshots(cluster)
            let before = try await failure(of: verdict("v2_removed"), context)
            #expect(before.contains("/registry/a") && before.contains("v2 users and roles"), "\(before)")

            let evidence = try await remove(cluster).perform(context)
            #expect(evidence.values["removed"] == "4")
            let export = try #require(evidence.values["export"])
            let kept = try await cluster.sh(
                "cat \(export)/keys.json; ls \(export); stat -c %a \(export)/keys.json \(export)"
            )
            #expect(kept.contains("/registry/b c") && kept.contains(".snap") && kept.hasSuffix("600\n700\n"), "\(kept)")
            #expect(try await cluster.sh("curl -s $url/v2/keys/_hidden/x").contains("Key not found"))
            #expect(try await cluster.sh("curl -s $url/v2/auth/users").contains("null"))
            // Gone is gone, and the export of the first attempt stays.
            // The old snapshot still names the hidden one.
            #expect(try await remove(cluster).perform(context).values["removed"] == "1")
            #expect(try await cluster.sh("cat \(export)/keys.json").contains("/registry/b c"))

            // Until a new snapshot is written, a start would read the removal from the WAL.
            #expect(try await failure(of: verdict("v2_removed"), context).contains("/registry/a"))
            try await writeSnapshots(cluster)
            let after = try await verdict("v2_removed").perform(context)
            #expect(after.values["n3:ready_for_3_6"] == "no, because the cluster is at 3.4: upgrade it to 3.5 first")
            #expect(try await failure(of: verdict("all"), context).contains("upgrade it to 3.5 first"))
            try await cluster.put([("/again", "x")])
            let again = try await failure(of: verdict("v2_removed"), context)
            #expect(again.contains("v2 was written to since"), "\(again)")
        }
    }

    @Test func `guards make old clients fail, and are told to stand in the way of 3-6`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await seed(cluster)
            let facts = MemoryFacts()
            let cut = ActionTarget(
                host: CutHost(inner: LocalHost(name: "n1"), after: 2),
                variables: cluster.targets()[0].variables
            )
            // It dies between the removal and the guards; a second attempt still knows the names.
            await #expect(throws: ActionFailure.self) {
                _ = try await remove(cluster, guarded: true).perform(cluster.context(facts, targets: [cut]))
            }
            #expect(try await cluster.sh("curl -s $url/v2/keys/").contains("registry") == false)
            let evidence = try await remove(cluster, guarded: true).perform(cluster.context(facts))
            #expect(evidence.values["guards"] == "3")
            let refused = try await cluster.sh("curl -s -XPUT $url/v2/keys/registry/new -d value=x")
            #expect(refused.contains("Not a directory"), "\(refused)")
            _ = try await remove(cluster, guarded: true).perform(cluster.context(facts))
            try await writeSnapshots(cluster)
            let verdict = try await verdict("none").perform(cluster.context(facts))
            #expect(verdict.values["n1:ready_for_3_6"]?.contains("holds v2 keys") == true, "\(verdict.values)")
        }
    }

    @Test func `v2 authentication that is on refuses the removal`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.put([("/a", "x")])
            try await cluster.sh(
                """
                curl -sf -o /dev/null -XPUT $url/v2/auth/users/root -H 'Content-Type: application/json' \
                -d '{"user":"root","password":"x"}'
                curl -sf -o /dev/null -XPUT $url/v2/auth/enable
                """
            )
            let message = try await failure(of: remove(cluster), cluster.context(MemoryFacts()))
            #expect(message.contains("v2 authentication is on"), "\(message)")
            #expect(try await cluster.sh("curl -s $url/v2/keys/a").contains("\"value\":\"x\""))
        }
    }
}
