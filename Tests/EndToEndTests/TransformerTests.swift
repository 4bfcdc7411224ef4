// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Migrations through a transformer: every key comes through, and one that goes wrong changes no member.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct TransformerTests {
        private static let program = "/usr/local/bin/transformer"
        private static let keys = 2000
        private static let variable = ["-e", "migrate_transformer=\(program)"]

        private static func install(_ text: String, on nodes: [LabNode], mode: String = "755") async throws {
            for node in nodes {
                try await node.check("cat >\(program) <<'END'\n\(text)END\nchmod \(mode) \(program)")
            }
        }

        /// Each member holds every key, through the transformer, and the same as the others.
        private static func expectTransformed(_ cluster: ClusterFixture) async throws {
            var hashes: Set<String> = []
            for node in cluster.nodes {
                let count = try await cluster.etcdctl(node, "get '' --from-key --keys-only | grep -c .")
                #expect(count.stdout == "\(keys)\n", "\(node.name): \(count.all)")
                let small = try await cluster.etcdctl(node, "get /bench --prefix --print-value-only | grep -c '[a-z]'")
                #expect(small.stdout == "0\n", "\(node.name): \(small.all)")
                hashes.insert(try await cluster.hashKV(of: node))
            }
            #expect(hashes.count == 1)
        }

        @Test func `each key of a transformer that ends quickly comes through, and what is proven is said`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: Self.keys, kinds: false))
                try await Self.install(TransformerPrograms.capitals, on: cluster.nodes)
                let rehearsal = try await cluster.pawl(["rehearse", "-i", cluster.inventory] + Self.variable)
                #expect(rehearsal.exitCode == 0, "\(rehearsal.all)")
                for node in cluster.nodes {
                    let line = "\(node.name): \(Self.program) made \(Self.keys) records of \(Self.keys) keys\n"
                    #expect(rehearsal.stdout.contains(line), "\(rehearsal.all)")
                }
                let run = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.playbook, Self.variable + ClusterFixture.json)
                )
                #expect(run.exitCode == 0, "\(run.all)")
                let proof = try #require(
                    run.events().last { $0.event == "step_finished" && $0.action == "etcd_verified" }
                )
                #expect(
                    proof.message?.contains("not compared key by key; \(Self.keys) records were made") == true,
                    "\(proof)"
                )
                #expect(proof.message?.contains("v3 holds \(Self.keys) keys") == true, "\(proof)")
                try await Self.expectTransformed(cluster)
                let verified = try await cluster.pawl(
                    ["verify", "-i", cluster.inventory, ClusterFixture.playbook] + Self.variable
                )
                #expect(verified.exitCode == 0, "\(verified.all)")
                #expect(
                    verified.all.contains("not compared key by key; v3 holds \(Self.keys) keys on each"),
                    "\(verified.all)"
                )
                let unaware = try await cluster.pawl(["verify", "-i", cluster.inventory, ClusterFixture.playbook])
                #expect(unaware.exitCode == 4, "\(unaware.all)")
                #expect(unaware.all.contains("-e migrate_transformer=PATH"), "\(unaware.all)")
                try await cluster.expectTakenBack()
            }
        }

        @Test func `what cannot be run or differs is refused on all nodes at once, before anything is stopped`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50, kinds: false))
                let before = try await cluster.traces(of: cluster.nodes)
                try await Self.install(TransformerPrograms.capitals, on: [cluster.nodes[0]])
                try await Self.install(TransformerPrograms.capitals, on: [cluster.nodes[1]], mode: "700")
                for playbook in [
                    ClusterFixture.playbook, ClusterFixture.inPlace, ClusterFixture.stopped, ClusterFixture.reseed,
                ] {
                    let refused = try await cluster.pawl(cluster.runArguments(playbook, Self.variable))
                    #expect(refused.exitCode == 4, "\(refused.all)")
                    let (second, third) = (cluster.nodes[1].name, cluster.nodes[2].name)
                    #expect(
                        refused.all.contains("\(second): the transformer \(Self.program) cannot be run by etcd"),
                        "\(refused.all)"
                    )
                    #expect(
                        refused.all.contains("\(third): the transformer \(Self.program) is not a file"),
                        "\(refused.all)"
                    )
                }
                try await Self.install(
                    TransformerPrograms.changing("$value .= 'x';"),
                    on: Array(cluster.nodes.dropFirst())
                )
                let different = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, Self.variable))
                #expect(different.exitCode == 4, "\(different.all)")
                #expect(different.all.contains("the nodes have different transformers"), "\(different.all)")
                try await cluster.expectUntouched(cluster.nodes, since: before)
            }
        }

        @Test
        func `a transformer that is not deterministic is found by a rehearsal, and is told from members that differ`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50, kinds: false))
                try await Self.install(TransformerPrograms.changing("$value .= `hostname`;"), on: cluster.nodes)
                let arguments = ["rehearse", "-i", cluster.inventory, "--transformer", Self.program]
                let rehearsal = try await cluster.pawl(arguments)
                #expect(rehearsal.exitCode == 4, "\(rehearsal.all)")
                #expect(
                    rehearsal.stdout.contains("the transformer does not make the same of the same keys"),
                    "\(rehearsal.all)"
                )
                for (text, message) in [
                    (TransformerPrograms.failing, "it ended with exit code 3: no such thing"),
                    (TransformerPrograms.garbage, "no sequence of lengths and records"),
                    (TransformerPrograms.changing("next if $key =~ /7$/;"), nil),
                    ("#!/bin/sh\nexit 0\n", "must read all of its input"),
                ] {
                    try await Self.install(text, on: cluster.nodes)
                    let output = try await cluster.pawl(arguments)
                    #expect(output.exitCode == (message == nil ? 0 : 4), "\(output.all)")
                    #expect(output.stdout.contains(message ?? "made 45 records of 50 keys"), "\(output.all)")
                }
            }
        }

        @Test(arguments: [
            (TransformerPrograms.failing, "it ended with exit code 3: no such thing"),
            (TransformerPrograms.garbage, "no sequence of lengths and records"),
        ])
        func `a transformer that goes wrong changes no member, and the run goes on when it is mended`(
            _ text: String,
            message: String
        ) async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: Self.keys, kinds: false))
                let before = try await cluster.traces(of: cluster.nodes)
                try await Self.install(text, on: cluster.nodes)
                let halted = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.playbook, Self.variable + ClusterFixture.json)
                )
                #expect(halted.exitCode == 3, "\(halted.all)")
                let report = try halted.report()
                #expect(report.step == "Migrate a copy" && report.reason?.contains(message) == true, "\(report)")
                try await cluster.expectUntouched(cluster.nodes, since: before)
                for node in cluster.nodes {
                    #expect(try await node.check("ls -d /var/lib/etcd/.pawl-* 2>/dev/null || true").isEmpty)
                }
                try await Self.install(TransformerPrograms.capitals, on: cluster.nodes)
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await Self.expectTransformed(cluster)
            }
        }

        @Test func `all members are migrated through it while they are stopped, and one that fails brings them back`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: Self.keys, kinds: false))
                let words = Self.variable + ClusterFixture.json
                try await Self.install(TransformerPrograms.failing, on: cluster.nodes)
                let halted = try await cluster.pawl(cluster.runArguments(ClusterFixture.stopped, words))
                #expect(halted.exitCode == 3, "\(halted.all)")
                let report = try halted.report()
                #expect(report.step == "Migrate" && report.members.allSatisfy { $0.state == "v2" }, "\(report)")
                try await cluster.expectServingV2()
                try await Self.install(TransformerPrograms.capitals, on: cluster.nodes)
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await Self.expectTransformed(cluster)
            }
        }

        @Test func `one member is migrated through it, and the others get its data`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: Self.keys, kinds: false))
                try await Self.install(TransformerPrograms.capitals, on: cluster.nodes)
                let run = try await cluster.pawl(cluster.runArguments(ClusterFixture.reseed, Self.variable))
                #expect(run.exitCode == 0, "\(run.all)")
                #expect(run.all.contains("\(Self.keys) records were made"), "\(run.all)")
                try await Self.expectTransformed(cluster)
            }
        }
    }
}
