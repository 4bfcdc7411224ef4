// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Steps that fail on the second member: it is put back, the third is not touched, and the run is resumed.
    @Suite(.serialized)
    struct HaltTests {
        @Test func `a migration that fails puts its member back and leaves the next alone`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                try await Self.breakMigration(on: order[1])
                let halted = try await Self.expectHaltOnSecond(cluster, order, ClusterFixture.inPlace)
                #expect(halted.reason?.contains("no space left") == true, "\(halted)")
                #expect(halted.step == "Migrate", "\(halted)")
                try await order[1].restoreProgram("/usr/bin/etcdctl")
                try await cluster.expectResumed()
            }
        }

        @Test func `a migration that says it is done and is not is found out before its member starts`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                try await order[1].replaceProgram(
                    "/usr/bin/etcdctl",
                    with: Self.insteadOfMigrate(
                        "echo 'using default transformer'; echo 'finished transforming keys'; exit 0"
                    )
                )
                let halted = try await Self.expectHaltOnSecond(cluster, order, ClusterFixture.inPlace)
                #expect(halted.reason?.contains("keys") == true, "\(halted)")
                try await order[1].restoreProgram("/usr/bin/etcdctl")
                try await cluster.expectResumed()
            }
        }

        @Test func `a disk that fills up at the backup puts its member back`() async throws {
            let options = LabOptions(limitedDisk: .init(path: "/var/backups/pawl", megabytes: 300))
            try await ClusterFixture.with(options: options) { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                let playbook = try cluster.editedPlaybook(ClusterFixture.inPlace, replacing: Self.withoutRoomCheck)
                try await order[1].check("cat /dev/zero >/var/backups/pawl/filling 2>/dev/null || true")
                let halted = try await Self.expectHaltOnSecond(cluster, order, playbook)
                #expect(halted.step == "Back up the data", "\(halted)")
                try await order[1].check("rm /var/backups/pawl/filling")
                try await cluster.expectResumed()
            }
        }

        @Test func `a disk that is full for what is copied ahead halts before any member is stopped`() async throws {
            let options = LabOptions(limitedDisk: .init(path: "/var/backups/pawl", megabytes: 300))
            try await ClusterFixture.with(options: options) { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                let playbook = try cluster.editedPlaybook(replacing: Self.withoutRoomCheck)
                try await order[1].check("cat /dev/zero >/var/backups/pawl/filling 2>/dev/null || true")
                let before = try await cluster.traces(of: cluster.nodes)
                let output = try await cluster.pawl(cluster.runArguments(playbook, ClusterFixture.json))
                #expect(output.exitCode == 3, "\(output.all)")
                let report = try output.report()
                #expect(report.step == "Back up what is at rest" && report.host == order[1].name, "\(report)")
                #expect(report.reason?.contains("disk full at /var/backups/pawl") == true, "\(report)")
                try await cluster.expectUntouched(cluster.nodes, since: before)
                for node in cluster.nodes {
                    let left = "ls -d /var/backups/pawl/*.ahead /var/lib/etcd/.pawl-* 2>/dev/null || true"
                    #expect(try await node.check(left).isEmpty)
                }
                try await order[1].check("rm /var/backups/pawl/filling")
                try await cluster.expectResumed()
            }
        }

        private static let withoutRoomCheck = [
            ("  - name: Disk has room for the backup\n", ""),
            (#"    disk_free: { path: "{{ backup_dir }}", at_least: "2x {{ etcd_data_dir }}" }"# + "\n", ""),
        ]

        @Test func `a member that cannot be started again is told as it is and resumed when mended`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                let third = try await cluster.trace(of: order[2])
                // The process that runs keeps running; only the next start fails.
                try await order[1].replaceProgram("/usr/bin/etcd", with: "echo 'etcd: broken on purpose' >&2; exit 1")
                let output = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json))
                #expect(output.exitCode == 3, "\(output.all)")
                let report = try output.report()
                let states = Dictionary(uniqueKeysWithValues: report.members.map { ($0.host, $0) })
                #expect(states[order[0].name]?.state == "migrated", "\(report)")
                #expect(states[order[1].name]?.state == "stopped", "\(report)")
                #expect(states[order[1].name]?.detail?.contains("could not be put back") == true, "\(report)")
                #expect(states[order[2].name]?.state == "v2", "\(report)")
                #expect(report.host == order[1].name)
                #expect(report.nextCommands?.first?.command.hasPrefix("pawl resume") == true)
                #expect(try await !order[1].isEtcdRunning())
                try await cluster.expectUntouched([order[2]], since: [third])
                try await order[1].restoreProgram("/usr/bin/etcd")
                try await cluster.expectResumed()
            }
        }

        @Test func `a write between two members halts the run before the next one and is named`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                let others = try await cluster.traces(of: [order[1], order[2]])
                let arguments = cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                let output = try await cluster.follow(arguments) { pawl in
                    try await pawl.wait(for: "end of the first migration") {
                        $0.event == "step_finished" && $0.action == "etcd_migrate"
                    }
                    try await cluster.putV2(order[2], "/stray/key", "written too late")
                }
                #expect(output.exitCode == 3, "\(output.all)")
                let report = try output.report()
                #expect(report.reason?.contains("/stray/key") == true, "\(report)")
                #expect(report.step == "Members agree", "\(report)")
                try await cluster.expectUntouched([order[1], order[2]], since: others)
            }
        }

        /// Makes every migration on a node fail, until its etcdctl is restored.
        static func breakMigration(on node: LabNode) async throws {
            let script = insteadOfMigrate("echo 'Error: no space left' >&2; exit 1")
            try await node.replaceProgram("/usr/bin/etcdctl", with: script)
        }

        /// A script in the place of etcdctl that is etcdctl for everything but a migration.
        static func insteadOfMigrate(_ script: String) -> String {
            """
            case "$*" in
            *--help*) exec $ORIGINAL "$@" ;;
            migrate*) \(script) ;;
            esac
            exec $ORIGINAL "$@"
            """
        }

        /// Runs the playbook, which fails on the second member.
        private static func expectHaltOnSecond(
            _ cluster: ClusterFixture,
            _ order: [LabNode],
            _ playbook: String = ClusterFixture.playbook
        ) async throws -> EventLine.Report {
            let third = try await cluster.trace(of: order[2])
            let output = try await cluster.pawl(cluster.runArguments(playbook, ClusterFixture.json))
            #expect(output.exitCode == 3, "\(output.all)")
            let report = try output.report()
            #expect(report.verdict == "halted")
            #expect(report.exitCode == 3)
            #expect(report.host == order[1].name, "\(report)")
            #expect(report.nextCommands?.first?.command.hasPrefix("pawl resume") == true, "\(report)")
            #expect(report.members.map(\.host) == cluster.nodes.map(\.name))
            let states = Dictionary(uniqueKeysWithValues: report.members.map { ($0.host, $0.state) })
            #expect(states == [order[0].name: "migrated", order[1].name: "v2", order[2].name: "v2"], "\(report)")

            try await cluster.expectUntouched([order[2]], since: [third])
            #expect(try await cluster.isHealthy(order[1]))
            #expect(try await cluster.revision(of: order[1]) == 1, "put back on v2")
            #expect(try await cluster.revision(of: order[0]) > 1, "migrated")
            return report
        }
    }
}
