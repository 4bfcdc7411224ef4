// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// The migration that is made on copies before the first member is stopped.
    @Suite(.serialized)
    struct PreparedMigrationTests {
        private static let playbook = ClusterFixture.repository + "/playbooks/migrate_etcd_v2_to_v3_prepared.yaml"
        private static let copies = "ls -d /var/lib/etcd/.pawl-* 2>/dev/null || true"

        @Test func `copies are migrated, swapped in and gone`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 500))
                let output = try await cluster.pawl(cluster.runArguments(Self.playbook))
                #expect(output.exitCode == 0, "\(output.all)")
                #expect(output.stdout.split(separator: "\n").count { $0.contains("swapped in as prepared") } == 3)
                try await cluster.expectMigrated()
                for node in cluster.nodes { #expect(try await node.check(Self.copies).isEmpty) }
            }
        }

        @Test func `a member that cannot be prepared refuses the run before any is stopped`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let order = try await cluster.rollingOrder()
                try await order[1].replaceProgram(
                    "/usr/bin/etcdctl",
                    with: HaltTests.insteadOfMigrate("echo 'Error: no space left' >&2; exit 1")
                )
                let before = try await cluster.traces(of: cluster.nodes)
                let output = try await cluster.pawl(cluster.runArguments(Self.playbook))
                #expect(output.exitCode == 4, "\(output.all)")
                #expect(output.all.contains("no space left"), "\(output.all)")
                try await cluster.expectUntouched(cluster.nodes, since: before)
                for node in cluster.nodes { #expect(try await node.check(Self.copies).isEmpty) }
            }
        }
    }
}
