// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// The migration on one member, to which the others are added anew.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct ReseedMigrationTests {
        @Test func `one member is migrated, and the others get its data`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300, ttlKeys: 20))
                let before = try await Self.members(of: cluster)
                let output = try await cluster.pawl(Self.arguments(cluster))
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
                let after = try await Self.members(of: cluster)
                #expect(after.count == 3 && after.intersection(before).count == 1, "\(before) \(after)")
                let asides = try await Self.asides(of: cluster)
                #expect(asides == 2)
                // A member that is restarted, and one that is written to, is a member like any other.
                for node in cluster.nodes { try await node.check("systemctl restart etcd") }
                try await cluster.expectMigrated()
                let rollback = try await cluster.pawl(cluster.rollbackArguments)
                #expect(rollback.exitCode == 4, "\(rollback.all)")
                #expect(rollback.all.contains("cannot be taken back one by one"), "\(rollback.all)")
            }
        }

        @Test func `settings on the command line are given there`() async throws {
            var options = LabOptions()
            options.etcd = .init(arguments: ["--snapshot-count=10000", "--force-new-cluster=false"])
            try await ClusterFixture.with(options: options) { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let output = try await cluster.pawl(Self.arguments(cluster))
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
            }
        }

        @Test func `a member that cannot join brings all back to their old cluster`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                _ = try await Self.expectJoinFailedAndAllBack(cluster)
                try await cluster.expectResumed()
            }
        }

        /// Nobody else can say whether the new cluster serves, and it has the id of the old one.
        @Test func `while the migrated member cannot be reached, no old data is put back`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let seed = try await cluster.rollingOrder()[2]
                let join = "\n    etcd_rejoin:\n"
                let playbook = try cluster.editedPlaybook(
                    ClusterFixture.reseed,
                    replacing: [(join, join + "      within: 40s\n")]
                )
                let output = try await cluster.follow(Self.arguments(cluster, playbook)) { pawl in
                    try await pawl.wait(for: "the first join") {
                        $0.event == "step_started" && $0.name == "Join the new cluster"
                    }
                    try await seed.unplug()
                }
                try await seed.plug()
                #expect(output.exitCode == 3, "\(output.all)")
                let asides = try await Self.asides(of: cluster)
                #expect(asides == 2, "\(output.all)")
                for node in cluster.nodes where node.name != seed.name {
                    let state = try await node.check("systemctl is-active etcd || true")
                    #expect(state.trimmingCharacters(in: .whitespacesAndNewlines) != "active", "\(node.name)")
                }
                try await cluster.expectResumed()
            }
        }

        /// The WAL in the data directory and not in `member`, and a drop-in of the operator's own that says how etcd starts.
        @Test func `a WAL directory beside the member, and a unit of one's own, go there and back`() async throws {
            var options = LabOptions()
            options.etcd = .init(environment: ["ETCD_WAL_DIR": "/var/lib/etcd/default/wal"])
            try await ClusterFixture.with(options: options) { cluster in
                for node in cluster.nodes {
                    try await node.check(
                        """
                        mkdir -p /etc/systemd/system/etcd.service.d
                        printf '%s\\n' '[Service]' ExecStart= 'ExecStart=/usr/bin/etcd --force-new-cluster=false' \\
                          >/etc/systemd/system/etcd.service.d/override.conf
                        systemctl daemon-reload; systemctl restart etcd
                        """
                    )
                }
                try await cluster.seed(LabSeed(keys: 200))
                let node = try await Self.expectJoinFailedAndAllBack(cluster)
                // As what it was started as it would be no etcd that the unit starts by itself.
                try await node.check("systemctl restart etcd")
                try await cluster.expectServingV2()
                try await cluster.expectResumed()
            }
        }

        @Test func `a controller that is killed in each phase in turn is resumed to the same end`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                var arguments = Self.arguments(cluster)
                let phases = [
                    ("Found the new cluster", "step_started"), ("Set the old data aside", "step_finished"),
                    ("Join the new cluster", "step_started"), ("Join the new cluster", "step_finished"),
                ]
                for (step, event) in phases {
                    try await cluster.expectKilled(arguments) { pawl in
                        try await pawl.wait(for: "\(event) \(step)") { $0.event == event && $0.name == step }
                        // In the middle of it, where it has just begun.
                        if event == "step_started" { try await Task.sleep(for: .milliseconds(700)) }
                    }
                    arguments = cluster.resumeArguments
                }
                try await cluster.expectResumed()
            }
        }

        /// Runs until a member cannot join, and expects that all are back in their old cluster.
        ///
        /// - Returns: that member; its etcd can join again.
        private static func expectJoinFailedAndAllBack(_ cluster: ClusterFixture) async throws -> LabNode {
            let node = try await cluster.rollingOrder()[1]
            let before = try await members(of: cluster)
            // It starts with its own data, and not to join.
            try await node.replaceProgram(
                "/usr/bin/etcd",
                with: #"[ "${ETCD_INITIAL_CLUSTER_STATE-}" != existing ] || exit 1; exec $ORIGINAL "$@""#
            )
            let output = try await cluster.pawl(arguments(cluster))
            #expect(output.exitCode == 3, "\(output.all)")
            let report = try output.report()
            #expect(report.step == "Join the new cluster" && report.host == node.name, "\(report)")
            #expect(report.members.allSatisfy { $0.state == "v2" }, "\(report)")
            #expect(try await members(of: cluster) == before)
            try await cluster.expectServingV2()
            let asides = try await asides(of: cluster)
            #expect(asides == 0)
            try await node.restoreProgram("/usr/bin/etcd")
            return node
        }

        private static func arguments(_ cluster: ClusterFixture, _ playbook: String = ClusterFixture.reseed) -> [String]
        {
            cluster.runArguments(playbook, ["-e", "ttl_keys=warn"] + ClusterFixture.json)
        }

        /// The ids of all members, as each of them has them.
        private static func members(of cluster: ClusterFixture) async throws -> Set<String> {
            var lists: Set<Set<String>> = []
            for node in cluster.nodes {
                let list = try await cluster.etcdctl(node, "member list").stdout
                lists.insert(Set(list.split(separator: "\n").map { String($0.prefix { $0 != "," }) }))
            }
            #expect(lists.count == 1, "\(lists)")
            return lists.first ?? []
        }

        private static func asides(of cluster: ClusterFixture) async throws -> Int {
            var count = 0
            for node in cluster.nodes {
                let found = try await node.check("ls -d /var/lib/etcd/default/member.pawl-* 2>/dev/null || true")
                if !found.isEmpty { count += 1 }
            }
            return count
        }
    }
}
