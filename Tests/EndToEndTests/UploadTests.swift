// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// A migration binary that the nodes do not have: it comes from the controller, and goes with the run.
    @Suite(.serialized)
    struct UploadTests {
        private static let dest = "/opt/pawl-tools/etcdctl"
        private static let hide = "mv /usr/bin/etcdctl /usr/bin/etcdctl.hidden"
        private static let show =
            "if [ -e /usr/bin/etcdctl.hidden ]; then mv /usr/bin/etcdctl.hidden /usr/bin/etcdctl; fi"
        /// What an upload may leave: nothing.
        private static let rest = "ls -d /opt/pawl-tools /var/lib/pawl/uploads 2>/dev/null || true"

        private static func playbook(_ cluster: ClusterFixture, _ more: String = "") throws -> String {
            let step = """
                tools:
                  - name: An etcdctl that can migrate
                    upload: { src: tool, dest: \(dest)\(more) }
                """
            let path = try cluster.editedPlaybook(replacing: [
                ("\ntools:\n", "\n\(step)\n"), ("  etcdctl: etcdctl", "  etcdctl: \(dest)"),
            ])
            try FileManager.default.copyItem(atPath: "/usr/bin/etcdctl", toPath: "\(cluster.directory)/tool")
            return path
        }

        @Test func `nodes without an etcdctl are migrated with one that is uploaded, and do not keep it`() async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                let playbook = try Self.playbook(cluster)
                for node in cluster.nodes { try await node.check(Self.hide) }
                try await Self.expectRefusalLeavesNothing(cluster, playbook)

                try await cluster.expectKilled(cluster.runArguments(playbook), at: "etcd_migrate")
                for node in cluster.nodes { try await node.check("test -x \(Self.dest)") }
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                for node in cluster.nodes {
                    #expect(try await node.check(Self.rest).isEmpty)
                    try await node.check(Self.show)
                }
                try await cluster.expectMigrated()
            }
        }

        /// The preflight looks at what was uploaded; a run that it refuses takes it away again.
        private static func expectRefusalLeavesNothing(_ cluster: ClusterFixture, _ playbook: String) async throws {
            let node = cluster.nodes[0]
            try await cluster.putV2(node, "/short", "x", ttl: 600)
            let refused = try await cluster.pawl(cluster.runArguments(playbook, ClusterFixture.json))
            #expect(refused.exitCode == 4, "\(refused.all)")
            #expect(try refused.report().reason?.contains("/short") == true, "\(refused.all)")
            for node in cluster.nodes { #expect(try await node.check(rest).isEmpty) }
            try await node.check("curl -sSf --noproxy '*' -o /dev/null -X DELETE '\(node.clientURL)/v2/keys/short'")
        }

        @Test func `a file that is not what the playbook says is refused before anything is contacted`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                let playbook = try Self.playbook(cluster, ", sha256: \(String(repeating: "0", count: 64))")
                let output = try await cluster.pawl(cluster.runArguments(playbook))
                #expect(output.exitCode == 65, "\(output.all)")
                #expect(output.all.contains("edited.yaml:") && output.all.contains("sha256"), "\(output.all)")

                try await cluster.nodes[0].check("mkdir /opt/pawl-tools; echo mine >\(Self.dest)")
                let other = try cluster.editedPlaybook(
                    playbook,
                    "other.yaml",
                    replacing: [
                        (", sha256: \(String(repeating: "0", count: 64))", "")
                    ]
                )
                let refused = try await cluster.pawl(cluster.runArguments(other))
                #expect(refused.exitCode == 4, "\(refused.all)")
                #expect(refused.all.contains("is another file"), "\(refused.all)")
                #expect(try await cluster.nodes[0].check("cat \(Self.dest)") == "mine\n")
            }
        }
    }
}
