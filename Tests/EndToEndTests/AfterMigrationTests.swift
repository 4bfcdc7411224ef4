// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// What follows a migration: keys that expire, snapshots for members to come, and the end of v2.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct AfterMigrationTests {
        @Test func `keys become leases, snapshots are written, and v2 data is removed`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let node = cluster.nodes[0]
                try await cluster.putV2(node, "/app/session", "soon", ttl: 600)
                try await node.check(
                    "curl -sf --noproxy '*' -X PUT -d dir=true -d ttl=900 \(node.clientURL)/v2/keys/leased"
                )
                try await cluster.putV2(node, "/leased/a", "inside")

                let refused = try await cluster.pawl(cluster.runArguments())
                #expect(refused.exitCode == 4 && refused.all.contains("[ttl_keys]"), "\(refused.all)")

                let migrated = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.playbook, ["-e", "ttl_keys=lease"])
                )
                #expect(migrated.exitCode == 0, "\(migrated.all)")
                #expect(migrated.stdout.contains("2 keys that expire are bound to 2 leases"), "\(migrated.stdout)")
                for (key, seconds) in [("/app/session", 480...600), ("/leased/a", 780...900)] {
                    for node in cluster.nodes {
                        let left = try await Self.secondsLeft(of: key, cluster, node)
                        #expect(seconds.contains(left), "\(key) on \(node.name): \(left)")
                    }
                }

                for node in cluster.nodes { #expect(try await Self.snapshots(node).isEmpty) }
                try await Self.expectDone(cluster, "force_snapshot")
                for node in cluster.nodes { #expect(try await !Self.snapshots(node).isEmpty) }

                let before = try await Self.contents(cluster, node)
                try await Self.expectDone(cluster, "remove_v2_data")
                for node in cluster.nodes {
                    #expect(try await node.check(Self.v2Keys(node)).contains(#""node":{"dir":true}"#))
                    #expect(try await Self.contents(cluster, node) == before)
                }
                let verdict = try await cluster.pawl(
                    cluster.runArguments(Self.playbook("remove_v2_data"), ["-e", "require=v2_removed"])
                )
                #expect(verdict.exitCode == 0, "\(verdict.all)")
                #expect(verdict.stdout.contains("upgrade it to 3.5 first"), "\(verdict.stdout)")
            }
        }

        /// systemd refuses a unit that was started too often within some seconds; it counts the starts of whoever.
        @Test func `a member that was started often before is started all the same`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let migrated = try await cluster.pawl(cluster.runArguments())
                #expect(migrated.exitCode == 0, "\(migrated.all)")
                // What the migration left to be done a second later reloads systemd, which forgets the starts.
                try await cluster.nodes[0].check(
                    """
                    while pgrep -x sleep >/dev/null; do sleep 0.05; done
                    mkdir -p /etc/systemd/system/etcd.service.d
                    printf '[Unit]\\nStartLimitIntervalSec=600\\nStartLimitBurst=2\\n' \\
                      >/etc/systemd/system/etcd.service.d/limit.conf
                    systemctl daemon-reload; systemctl restart etcd; systemctl restart etcd
                    """
                )
                try await Self.expectDone(cluster, "remove_v2_data")
            }
        }

        @Test(arguments: ["etcd_ttl_keys", "etcd_canary"])
        func `a migration that is killed at its last writes leaves nothing of them twice`(action: String) async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 60))
                try await cluster.putV2(cluster.nodes[0], "/app/session", "soon", ttl: 900)
                let words = ["-e", "ttl_keys=lease", "-e", "canary=each"]
                let arguments = cluster.runArguments(ClusterFixture.playbook, words)
                _ = try await cluster.expectKilledAndResumed(arguments, at: action)
                let leases = try await cluster.etcdctl(cluster.nodes[0], "lease list")
                #expect(leases.stdout.hasPrefix("found 1 leases"), "\(leases.all)")
                for node in cluster.nodes {
                    let held = try await Self.contents(cluster, node)
                    #expect(held.contains("/app/session\nsoon\n") && !held.contains("pawl/canary"))
                }
            }
        }

        /// Of the words of a playbook, the step in whose middle the controller is killed.
        @Test(arguments: [("force_snapshot", "etcd_snapshot"), ("remove_v2_data", "etcd_v2_remove")])
        func `a controller that is killed at work is gone on for to the same end`(
            name: String,
            action: String
        ) async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 60))
                let migrated = try await cluster.pawl(cluster.runArguments())
                #expect(migrated.exitCode == 0, "\(migrated.all)")
                let before = try await Self.contents(cluster, cluster.nodes[0])
                let arguments = cluster.runArguments(Self.playbook(name))
                _ = try await cluster.expectKilledAndResumed(arguments, at: action)
                for node in cluster.nodes {
                    #expect(try await Self.contents(cluster, node) == before)
                    #expect(try await !Self.snapshots(node).isEmpty)
                    let settings = try await node.check(
                        "systemctl show-environment; tr '\\0' '\\n' </proc/$(pgrep -xo etcd)/environ"
                    )
                    #expect(!settings.contains("SNAPSHOT_COUNT"), "\(node.name) writes a snapshot for every request")
                    guard name == "remove_v2_data" else { continue }
                    #expect(try await node.check(Self.v2Keys(node)).contains(#""node":{"dir":true}"#))
                }
            }
        }

        private static func playbook(_ name: String) -> String { "\(ClusterFixture.repository)/playbooks/\(name).yaml" }

        private static func expectDone(_ cluster: ClusterFixture, _ name: String) async throws {
            let output = try await cluster.pawl(cluster.runArguments(playbook(name)))
            #expect(output.exitCode == 0, "\(output.all)")
        }

        private static func v2Keys(_ node: LabNode) -> String {
            "curl -s --noproxy '*' '\(node.clientURL)/v2/keys/?recursive=true'"
        }

        private static func snapshots(_ node: LabNode) async throws -> String {
            try await node.check("ls /var/lib/etcd/default/member/snap | grep '\\.snap$' || true")
        }

        /// All keys of v3 with their values, as this member has them.
        private static func contents(_ cluster: ClusterFixture, _ node: LabNode) async throws -> String {
            let output = try await cluster.etcdctl(node, "get '' --from-key --consistency=s")
            try #require(output.exitCode == 0 && !output.stdout.isEmpty)
            return output.stdout
        }

        private static func secondsLeft(
            of key: String,
            _ cluster: ClusterFixture,
            _ node: LabNode
        ) async throws -> Int {
            struct Answer: Decodable {
                struct Item: Decodable { var lease: Int64? }
                var kvs: [Item]
            }
            struct Lease: Decodable { var ttl: Int }
            let got = try await cluster.etcdctl(node, "get \(key) --consistency=s -w json")
            let item = try JSONDecoder().decode(Answer.self, from: Data(got.stdout.utf8)).kvs.first
            let id = String(try #require(item?.lease), radix: 16)
            let left = try await cluster.etcdctl(node, "lease timetolive \(id) -w json")
            return try JSONDecoder().decode(Lease.self, from: Data(left.stdout.utf8)).ttl
        }
    }
}
