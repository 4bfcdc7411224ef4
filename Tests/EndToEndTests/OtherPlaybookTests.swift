// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// The other playbooks of the repository, and two controllers at once.
    @Suite(.serialized)
    struct OtherPlaybookTests {
        private static let restart = ClusterFixture.repository + "/playbooks/restart_etcd.yaml"
        private static let backup = ClusterFixture.repository + "/playbooks/backup_etcd.yaml"

        @Test func `a rolling restart and a backup leave every member healthy and keep other controllers out`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let before = try await Self.starts(cluster)

                let restarted = try await cluster.follow(cluster.runArguments(Self.restart, ClusterFixture.json)) {
                    pawl in
                    let event = try await pawl.wait(for: "the first restart") { $0.starts("service") }
                    try await Self.expectLocked(cluster, by: pawl.pid, event.run)
                }
                #expect(restarted.exitCode == 0, "\(restarted.all)")
                #expect(try restarted.events().last?.event == "finished")
                #expect(try await Self.starts(cluster) == before.map { $0 + 1 }, "each was restarted once")
                try await Self.expectHealthy(cluster)

                let backedUp = try await cluster.pawl(cluster.runArguments(Self.backup, ClusterFixture.json))
                #expect(backedUp.exitCode == 0, "\(backedUp.all)")
                #expect(try await Self.starts(cluster) == before.map { $0 + 2 }, "each was stopped once")
                try await Self.expectHealthy(cluster)
                let report = try backedUp.report()
                for node in cluster.nodes {
                    let path = try #require(report.members.first { $0.host == node.name }?.backupPath)
                    try await node.check(
                        "test -s \(path)/manifest && test -s \(path)/backup.json && test -d \(path)/tree"
                    )
                    #expect(try await cluster.revision(of: node) == 1)
                }
                let runs = try await cluster.pawl(["runs", "--state", cluster.stateDirectory])
                #expect(runs.stdout.split(separator: "\n").count { $0.contains("done") } == 2, "\(runs.all)")
            }
        }

        /// Whoever comes second is told who was first, and does nothing.
        private static func expectLocked(_ cluster: ClusterFixture, by pid: pid_t, _ run: String) async throws {
            for arguments in [cluster.runArguments(restart), cluster.resumeArguments] {
                let second = try await cluster.pawl(arguments)
                #expect(second.exitCode == 5, "\(second.all)")
                #expect(second.stderr.contains("process \(pid)"), "\(second.stderr)")
                #expect(second.stderr.contains(run), "\(second.stderr)")
            }
        }

        /// How often systemd started etcd on each node.
        private static func starts(_ cluster: ClusterFixture) async throws -> [Int] {
            var counts: [Int] = []
            for node in cluster.nodes {
                let text = try await node.check("journalctl -u etcd -q -o cat --grep='^Started' | wc -l")
                counts.append(Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1)
            }
            return counts
        }

        private static func expectHealthy(_ cluster: ClusterFixture) async throws {
            for node in cluster.nodes { #expect(try await cluster.isHealthy(node), "\(node.name)") }
        }
    }
}
