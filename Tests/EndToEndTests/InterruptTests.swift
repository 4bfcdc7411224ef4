// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Signals and sudden deaths of the controller.
    @Suite(.serialized)
    struct InterruptTests {
        @Test func `a controller that is killed at the start of each step is resumed to the same end`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300))
                let second = try await cluster.rollingOrder()[1]
                let points: [(String, @Sendable (EventLine) -> Bool)] = [
                    ("the preparation", { $0.starts("etcd_prepare", on: second.name) }),
                    ("the stop", { $0.starts("service", on: second.name) }),
                    ("the backup", { $0.starts("backup", on: second.name) }),
                    ("the migration", { $0.starts("etcd_migrate", on: second.name) }),
                    (
                        "the end of the migration",
                        {
                            $0.event == "step_finished" && $0.action == "etcd_migrate" && $0.host == second.name
                        }
                    ),
                    ("the start", { $0.starts("service", on: second.name) && $0.step?.contains("4") == true }),
                    ("the health check", { $0.starts("etcd_healthy", on: second.name) }),
                ]
                let isDone = try await cluster.expectKilledAtEach(of: points, cluster.runArguments())
                if isDone { return try await cluster.expectMigrated() }
                try await cluster.expectResumed()
            }
        }

        @Test func `a controller that is killed in the middle of a migration is resumed to the same end`() async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300))
                let second = try await cluster.rollingOrder()[1]
                try await Self.slowDownMigration(on: second, seconds: 2)
                try await cluster.expectKilled(cluster.runArguments(ClusterFixture.inPlace)) {
                    try await Self.waitForMigration(on: second, $0)
                }
                let status = try await cluster.pawl(["status", "--state", cluster.stateDirectory])
                #expect(status.stdout.contains("in doubt"), "\(status.all)")
                #expect(status.stdout.contains("pawl resume"), "\(status.all)")
                // The tool is still at work on the node: going on at once has to cope with that.
                try await cluster.expectResumed()
            }
        }

        @Test func `an interrupt brings the member to its end and the run is resumed`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300))
                let order = try await cluster.rollingOrder()
                let others = try await cluster.traces(of: [order[1], order[2]])
                let arguments = cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                let interrupted = try await cluster.follow(arguments) { pawl in
                    try await pawl.wait(for: "the migration") { $0.starts("etcd_migrate", on: order[0].name) }
                    pawl.send(SIGINT)
                }
                #expect(interrupted.exitCode == 130, "\(interrupted.all)")
                #expect(try interrupted.report().exitCode == 130)
                #expect(try interrupted.report().verdict == "interrupted")
                #expect(interrupted.stderr.contains("safe point"), "\(interrupted.stderr)")
                #expect(try await cluster.isHealthy(order[0]))
                #expect(try await cluster.revision(of: order[0]) > 1, "brought to its end, which is migrated")
                try await cluster.expectUntouched([order[1], order[2]], since: others)
                try await cluster.expectResumed()
            }
        }

        @Test func `a second interrupt ends the controller at once and the run is resumed`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300))
                let second = try await cluster.rollingOrder()[1]
                try await Self.slowDownMigration(on: second, seconds: 8)
                let ended = EndTime()
                let abandoned = try await cluster.follow(
                    cluster.runArguments(ClusterFixture.inPlace, ClusterFixture.json)
                ) {
                    try await Self.waitForMigration(on: second, $0)
                    $0.send(SIGINT)
                    try await $0.wait(forMessage: "safe point")
                    $0.send(SIGINT)
                    await ended.start()
                }
                let waited = await ended.elapsed
                #expect(abandoned.exitCode == 130, "\(abandoned.all)")
                #expect(waited < .seconds(5), "\(waited)")
                try await cluster.expectResumed()
            }
        }

        /// Makes the tool wait before it begins, and say on the node that it was called.
        static func slowDownMigration(on node: LabNode, seconds: Int) async throws {
            try await node.replaceProgram(
                "/usr/bin/etcdctl",
                with: HaltTests.insteadOfMigrate("touch /tmp/migrating; sleep \(seconds)")
            )
        }

        static func waitForMigration(
            on node: LabNode,
            _ pawl: RunningPawl,
            step action: String = "etcd_migrate"
        ) async throws {
            try await pawl.wait(for: "the migration") { $0.starts(action, on: node.name) }
            try await node.check(
                "n=0; until [ -e /tmp/migrating ]; do sleep 0.05; n=$((n + 1)); [ $n -lt 400 ] || exit 1; done"
            )
        }

        private actor EndTime {
            private var began = ContinuousClock.now
            func start() { began = .now }
            var elapsed: Duration { .now - began }
        }
    }
}
