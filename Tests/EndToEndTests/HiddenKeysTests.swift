// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Keys that etcdctl does not migrate, left out or written to v3 at the end.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct HiddenKeysTests {
        private static let odd = #"{"a": "b \\ c", "d": [1, "é 漢"]}"#
        private static let hidden = [
            ("/_secret/inner", "plain"), ("/_secret/deep/_more", odd), ("/app/_lock", "x=1&y=2 %41"),
        ]

        private static func seed(_ cluster: ClusterFixture) async throws {
            try await cluster.seed(LabSeed(keys: 100))
            let url = cluster.nodes[0].clientURL
            for (key, value) in hidden {
                try await cluster.nodes[0].check(
                    "curl -sSf --noproxy '*' -o /dev/null -X PUT \(url)/v2/keys\(key) --data-urlencode 'value=\(value)'"
                )
            }
        }

        /// Each member has each of them, and all are equal.
        private static func expectCopied(
            _ cluster: ClusterFixture,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            var hashes: Set<String> = []
            for node in cluster.nodes {
                for (key, value) in hidden {
                    let got = try await cluster.etcdctl(node, "get \(key) --print-value-only --consistency=s")
                    #expect(got.stdout == value + "\n", "\(key) on \(node.name)", sourceLocation: sourceLocation)
                }
                hashes.insert(try await cluster.hashKV(of: node))
            }
            #expect(hashes.count == 1, "\(hashes)", sourceLocation: sourceLocation)
        }

        private static func expectVerified(_ cluster: ClusterFixture, _ playbook: String, _ more: [String]) async throws
        {
            let verified = try await cluster.pawl(["verify", "-i", cluster.inventory, playbook] + more)
            #expect(verified.exitCode == 0, "\(verified.all)")
        }

        @Test func `copy brings them to v3, also when the controller is killed in the middle of it`() async throws {
            try await ClusterFixture.with { cluster in
                try await Self.seed(cluster)
                let refused = try await cluster.pawl(cluster.runArguments())
                #expect(refused.exitCode == 4 && refused.all.contains("[hidden_keys]"), "\(refused.all)")
                let words = ["-e", "hidden_keys=copy"]
                let resumed = try await cluster.expectKilledAndResumed(
                    cluster.runArguments(ClusterFixture.playbook, words),
                    at: "etcd_hidden_keys"
                )
                #expect(
                    resumed.stdout.contains("3 hidden keys are in v3 as they are in v2: /_secret/deep/_more"),
                    "\(resumed.all)"
                )
                try await Self.expectCopied(cluster)
                try await Self.expectVerified(cluster, ClusterFixture.playbook, words)
                let rollback = try await cluster.pawl(cluster.rollbackArguments)
                #expect(rollback.exitCode == 4 && rollback.all.contains("/_secret/inner"), "\(rollback.all)")
            }
        }

        @Test(arguments: [ClusterFixture.stopped, ClusterFixture.reseed])
        func `the other ways copy them, too`(_ playbook: String) async throws {
            try await ClusterFixture.with { cluster in
                try await Self.seed(cluster)
                let words = ["-e", "hidden_keys=copy"]
                let run = try await cluster.pawl(cluster.runArguments(playbook, words))
                #expect(run.exitCode == 0, "\(run.all)")
                try await Self.expectCopied(cluster)
                try await Self.expectVerified(cluster, playbook, words)
            }
        }

        @Test func `skip leaves them out and names them`() async throws {
            try await ClusterFixture.with { cluster in
                try await Self.seed(cluster)
                let run = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.inPlace, ["-e", "hidden_keys=skip"])
                )
                #expect(run.exitCode == 0, "\(run.all)")
                #expect(
                    run.stdout.contains(
                        "3 hidden keys are left out: /_secret/deep/_more, /_secret/inner, /app/_lock"
                    ),
                    "\(run.all)"
                )
                try await cluster.expectMigrated()
                let status = try await cluster.pawl(
                    ["status", "--state", cluster.stateDirectory] + ClusterFixture.json
                )
                #expect(status.stdout.contains("3 hidden keys are left out"), "\(status.all)")
            }
        }

        // MARK: - Written after the preflight

        private static let late = ["/_late/one", "/app/_late"]

        /// A playbook in which somebody writes hidden keys after the preflight.
        private static func lateWriter(_ cluster: ClusterFixture, _ playbook: String) throws -> String {
            let writes = late.map { "curl -sSf --noproxy '*' -o /dev/null -X PUT $url/v2/keys\($0) -d value=late" }
            let step = """
                freeze:
                  - name: A late writer
                    command:
                      hosts: etcd1
                      run: "url=\(cluster.nodes[0].clientURL); \(writes.joined(separator: "; "))"
                      redo: safe

                """
            return try cluster.editedPlaybook(playbook, replacing: [("\nfreeze:\n", "\n" + step)])
        }

        /// Each member's v3 store has both, or the first one only, or none.
        private static func expectLate(
            _ count: Int,
            _ cluster: ClusterFixture,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            for node in cluster.nodes {
                for (index, key) in late.enumerated() {
                    let got = try await cluster.etcdctl(node, "get \(key) --print-value-only --consistency=s")
                    let expected = index < count ? "late\n" : ""
                    #expect(got.stdout == expected, "\(key) on \(node.name)", sourceLocation: sourceLocation)
                }
            }
        }

        private static func expectHalt(
            _ output: ClusterFixture.Output,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            #expect(output.exitCode == 3, "\(output.all)", sourceLocation: sourceLocation)
            for text in [
                "2 hidden keys of v2 are not in v3 as they are in v2", "/_late/one is not in v3, on all members",
            ]
                + ["/app/_late is not in v3", "pawl resume", "pawl rollback", "hidden_keys=copy"]
            {
                // What is told to people is wrapped.
                let words = output.stdout.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                #expect(words.contains(text), "\(output.all)", sourceLocation: sourceLocation)
            }
        }

        @Test(arguments: [
            ClusterFixture.playbook, ClusterFixture.inPlace, ClusterFixture.stopped, ClusterFixture.reseed,
        ])
        func `those that are written after the preflight halt the run until nothing is lost`(
            _ original: String
        ) async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let playbook = try Self.lateWriter(cluster, original)
                Self.expectHalt(try await cluster.pawl(cluster.runArguments(playbook)))
                // Halted again while they are as they were.
                Self.expectHalt(try await cluster.pawl(cluster.resumeArguments))
                try await Self.expectLate(0, cluster)
                let node = cluster.nodes[1]
                let put = try await cluster.etcdctl(node, "put \(Self.late[0]) late")
                #expect(put.exitCode == 0, "\(put.all)")
                try await node.check(
                    "curl -sSf --noproxy '*' -o /dev/null -X DELETE \(node.clientURL)/v2/keys\(Self.late[1])"
                )
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                #expect(
                    resumed.stdout.contains("1 hidden keys are in v3 as they are in v2: /_late/one"),
                    "\(resumed.all)"
                )
                try await Self.expectLate(1, cluster)
                try await Self.expectVerified(cluster, playbook, [])
            }
        }

        @Test func `one that is written between two members halts the run, and after a rollback it is copied`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let last = try await cluster.rollingOrder()[2]
                let halted = try await cluster.follow(
                    cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                ) { pawl in
                    try await pawl.wait(for: "end of the first migration") {
                        $0.event == "step_finished" && $0.action == "etcd_migrate"
                    }
                    for key in Self.late { try await cluster.putV2(last, key, "late") }
                }
                Self.expectHalt(halted)
                let rollback = try await cluster.pawl(["rollback", "--yes", "--state", cluster.stateDirectory])
                #expect(rollback.exitCode == 0, "\(rollback.all)")
                let words = ["-e", "hidden_keys=copy"]
                let run = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, words))
                #expect(run.exitCode == 0, "\(run.all)")
                try await Self.expectLate(2, cluster)
                try await Self.expectVerified(cluster, ClusterFixture.playbook, words)
            }
        }
    }
}
