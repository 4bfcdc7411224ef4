// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// A run that is carried by its nodes: gone on with elsewhere, shown, and protected from another.
    @Suite(.serialized)
    struct ReplicaTests {
        @Test func `a run that was killed is finished by a machine that has only the inventory`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300))
                let second = try await cluster.rollingOrder()[1]
                try await InterruptTests.slowDownMigration(on: second, seconds: 2)
                let killed = try await cluster.expectKilled(cluster.runArguments(ClusterFixture.inPlace)) {
                    try await InterruptTests.waitForMigration(on: second, $0)
                }
                let run = try #require(try killed.events().first?.run)
                try FileManager.default.removeItem(atPath: cluster.stateDirectory)

                let status = try await cluster.pawl(["status", "-i", cluster.inventory])
                #expect(status.exitCode == 0, "\(status.all)")
                for text in [
                    run, "Migrate (steps.3/\(second.name))", "in doubt", "pawl resume -i \(cluster.inventory)",
                ] {
                    #expect(status.stdout.contains(text), "\(text): \(status.all)")
                }
                let other = "\(cluster.directory)/other"
                let refused = try await cluster.pawl(Self.run(cluster, state: other))
                #expect(refused.exitCode == 6, "\(refused.all)")
                #expect(refused.stderr.contains(run), "\(refused.all)")

                let resumed = try await cluster.pawl(["resume", "-i", cluster.inventory, "--state", other])
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await cluster.expectMigrated()
                for node in cluster.nodes {
                    let files = try await node.check("ls -A /var/lib/pawl").split(separator: "\n")
                    #expect(files.contains("last-run") && !files.contains("run") && !files.contains("lock"))
                }
            }
        }

        @Test func `while a run is halted the nodes show it, refuse another, and tell a journal that is behind`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300))
                let order = try await cluster.rollingOrder()
                let backup = "\(cluster.directory)/stale"
                try await HaltTests.breakMigration(on: order[1])
                let halted = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.inPlace, ClusterFixture.json)
                )
                #expect(halted.exitCode == 3, "\(halted.all)")
                let run = try #require(try halted.events().first?.run)
                try FileManager.default.copyItem(atPath: cluster.stateDirectory, toPath: backup)

                struct Row: Decodable {
                    var host: String
                    var run: String?
                    var state: String
                    var controller: String?
                    var at: String?
                }
                let shown = try await cluster.pawl(["status", "-i", cluster.inventory] + ClusterFixture.json)
                let rows = try shown.stdout.split(separator: "\n").map {
                    try JSONDecoder().decode(Row.self, from: Data($0.utf8))
                }
                #expect(rows.map(\.host) == cluster.nodes.map(\.name))
                #expect(rows.allSatisfy { $0.run == run && $0.state == "halted" && $0.at != nil }, "\(shown.all)")
                #expect(rows.allSatisfy { $0.controller?.contains(ProcessInfo.processInfo.hostName) == true })

                let before = try await cluster.traces(of: order)
                let refused = try await cluster.pawl(Self.run(cluster, state: "\(cluster.directory)/another"))
                #expect(refused.exitCode == 6, "\(refused.all)")
                for text in [run, "--supersede", "pawl resume -i", "pawl rollback"] {
                    #expect(refused.stderr.contains(text), "\(text): \(refused.all)")
                }

                // It goes on, and halts again: the copy of the journal is behind.
                let again = try await cluster.pawl(cluster.resumeArguments)
                #expect(again.exitCode == 3, "\(again.all)")
                let behind = try await cluster.pawl(["resume", "--state", backup])
                #expect(behind.exitCode == 6, "\(behind.all)")
                #expect(behind.stderr.contains("the nodes know more of run \(run)"), "\(behind.all)")
                #expect(try await cluster.traces(of: [order[2]]) == [before[2]])

                try await order[1].restoreProgram("/usr/bin/etcdctl")
                try await cluster.expectResumed()
            }
        }

        @Test func `when the grace time is over the controller ends and the run is resumed`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300))
                let second = try await cluster.rollingOrder()[1]
                try await InterruptTests.slowDownMigration(on: second, seconds: 8)
                let arguments = cluster.runArguments(ClusterFixture.inPlace, ClusterFixture.json + ["--grace", "1s"])
                let stopped = try await cluster.follow(arguments) { pawl in
                    try await InterruptTests.waitForMigration(on: second, pawl)
                    pawl.send(SIGTERM)
                }
                #expect(stopped.exitCode == 130, "\(stopped.all)")
                #expect(stopped.stdout.contains("no safe point within the grace time of 1s"), "\(stopped.all)")
                #expect(try stopped.report().members.first { $0.host == second.name }?.state != "migrated")
                try await cluster.expectResumed()
            }
        }

        private static func run(_ cluster: ClusterFixture, state: String) -> [String] {
            ["run", "-i", cluster.inventory, ClusterFixture.playbook, "--yes", "--state", state]
        }
    }
}
