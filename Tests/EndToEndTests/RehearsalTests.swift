// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// `pawl rehearse`: copies are migrated, and nothing is left of it.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct RehearsalTests {
        /// What a rehearsal printed with `--format json`.
        private struct Report: Decodable {
            struct Member: Decodable {
                struct Outcome: Decodable {
                    struct Loss: Decodable {
                        var kind: String
                        var count: Int
                        var names: [String]
                    }
                    var keys: Int
                    var revision: Int
                    var hash: String
                    var losses: [Loss]
                    var problems: [String]
                    var remarks: [String]
                }
                struct Prediction: Decodable {
                    var prepared: Double
                }
                var host: String
                var outcome: Outcome
                var prediction: Prediction?
            }
            var isEqual: Bool?
            var entriesMeanwhile: Int
            var members: [Member]
            var problems: [String]
        }

        private static func arguments(_ cluster: ClusterFixture, _ more: [String] = []) -> [String] {
            ["rehearse", "-i", cluster.inventory] + more
        }

        private static func rehearse(
            _ cluster: ClusterFixture,
            _ more: [String] = []
        ) async throws -> (code: Int, report: Report) {
            let output = try await cluster.pawl(arguments(cluster, more + ClusterFixture.json))
            return (output.exitCode, try report(output))
        }

        private static func report(_ output: ClusterFixture.Output) throws -> Report {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            do {
                return try decoder.decode(Report.self, from: Data(output.stdout.utf8))
            } catch {
                throw LabError(.notReady, "\(output.exitCode): \(output.all)")
            }
        }

        /// What of a rehearsal is on a node, its processes included.
        private static let traces = """
            ls -d /var/lib/etcd/.pawl-* /srv/scratch/.pawl-* /tmp/tmp.* /var/lib/pawl/* 2>/dev/null
            pgrep -a -x etcdctl; pgrep -af '[f]orce-new-cluster'; true
            """

        private static func expectNoTrace(_ cluster: ClusterFixture) async throws {
            for node in cluster.nodes { #expect(try await node.check(traces) == "", "\(node.name)") }
        }

        /// Makes `etcdctl migrate` take its time on a node, and say when it began.
        private static func slowDown(_ node: LabNode, seconds: Int) async throws {
            try await InterruptTests.slowDownMigration(on: node, seconds: seconds)
        }

        private static func awaitMigration(on node: LabNode) async throws {
            try await node.check(
                "n=0; until [ -e /tmp/migrating ]; do sleep 0.05; n=$((n + 1)); [ $n -lt 600 ] || exit 1; done"
            )
        }

        private static let copies = "ls -d /var/lib/etcd/.pawl-* 2>/dev/null || true"

        @Test func `a rehearsal says what a run would do, and leaves no trace`() async throws {
            try await ClusterFixture.with { cluster in
                let written = try await cluster.seed(LabSeed(keys: 300))
                let before = try await cluster.traces(of: cluster.nodes)
                let (code, report) = try await Self.rehearse(cluster)
                #expect(code == 0, "\(report)")
                #expect(report.isEqual == true)
                #expect(report.members.map(\.outcome.keys) == [written.values, written.values, written.values])
                for member in report.members {
                    #expect(member.outcome.losses.map(\.kind) == ["empty_directory"])
                    #expect(try #require(member.prediction).prepared > 0)
                }
                try await cluster.expectUntouched(cluster.nodes, since: before)
                try await Self.expectNoTrace(cluster)
                #expect(!FileManager.default.fileExists(atPath: cluster.stateDirectory), "nothing is journalled")
                // And a run does what was said.
                let run = try await cluster.pawl(cluster.runArguments())
                #expect(run.exitCode == 0, "\(run.all)")
                #expect(try await cluster.revision(of: cluster.nodes[0]) == report.members[0].outcome.revision)
            }
        }

        @Test func `everything that a migration drops or changes is named`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50, kinds: false))
                let node = cluster.nodes[0]
                try await cluster.putV2(node, "/_secret/inner", "x")
                try await cluster.putV2(node, "/brief", "x", ttl: 3600)
                let put = "curl -sSf --noproxy '*' -o /dev/null -X PUT \(node.clientURL)/v2/keys"
                try await node.check("\(put)/leased -d dir=true -d ttl=3600; \(put)/leased/key -d value=x")
                try await node.check(
                    "\(put)/hollow -d dir=true; printf 'value=\\377\\376' | \(put)/bytes --data-binary @-"
                )
                let (code, report) = try await Self.rehearse(cluster)
                #expect(code == 4)
                #expect(report.isEqual == true, "\(report.problems)")
                let names = [
                    "hidden": "/_secret/inner", "ttl": "/brief", "ttl_directory": "/leased",
                    "empty_directory": "/hollow", "altered": "/bytes",
                ]
                for member in report.members {
                    let found = member.outcome.losses.reduce(into: [:]) {
                        $0[$1.kind] = $1.names.joined(separator: " ")
                    }
                    #expect(found == names)
                    for kind in ["/_secret/inner", "/brief", "/leased", "/bytes"] {
                        #expect(member.outcome.problems.contains { $0.contains(kind) }, "\(kind)")
                    }
                }
                let (_, copying) = try await Self.rehearse(cluster, ["-e", "hidden_keys=copy"])
                for member in copying.members {
                    #expect(!member.outcome.problems.contains { $0.contains("/_secret") }, "\(member.outcome.problems)")
                    let said = "1 hidden keys are written to v3 at the end of a run: /_secret/inner"
                    #expect(member.outcome.remarks.contains(said), "\(member.outcome.remarks)")
                }
                try await Self.expectNoTrace(cluster)
            }
        }

        /// Also where etcd writes one snapshot after the other meanwhile.
        @Test(arguments: [nil, 30])
        func `members are equal while somebody writes, and no write fails`(_ snapshotCount: Int?) async throws {
            try await ClusterFixture.with(options: LabOptions(snapshotCount: snapshotCount)) { cluster in
                try await cluster.seed(LabSeed(keys: 500, kinds: false))
                let node = cluster.nodes[0]
                // In the background of the node, each write with its status.
                try await node.check(
                    """
                    cat >/root/writer <<'END'
                    n=0
                    while [ ! -e /root/enough ]; do n=$((n + 1))
                      curl -s --noproxy '*' -o /dev/null -w '%{http_code}\\n' -X PUT $1/v2/keys/load/k$((n % 50)) -d value=$n
                      [ $((n % 7)) != 0 ] || curl -s --noproxy '*' -o /dev/null -X DELETE $1/v2/keys/load/k$((n % 50))
                    done >/root/writes
                    END
                    setsid sh /root/writer \(node.clientURL) >/dev/null 2>&1 </dev/null &
                    """
                )
                let (code, report) = try await Self.rehearse(cluster)
                try await node.check("touch /root/enough")
                #expect(code == 0, "\(report.problems)")
                #expect(report.isEqual == true, "as of one raft index")
                #expect(report.entriesMeanwhile > 100)
                let writes = try await node.check("cat /root/writes").split(separator: "\n")
                #expect(writes.count > 100)
                #expect(writes.allSatisfy { ["200", "201"].contains($0) }, "\(Set(writes))")
            }
        }

        @Test func `an etcdctl that fails is told of with its reason, and the copy is removed`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50, kinds: false))
                try await HaltTests.breakMigration(on: cluster.nodes[1])
                let (code, report) = try await Self.rehearse(cluster)
                #expect(code == 4)
                let problem = try #require(report.problems.first)
                #expect(problem.contains(cluster.nodes[1].name) && problem.contains("no space left"), "\(problem)")
                #expect(report.members[2].outcome.keys == 50, "the others are rehearsed on")
                #expect(report.isEqual == nil)
                for node in cluster.nodes { #expect(try await node.check(Self.copies).isEmpty) }
            }
        }

        @Test func `a scratch disk that is too small is refused before anything is written`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50, kinds: false))
                for node in cluster.nodes {
                    try await node.check("mkdir -p /srv/scratch && mount -t tmpfs -o size=70M tmpfs /srv/scratch")
                }
                let (code, report) = try await Self.rehearse(cluster, ["--scratch", "/srv/scratch"])
                #expect(code == 4)
                #expect(report.problems.count { $0.contains("there is no room for a rehearsal at /srv/scratch") } == 3)
                let inside = try await cluster.pawl(
                    Self.arguments(cluster, ["--scratch", "/var/lib/etcd/default/member"])
                )
                #expect(inside.exitCode == 4)
                #expect(inside.all.contains("is inside the data of etcd"), "\(inside.all)")
                try await Self.expectNoTrace(cluster)
            }
        }

        @Test func `a killed controller leaves nothing behind, and what a killed script leaves the next removes`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50, kinds: false))
                let node = cluster.nodes[0]
                try await Self.slowDown(node, seconds: 60)
                _ = try await cluster.follow(Self.arguments(cluster)) { pawl in
                    try await Self.awaitMigration(on: node)
                    #expect(try await !node.check(Self.copies).isEmpty)
                    pawl.send(SIGKILL)
                }
                let gone =
                    "n=0; while [ -n \"$(\(Self.copies))\" ]; do sleep 0.1; n=$((n + 1)); [ $n -lt 100 ] || exit 1; done"
                try await node.check(gone)
                #expect(try await node.check("pgrep -f '[s]leep 60' || true").isEmpty, "nothing goes on")
                try await node.restoreProgram("/usr/bin/etcdctl")
                // As after a power cut.
                try await node.check(
                    "mkdir -m 711 /var/lib/etcd/.pawl-rehearsal-default && touch /var/lib/etcd/.pawl-rehearsal-default/x"
                )
                let (code, report) = try await Self.rehearse(cluster)
                #expect(code == 0, "\(report.problems)")
                for node in cluster.nodes { #expect(try await node.check(Self.copies).isEmpty) }
                try await node.check(
                    "mkdir -m 711 /var/lib/etcd/.pawl-rehearsal-default && touch /var/lib/etcd/.pawl-rehearsal-default/x"
                )
                let run = try await cluster.pawl(cluster.runArguments())
                #expect(run.exitCode == 0, "\(run.all)")
                for node in cluster.nodes { #expect(try await node.check(Self.copies).isEmpty) }
            }
        }

        @Test func `a run that begins ends a rehearsal, and a rehearsal during a run is refused`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50, kinds: false))
                let node = cluster.nodes[0]
                try await Self.slowDown(node, seconds: 8)
                let rehearsed = try await cluster.follow(Self.arguments(cluster)) { _ in
                    try await Self.awaitMigration(on: node)
                    try await node.check("rm /tmp/migrating")
                    let run = try await cluster.follow(
                        cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                    ) {
                        try await InterruptTests.waitForMigration(on: node, $0, step: "etcd_prepare")
                        let second = try await cluster.pawl(Self.arguments(cluster))
                        #expect(second.exitCode == 5, "\(second.all)")
                        #expect(second.stderr.contains("a run is at work on the cluster"), "\(second.all)")
                    }
                    #expect(run.exitCode == 0, "\(run.all)")
                }
                #expect(rehearsed.exitCode == 5, "\(rehearsed.all)")
                #expect(rehearsed.stderr.contains("a run has begun on this cluster"), "\(rehearsed.all)")
                try await cluster.expectMigrated()
            }
        }
    }
}
