// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Several clusters of one inventory, rolled by one command.
    @Suite(.serialized)
    struct EachTests {
        private struct Line: Decodable {
            struct Cluster: Decodable {
                var group: String
                var run: String?
                var result: String
                var exitCode: Int?
                var nextCommand: String?
            }
            var event: String
            var group: String?
            var run: String?
            var clusters: [Cluster]?
        }

        private static func lines(_ output: ClusterFixture.Output) throws -> [Line] {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try output.stdout.split(separator: "\n").map { try decoder.decode(Line.self, from: Data($0.utf8)) }
        }

        /// Two clusters of one member each, in one inventory as `etcd_a` and `etcd_b`.
        private static func withTwo(
            _ body: (_ one: ClusterFixture, _ two: ClusterFixture, _ inventory: String) async throws -> Void
        ) async throws {
            let options = LabOptions(kind: .plain)
            try await ClusterFixture.with(nodes: 1, options: options) { one in
                try await ClusterFixture.with(nodes: 1, options: options) { two in
                    try await one.seed(LabSeed(keys: 20))
                    try await two.seed(LabSeed(keys: 30))
                    var text = "etcd:\n  children:\n"
                    for (name, cluster) in [("a", one), ("b", two)] {
                        let lab = try String(contentsOfFile: cluster.inventory, encoding: .utf8)
                        let lines = lab.split(separator: "\n").drop { $0 != "  hosts:" }
                        text += "    etcd_\(name):\n"
                        for line in lines { text += "    \(line == "    etcd1:" ? "    \(name)1:" : line)\n" }
                    }
                    let inventory = "\(one.directory)/both.yaml"
                    try text.write(toFile: inventory, atomically: true, encoding: .utf8)
                    try await body(one, two, inventory)
                }
            }
        }

        private static func arguments(_ cluster: ClusterFixture, _ inventory: String, _ more: [String]) -> [String] {
            cluster.runArguments(ClusterFixture.playbook, more, inventory: inventory)
        }

        @Test func `two clusters are migrated side by side, each by a run of its own`() async throws {
            try await Self.withTwo { one, two, inventory in
                let words = ["--each", "etcd_*", "--parallel", "2"] + ClusterFixture.json
                let output = try await one.pawl(Self.arguments(one, inventory, words))
                #expect(output.exitCode == 0, "\(output.all)")
                let lines = try Self.lines(output)
                let last = try #require(lines.last)
                #expect(last.event == "clusters_finished")
                let clusters = try #require(last.clusters)
                #expect(clusters.map(\.group) == ["etcd_a", "etcd_b"] && clusters.allSatisfy { $0.result == "done" })
                #expect(Set(clusters.compactMap(\.run)).count == 2)
                for line in lines.dropLast() {
                    #expect(line.run == clusters.first { $0.group == line.group }?.run, "\(line)")
                }
                // Side by side: the second begins before the first ends.
                let began = try #require(lines.lastIndex { $0.event == "run_started" })
                let ended = try #require(lines.firstIndex { $0.event == "finished" })
                #expect(began < ended)
                try await one.expectMigrated()
                try await two.expectMigrated()
                let runs = try await one.pawl(["runs", "--state", one.stateDirectory])
                for run in clusters.compactMap(\.run) { #expect(runs.stdout.contains(run), "\(runs.stdout)") }
            }
        }

        @Test func `a cluster that halts begins no further one, and is resumed by its own run`() async throws {
            try await Self.withTwo { one, two, inventory in
                let node = try #require(one.nodes.first)
                let untouched = try await two.traces(of: two.nodes)
                try await node.replaceProgram(
                    "/usr/bin/etcdctl",
                    with: #"case "$*" in *migrate*--help*) ;; *migrate*) exit 1 ;; esac; exec $ORIGINAL "$@""#
                )
                let output = try await one.pawl(Self.arguments(one, inventory, ["--each", "etcd_a,etcd_b"]))
                #expect(output.exitCode == 3, "\(output.all)")
                #expect(output.stdout.contains("\netcd_a  "), "\(output.stdout)")
                #expect(!output.stdout.contains("\netcd_b  2"), "\(output.stdout)")
                let rows = output.stdout.split(separator: "\n").suffix(2).map { $0.split(separator: " ") }
                #expect(rows.map { $0.first } == ["etcd_a", "etcd_b"], "\(output.stdout)")
                #expect(rows.last?.contains("begun") == true, "\(output.stdout)")
                #expect(try await two.traces(of: two.nodes) == untouched)

                try await node.restoreProgram("/usr/bin/etcdctl")
                let run = String(try #require(rows.first?.dropFirst().first))
                let resumed = try await one.pawl(["resume", run, "--state", one.stateDirectory])
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await one.expectMigrated()
                #expect(try await two.traces(of: two.nodes) == untouched)
            }
        }

        @Test func `one signal brings both clusters to a safe point, and each is resumed by its own run`() async throws
        {
            try await Self.withTwo { one, two, inventory in
                for node in [try #require(one.nodes.first), try #require(two.nodes.first)] {
                    try await node.replaceProgram(
                        "/usr/bin/etcdctl",
                        with: #"case "$*" in *migrate*--help*) ;; *migrate*) sleep 3 ;; esac; exec $ORIGINAL "$@""#
                    )
                }
                let words = ["--each", "etcd_*", "--parallel", "2"] + ClusterFixture.json
                let output = try await one.follow(Self.arguments(one, inventory, words)) { pawl in
                    for host in ["a1", "b1"] {
                        try await pawl.wait(for: "work on \(host)") { $0.starts("etcd_prepare", on: host) }
                    }
                    pawl.send(SIGTERM)
                }
                #expect(output.exitCode == 130, "\(output.all)")
                let clusters = try #require(try Self.lines(output).last?.clusters)
                #expect(clusters.map(\.result) == ["interrupted", "interrupted"], "\(output.all)")
                for cluster in clusters {
                    #expect(cluster.nextCommand?.contains("pawl resume") == true, "\(cluster)")
                    let run = try #require(cluster.run)
                    let resumed = try await one.pawl(["resume", run, "--state", one.stateDirectory])
                    #expect(resumed.exitCode == 0, "\(resumed.all)")
                }
                try await one.expectMigrated()
                try await two.expectMigrated()
            }
        }

        @Test func `at a terminal all plans are shown before one question, and no changes nothing`() async throws {
            try await Self.withTwo { one, two, inventory in
                let untouched = [try await one.traces(of: one.nodes), try await two.traces(of: two.nodes)]
                let arguments = Self.arguments(one, inventory, ["--each", "etcd_*"]).filter { $0 != "--yes" }
                let output = try await ProgramAtTerminal.run(
                    ClusterFixture.binary,
                    arguments,
                    in: one.directory
                ) { terminal in
                    try await terminal.wait(for: "Perform these 2 plans? [y/N] ")
                    terminal.type("n\r")
                }
                #expect(output.exitCode == 4, "\(output.stdout)")
                for words in ["=== etcd_a", "=== etcd_b"] {
                    #expect(output.stdout.components(separatedBy: words).count == 2, "\(output.stdout)")
                }
                #expect([try await one.traces(of: one.nodes), try await two.traces(of: two.nodes)] == untouched)
                let runs = try await one.pawl(["runs", "--state", one.stateDirectory])
                #expect(!runs.stdout.contains("Migrate"), "\(runs.all)")
            }
        }

        @Test func `with --keep-going the others are rolled, and the exit code is the worst`() async throws {
            try await Self.withTwo { one, two, inventory in
                try await one.putV2(try #require(one.nodes.first), "/session/token", "x", ttl: 3600)
                let words = ["--each", "etcd_*", "--keep-going"] + ClusterFixture.json
                let output = try await one.pawl(Self.arguments(one, inventory, words))
                #expect(output.exitCode == 3, "\(output.all)")
                let clusters = try #require(try Self.lines(output).last?.clusters)
                #expect(clusters.map(\.result) == ["refused", "done"], "\(output.all)")
                try await two.expectMigrated()
            }
        }

        @Test func `a cluster that does not answer keeps all from beginning, whatever the playbook does`() async throws
        {
            try await ClusterFixture.with(nodes: 1, options: LabOptions(kind: .plain)) { cluster in
                let inventory = try cluster.inventory("away.yaml") {
                    "away: { hosts: { a1: { ansible_host: 127.0.0.1, ansible_port: 1 } } }\n" + $0
                }
                let book = "\(cluster.directory)/touch.yaml"
                let mark = "\(cluster.directory)/touched"
                try "name: T\nhosts: all\nsteps:\n  - command: { run: 'touch \(mark)', redo: safe }\n".write(
                    toFile: book,
                    atomically: true,
                    encoding: .utf8
                )
                let words = ["--each", "etcd,away"]
                let output = try await cluster.pawl(cluster.runArguments(book, words, inventory: inventory))
                #expect(output.exitCode == 4, "\(output.all)")
                #expect(
                    output.stderr.contains("away: nothing was changed; not every host could be asked"),
                    "\(output.all)"
                )
                #expect(!FileManager.default.fileExists(atPath: mark))
            }
        }

        @Test
        func `groups that share a host, and a name that means no group, are refused before anything is looked at`()
            async throws
        {
            try await ClusterFixture.with(nodes: 1, options: LabOptions(kind: .plain)) { cluster in
                let inventory = try cluster.inventory("twice.yaml") { $0 + "again:\n  hosts:\n    etcd1:\n" }
                let untouched = try await cluster.traces(of: cluster.nodes)
                let twice = try await cluster.pawl(Self.arguments(cluster, inventory, ["--each", "etcd,again"]))
                #expect(twice.exitCode == 65, "\(twice.all)")
                #expect(twice.stderr.contains("etcd and again both work on etcd1"), "\(twice.stderr)")
                let none = try await cluster.pawl(Self.arguments(cluster, inventory, ["--each", "etdc,x_*"]))
                #expect(none.exitCode == 65, "\(none.all)")
                #expect(none.stderr.contains("no group is called `etdc`") && none.stderr.contains("did you mean"))
                #expect(none.stderr.contains("no group is called `x_*`"), "\(none.stderr)")
                #expect(try await cluster.traces(of: cluster.nodes) == untouched)
            }
        }
    }
}
