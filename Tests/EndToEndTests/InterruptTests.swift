// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
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
                var arguments = cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                for (what, point) in points {
                    let output = try await cluster.follow(arguments) { pawl in
                        try await pawl.wait(for: what, point)
                        pawl.send(SIGKILL)
                    }
                    #expect(output.exitCode == 128 + Int(SIGKILL), "\(what): \(output.all)")
                    arguments = cluster.resumeArguments + ClusterFixture.json
                }
                try await cluster.expectResumed()
            }
        }
    }
}
