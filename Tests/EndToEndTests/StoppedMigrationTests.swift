// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// The migration with all members stopped: a barrier after each step.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct StoppedMigrationTests {
        @Test func `all members are stopped, migrated alike and started, TTL keys too, and it can be taken back`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 300, ttlKeys: 20))
                let plan = try await cluster.pawl(["plan", "-i", cluster.inventory, ClusterFixture.playbook])
                #expect(plan.exitCode == 0, "\(plan.all)")
                #expect(plan.stdout.contains("another way (stopped) fits better: 20 keys with a TTL"), "\(plan.all)")
                #expect(plan.stdout.contains("migrate_etcd_v2_to_v3_stopped.yaml -e 'ttl_keys=warn'"), "\(plan.all)")
                let refused = try await cluster.pawl(cluster.runArguments(ClusterFixture.stopped))
                #expect(refused.exitCode == 4, "\(refused.all)")
                let arguments = cluster.runArguments(
                    ClusterFixture.stopped,
                    ["-e", "ttl_keys=warn"] + ClusterFixture.json
                )
                let output = try await cluster.pawl(arguments)
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
                try Self.expectBarriers(output)
                try await cluster.expectTakenBack()
            }
        }

        @Test func `keys with a TTL can be left out on all members alike`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100, kinds: false, ttlKeys: 20))
                let arguments = cluster.runArguments(
                    ClusterFixture.stopped,
                    ["-e", "ttl_keys=warn migrate_no_ttl=true"]
                )
                let output = try await cluster.pawl(arguments)
                #expect(output.exitCode == 0, "\(output.all)")
                var hashes: Set<String> = []
                for node in cluster.nodes {
                    hashes.insert(try await cluster.hashKV(of: node))
                    let ttl = try await cluster.etcdctl(node, "get /ttl --prefix --keys-only")
                    #expect(ttl.stdout.isEmpty, "\(ttl.stdout)")
                }
                #expect(hashes.count == 1)
            }
        }

        @Test func `a migration that fails on one member brings all of them back together`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                try await HaltTests.breakMigration(on: order[1])
                let arguments = cluster.runArguments(ClusterFixture.stopped, ClusterFixture.json)
                let output = try await cluster.pawl(arguments)
                #expect(output.exitCode == 3, "\(output.all)")
                let report = try output.report()
                #expect(report.host == order[1].name && report.step == "Migrate", "\(report)")
                #expect(report.members.allSatisfy { $0.state == "v2" }, "\(report)")
                try await cluster.expectServingV2()
                try await order[1].restoreProgram("/usr/bin/etcdctl")
                try await cluster.expectResumed()
            }
        }

        @Test func `a member that does not start brings those that did back with it`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let order = try await cluster.rollingOrder()
                let playbook = try cluster.editedPlaybook(
                    ClusterFixture.stopped,
                    replacing: [("etcd_healthy: { within: 2m }", "etcd_healthy: { within: 10s }")]
                )
                try await order[2].replaceProgram("/usr/bin/etcd", with: "echo 'broken on purpose' >&2; exit 1")
                let output = try await cluster.pawl(cluster.runArguments(playbook, ClusterFixture.json))
                #expect(output.exitCode == 3, "\(output.all)")
                let states = Dictionary(
                    uniqueKeysWithValues: try output.report().members.map { ($0.host, $0.state) }
                )
                #expect(
                    states == [order[0].name: "v2", order[1].name: "v2", order[2].name: "stopped"],
                    "\(output.all)"
                )
                for node in order.prefix(2) {
                    #expect(try await cluster.isHealthy(node))
                    #expect(try await cluster.revision(of: node) == 1)
                }
                try await order[2].restoreProgram("/usr/bin/etcd")
                try await cluster.expectResumed()
            }
        }

        @Test func `a key that expires while the members stop is found out before any of them is started`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let order = try await cluster.rollingOrder()
                // Two of three still serve, and expire keys, when the first is down.
                for node in order.suffix(2) {
                    let unit = "/etc/systemd/system/etcd.service.d"
                    try await node.check(
                        "mkdir -p \(unit); printf '[Service]\\nExecStop=/bin/sleep 12\\n' >\(unit)/slow.conf; systemctl daemon-reload"
                    )
                }
                let url = "\(order[0].clientURL)/v2/keys/short"
                try await order[0].check("curl -sf --noproxy '*' -o /dev/null -XPUT -d value=x -d ttl=10 \(url)")
                let output = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.stopped, ["-e", "ttl_keys=warn"] + ClusterFixture.json)
                )
                #expect(output.exitCode == 3, "\(output.all)")
                let report = try output.report()
                #expect(report.step == "All are migrated alike", "\(report)")
                #expect(report.reason?.contains("not migrated to the same store") == true, "\(report)")
                try await cluster.expectServingV2()
                try await cluster.expectResumed()
            }
        }

        @Test func `a controller that is killed at each barrier in turn is resumed to the same end`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200, ttlKeys: 5))
                var arguments = cluster.runArguments(
                    ClusterFixture.stopped,
                    ["-e", "ttl_keys=warn"]
                )
                let barriers = ["Stop etcd", "Back up the data", "Migrate", "All are migrated alike", "Start etcd"]
                for step in barriers {
                    try await cluster.expectKilled(arguments) { pawl in
                        try await pawl.wait(for: "end of \(step)") { $0.event == "step_finished" && $0.name == step }
                    }
                    arguments = cluster.resumeArguments
                }
                try await cluster.expectResumed()
            }
        }

        /// No step of a host begins before all hosts have ended the one before it.
        private static func expectBarriers(_ output: ClusterFixture.Output) throws {
            let actions = ["service", "backup", "etcd_migrate", "etcd_migrated"]
            var ended: [String: Int] = [:]
            for event in try output.events() {
                guard let action = event.action, let place = actions.firstIndex(of: action), ended["service"] ?? 0 <= 3
                else { continue }
                if event.event == "step_finished" { ended[action, default: 0] += 1 }
                if event.event == "step_started", place > 0 {
                    #expect(ended[actions[place - 1]] == 3, "\(action) on \(event.host ?? "")")
                }
            }
            #expect(ended["etcd_migrated"] == 3)
        }
    }
}
