// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// What a run changed is taken back: the whole cluster or one member, after a halt, a kill, or a good end.
    @Suite(.serialized)
    struct RollbackTests {
        @Test func `a cluster that was migrated is taken back and can be migrated again`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let run = try await Self.migrate(cluster)
                let output = try await cluster.pawl(cluster.rollbackArguments + ClusterFixture.json)
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectBack()
                let done = try output.events().filter { $0.event == "step_finished" && $0.action == "etcd_rollback" }
                #expect(done.allSatisfy { $0.message?.hasPrefix("db-only") == true }, "\(done)")
                let runs = try await cluster.pawl(["runs", "--state", cluster.stateDirectory])
                #expect(runs.stdout.contains("rolled back"), "\(runs.all)")
                let resumed = try await cluster.pawl(["resume", run, "--state", cluster.stateDirectory])
                #expect(resumed.exitCode == 64, "\(resumed.all)")
                #expect(resumed.stderr.contains("was taken back by run"), "\(resumed.all)")
                let again = try await cluster.pawl(cluster.rollbackArguments + [run])
                #expect(again.exitCode == 0 && again.stderr.contains("nothing to take back"), "\(again.all)")
                _ = try await Self.migrate(cluster)
                try await cluster.expectMigrated()
            }
        }

        @Test func `a run that halted with a member down is taken back, that member first`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let order = try await cluster.rollingOrder()
                let offered = try await Self.haltWithMemberDown(cluster, order[1])
                let output = try await cluster.pawl(offered + ["--yes"] + ClusterFixture.json)
                #expect(output.exitCode == 0, "\(output.all)")
                let changed = try output.events().filter { $0.starts("etcd_rollback") }.compactMap(\.host)
                #expect(changed == [order[1].name, order[0].name])
                try await cluster.expectBack()
            }
        }

        @Test func `v3 writes refuse the rollback, and are lost only where they are given up`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                _ = try await Self.migrate(cluster)
                let nodes = cluster.nodes
                #expect(try await cluster.etcdctl(nodes[0], "put app/one x").exitCode == 0)
                try await cluster.putV2(nodes[1], "/later", "kept")
                let before = try await cluster.traces(of: nodes)

                let refused = try await cluster.pawl(cluster.rollbackArguments + ClusterFixture.json)
                #expect(refused.exitCode == 4, "\(refused.all)")
                let report = try refused.report()
                for text in ["1 writes since", "app/one", "--lose-v3-writes"] {
                    #expect(report.reason?.contains(text) == true, "\(report)")
                }
                #expect(report.nextCommands?.first?.command.hasPrefix("pawl rollback ") == true, "\(report)")
                #expect(try await cluster.traces(of: nodes) == before)

                let one = try await cluster.pawl(
                    cluster.rollbackArguments + ["--lose-v3-writes", "--limit", nodes[1].name]
                )
                #expect(one.exitCode == 0, "\(one.all)")
                #expect(try await cluster.revision(of: nodes[1]) == 1)
                #expect(try await cluster.traces(of: [nodes[0], nodes[2]]) == [before[0], before[2]])

                let rest = try await cluster.pawl(cluster.rollbackArguments + ["--lose-v3-writes"])
                #expect(rest.exitCode == 0, "\(rest.all)")
                try await cluster.expectBack()
                for node in nodes {
                    let later = try await node.check("curl -sS --noproxy '*' '\(node.clientURL)/v2/keys/later'")
                    #expect(later.contains("kept"))
                }
            }
        }

        @Test func `a rollback that is killed at each of its steps is resumed to the same end`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                _ = try await Self.migrate(cluster)
                typealias Point = (String, @Sendable (EventLine) -> Bool)
                let points: [Point] = [
                    ("the preflight", { $0.starts("etcd_rollback_ready") }),
                    ("the stop", { $0.starts("service") && $0.step?.contains(".1/") == true }),
                    ("the restore", { $0.starts("etcd_rollback") }),
                    ("the end of the restore", { $0.event == "step_finished" && $0.action == "etcd_rollback" }),
                    ("the start", { $0.starts("service") && $0.step?.contains(".3/") == true }),
                    ("the health check", { $0.starts("etcd_healthy") }),
                    ("the gate", { $0.starts("etcd_rolled_back") }),
                    ("another restore", { $0.starts("etcd_rollback") }),
                    ("the last proof", { $0.starts("etcd_rolled_back") && $0.phase == "postflight" }),
                ]
                if try await cluster.expectKilledAtEach(of: points, cluster.rollbackArguments) {
                    return try await cluster.expectBack()
                }
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await cluster.expectBack()
            }
        }

        @Test func `a member that came up again in the middle, as after a reboot, is begun anew`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                _ = try await Self.migrate(cluster)
                let killed = try await cluster.expectKilled(cluster.rollbackArguments, at: "etcd_rollback")
                let host = try killed.events().first { $0.starts("etcd_rollback") }?.host
                let node = try cluster.node(try #require(host))
                // Somebody takes the hold away and starts the unit.
                try await node.check(
                    """
                    while [ -n "$(find /var/lib/etcd/default/member/snap -name 'db.pawl-*')" ]; do sleep 0.1; done
                    rm -rf /run/pawl /var/lib/pawl/service /etc/systemd/system/etcd.service.d; systemctl daemon-reload; systemctl start etcd
                    """
                )
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await cluster.expectBack()
            }
        }

        @Test func `a damaged backup is found, and nothing is changed on the strength of it`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                _ = try await Self.migrate(cluster)
                let list = ["backups", "-i", cluster.inventory, "--state", cluster.stateDirectory]
                let sound = try await cluster.pawl(list + ["--verify"])
                #expect(sound.exitCode == 0, "\(sound.all)")
                #expect(sound.stdout.split(separator: "\n").count { $0.contains(" sound ") } == 3, "\(sound.all)")

                let node = cluster.nodes[1]
                let database = "\(node.backupDirectory)/*/tree\(node.dataDirectory)/member/snap/db"
                // One bit, and nothing that a listing of sizes and times would show.
                try await node.check(
                    """
                    f=$(echo \(database)); t=$(stat -c %y $f); b=$(od -An -tu1 -j 9000 -N 1 $f)
                    printf "\\\\$(printf %o $((b ^ 1)))" | dd of=$f bs=1 seek=9000 conv=notrunc status=none; touch -d "$t" $f
                    """
                )
                #expect(try await cluster.pawl(list).exitCode == 0, "a listing does not read what it lists")
                let damaged = try await cluster.pawl(list + ["--verify"] + ClusterFixture.json)
                #expect(damaged.exitCode == 4, "\(damaged.all)")
                let lines = damaged.stdout.split(separator: "\n")
                #expect(lines.count { $0.contains(#""state":"damaged""#) && $0.contains("snap/db") } == 1, "\(lines)")
                #expect(lines.count { $0.contains(#""state":"sound""#) } == 2, "\(lines)")

                let before = try await cluster.traces(of: cluster.nodes)
                let refused = try await cluster.pawl(cluster.rollbackArguments + ClusterFixture.json)
                #expect(refused.exitCode == 4, "\(refused.all)")
                #expect(try refused.report().reason?.contains("not sound") == true, "\(refused.all)")
                #expect(try await cluster.traces(of: cluster.nodes) == before)
            }
        }

        // MARK: - What the tests share

        /// Migrates, and says which run did.
        private static func migrate(_ cluster: ClusterFixture) async throws -> String {
            let output = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json))
            try #require(output.exitCode == 0, "\(output.all)")
            return try #require(try output.events().first).run
        }

        /// Runs the migration up to a member that cannot be started again, which is mended after the halt.
        ///
        /// - Returns: the words of the command that the halt screen offers to take all back, as it stands there.
        static func haltWithMemberDown(
            _ cluster: ClusterFixture,
            _ node: LabNode,
            inventory: String? = nil
        ) async throws -> [String] {
            try await node.replaceProgram("/usr/bin/etcd", with: "echo 'etcd: broken on purpose' >&2; exit 1")
            let halted = try await cluster.pawl(
                cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json, inventory: inventory)
            )
            #expect(halted.exitCode == 3, "\(halted.all)")
            let commands = try halted.report().nextCommands?.map(\.command) ?? []
            let offered = try #require(commands.first { $0.hasPrefix("pawl rollback ") }, "\(commands)")
            #expect(try await !node.isEtcdRunning())
            try await node.restoreProgram("/usr/bin/etcd")
            return offered.split(separator: " ").dropFirst().map(String.init)
        }
    }
}
