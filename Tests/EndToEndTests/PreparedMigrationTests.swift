// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// The copies that are migrated before the first member is stopped.
    @Suite(.serialized)
    struct PreparedMigrationTests {
        private static let copies = "ls -d /var/lib/etcd/.pawl-* 2>/dev/null || true"

        @Test func `copies are migrated, swapped in and gone`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 500))
                let output = try await cluster.pawl(cluster.runArguments())
                #expect(output.exitCode == 0, "\(output.all)")
                #expect(output.stdout.split(separator: "\n").count { $0.contains("swapped in as prepared") } == 3)
                try await cluster.expectMigrated()
                for node in cluster.nodes { #expect(try await node.check(Self.copies).isEmpty) }
            }
        }

        @Test func `a member that cannot be prepared halts the run before any is stopped, and it is resumed`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let order = try await cluster.rollingOrder()
                try await HaltTests.breakMigration(on: order[1])
                let before = try await cluster.traces(of: cluster.nodes)
                let output = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json))
                #expect(output.exitCode == 3, "\(output.all)")
                let report = try output.report()
                #expect(report.verdict == "halted")
                #expect(report.host == order[1].name, "\(report)")
                #expect(report.step == "Migrate a copy", "\(report)")
                #expect(report.reason?.contains("no space left") == true, "\(report)")
                #expect(report.nextCommands?.first?.command.hasPrefix("pawl resume") == true, "\(report)")
                #expect(report.members.allSatisfy { $0.state == "v2" }, "\(report)")
                try await cluster.expectUntouched(cluster.nodes, since: before)
                for node in cluster.nodes { #expect(try await node.check(Self.copies).isEmpty) }
                try await order[1].restoreProgram("/usr/bin/etcdctl")
                try await cluster.expectResumed()
            }
        }

        @Test func `a run that halted while copies were made, and is then refused, leaves nothing on the nodes`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let order = try await cluster.rollingOrder()
                try await HaltTests.breakMigration(on: order[1])
                let halted = try await cluster.pawl(cluster.runArguments())
                #expect(halted.exitCode == 3, "\(halted.all)")
                try await order[1].restoreProgram("/usr/bin/etcdctl")
                let key = "\(order[0].clientURL)/v2/keys/short"
                try await order[0].check("curl -sf --noproxy '*' -XPUT -d value=x -d ttl=600 \(key)")
                let refused = try await cluster.pawl(cluster.resumeArguments)
                #expect(refused.exitCode == 4, "\(refused.all)")
                #expect(refused.all.contains("/short"), "\(refused.all)")
                for node in cluster.nodes {
                    let left = try await node.check("ls -A /var/lib/pawl; \(Self.copies)").split(separator: "\n")
                    #expect(left.allSatisfy { ["last-run", "token", "lock.guard"].contains($0) }, "\(left)")
                }
                try await order[0].check("curl -sf --noproxy '*' -XDELETE \(key)")
                let output = try await cluster.pawl(cluster.runArguments())
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
            }
        }

        @Test func `a controller that is killed while copies are made is resumed to the same end`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300))
                let second = try await cluster.rollingOrder()[1]
                try await InterruptTests.slowDownMigration(on: second, seconds: 2)
                try await cluster.expectKilled(cluster.runArguments()) {
                    try await InterruptTests.waitForMigration(on: second, $0, step: "etcd_prepare")
                }
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                #expect(resumed.stdout.split(separator: "\n").count { $0.contains("swapped in as prepared") } == 3)
                try await cluster.expectMigrated()
                for node in cluster.nodes { #expect(try await node.check(Self.copies).isEmpty) }
            }
        }

        @Test(.enabled("needs booted nodes") { geteuid() == 0 })
        func `a data directory that is a file system of its own is migrated in place`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let node = try await cluster.rollingOrder()[0]
                try await node.check(
                    """
                    systemctl stop etcd; cd /var/lib/etcd
                    mv default aside; mkdir default; mount -t tmpfs -o size=600M tmpfs default
                    cp -a aside/. default/; chown --reference=aside default; chmod --reference=aside default; rm -rf aside
                    systemctl start etcd
                    """
                )
                let output = try await cluster.pawl(cluster.runArguments())
                #expect(output.exitCode == 0, "\(output.all)")
                #expect(output.stdout.contains("no copy is made, the member is migrated in place"), "\(output.stdout)")
                #expect(output.stdout.split(separator: "\n").count { $0.contains("swapped in as prepared") } == 2)
                try await cluster.expectMigrated()
            }
        }
    }
}
