// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Runs that keep clients out by a firewall, under clients that do not give up.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct FreezeTests {
        private static let firewall = ["-e", "etcd_firewall=auto"]

        /// Writes one key after the other from one node to another, whatever comes of it, and notes which were taken.
        private static func startWriter(on node: LabNode, to other: LabNode) async throws {
            try await node.check(
                """
                cat >/var/tmp/writer <<'END'
                n=0
                while [ ! -e /var/tmp/enough ]; do
                  n=$((n + 1))
                  code=$(curl -s -m 1 -o /dev/null -w '%{http_code}' --noproxy '*' -X PUT -d value=$n \(other.clientURL)/v2/keys/writer/$n)
                  case $code in 20*) echo $n >>/var/tmp/taken ;; *) echo $n >>/var/tmp/refused ;; esac
                  sleep 0.02
                done
                END
                : >/var/tmp/taken; : >/var/tmp/refused
                setsid sh /var/tmp/writer >/dev/null 2>&1 </dev/null &
                """
            )
        }

        private static func count(_ node: LabNode, _ file: String) async throws -> Int {
            Int(try await node.check("wc -l </var/tmp/\(file)").trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
        }

        /// Whether one node gets to the client port of another.
        private static func reaches(_ node: LabNode, _ other: LabNode) async throws -> Bool {
            try await node.run("curl -s -m 2 -o /dev/null --noproxy '*' \(other.clientURL)/version").exitCode == 0
        }

        private static func expectNothingLeft(_ nodes: [LabNode]) async throws {
            for node in nodes {
                let left = try await node.run(
                    "nft list tables; ls /var/lib/pawl/freeze; systemctl list-timers | grep pawl"
                )
                #expect(
                    !left.standardOutput.contains("pawl") && !left.standardOutput.contains("note"),
                    "\(node.name): \(left)"
                )
            }
        }

        @Test func `a client that writes all the time is kept out, and goes on afterwards`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                let (writer, target) = (order[0], order[2])
                // The run takes longer than the dead-man time: it lives by being renewed.
                let arguments = cluster.runArguments(
                    ClusterFixture.playbook,
                    Self.firewall + ["-e", "etcd_firewall_dead_man=5s"] + ClusterFixture.json
                )
                let output = try await cluster.follow(arguments) { pawl in
                    try await pawl.wait(for: "the freeze") { $0.starts("etcd_freeze") }
                    try await Self.startWriter(on: writer, to: target)
                    try await pawl.wait(for: "the first stop") { $0.starts("service", on: order[0].name) }
                    let taken = try await Self.count(writer, "taken")
                    try await pawl.wait(for: "the last migration") {
                        $0.event == "step_finished" && $0.action == "etcd_migrate" && $0.host == order[2].name
                    }
                    #expect(try await Self.count(writer, "taken") == taken, "writes got in")
                    #expect(try await Self.count(writer, "refused") > 0)
                }
                #expect(output.exitCode == 0, "\(output.all)")
                let taken = try await Self.count(writer, "taken")
                try await writer.check(
                    "until [ $(wc -l </var/tmp/taken) -gt \(taken + 3) ]; do sleep 0.05; done; : >/var/tmp/enough"
                )
                for node in order { #expect(try await cluster.revision(of: node) > 1) }
                #expect(
                    Set([try await cluster.hashKV(of: order[0]), try await cluster.hashKV(of: order[1])]).count == 1
                )
                try await Self.expectNothingLeft(order)
            }
        }

        @Test func `when the controller dies the ports stay closed, open by themselves, and resume closes them`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                let arguments = cluster.runArguments(
                    ClusterFixture.playbook,
                    Self.firewall + ["-e", "etcd_firewall_dead_man=8s"]
                )
                try await cluster.expectKilled(arguments, at: "etcd_migrate", on: order[1].name)
                #expect(try await !Self.reaches(order[1], order[0]), "the rule went with the controller")
                try await order[1].check(
                    """
                    n=0
                    until curl -s -m 2 -o /dev/null --noproxy '*' \(order[0].clientURL)/version; do
                      n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.2
                    done
                    """
                )
                let resumed = try await cluster.follow(cluster.resumeArguments + ClusterFixture.json) { pawl in
                    try await pawl.wait(for: "the third stop") { $0.starts("service", on: order[2].name) }
                    #expect(try await !Self.reaches(order[1], order[0]), "the ports were not closed again")
                }
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                #expect(resumed.stdout.contains("lifted the rule"), "\(resumed.stdout)")
                try await cluster.expectMigrated()
                #expect(try await Self.reaches(order[1], order[0]))
                try await Self.expectNothingLeft(order)
            }
        }

        @Test func `a write from a member's own node halts with the key named, and rollback opens the ports`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                let before = try await cluster.traces(of: [order[1], order[2]])
                let arguments = cluster.runArguments(ClusterFixture.playbook, Self.firewall + ClusterFixture.json)
                let halted = try await cluster.follow(arguments) { pawl in
                    try await pawl.wait(for: "the first migration") { $0.starts("etcd_migrate", on: order[0].name) }
                    try await cluster.putV2(order[2], "/stray", "secret")
                }
                #expect(halted.exitCode == 3, "\(halted.all)")
                let report = try halted.report()
                // SHA-256 of `secret`.
                let reason = report.reason ?? ""
                #expect(
                    reason.contains("/stray: added at index") && reason.contains("new sha256:2bb80d537b1d"),
                    "\(reason)"
                )
                #expect(reason.contains("migrated without it: \(order[0].name)"), "\(reason)")
                #expect(
                    halted.all.contains("pawl rollback") && halted.all.contains("stay closed for 1h"),
                    "\(halted.all)"
                )
                #expect(try await cluster.traces(of: [order[1], order[2]]) == before)
                #expect(try await !Self.reaches(order[1], order[2]), "the ports stay closed while the run is halted")
                let rolledBack = try await cluster.pawl(cluster.rollbackArguments)
                #expect(rolledBack.exitCode == 0, "\(rolledBack.all)")
                #expect(try await cluster.revision(of: order[0]) == 1)
                #expect(try await Self.reaches(order[1], order[2]))
                try await order[0].check("curl -sf --noproxy '*' \(order[0].clientURL)/v2/keys/stray")
                try await Self.expectNothingLeft(order)
            }
        }
    }
}
