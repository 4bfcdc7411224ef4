// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Members that speak https and let nobody in without a certificate.
    @Suite(.serialized)
    struct TLSTests {
        @Test func `a cluster that wants certificates is migrated, taken back and migrated in place`() async throws {
            try await ClusterFixture.with(options: LabOptions(tls: true)) { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let output = try await cluster.pawl(cluster.runArguments())
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
                let verified = try await cluster.pawl(["verify", "-i", cluster.inventory, ClusterFixture.playbook])
                #expect(verified.exitCode == 0, "\(verified.all)")

                try await cluster.expectTakenBack()
                let again = try await cluster.pawl(cluster.runArguments(ClusterFixture.inPlace))
                #expect(again.exitCode == 0, "\(again.all)")
                try await cluster.expectMigrated()
                try await Self.expectKeysStayed(cluster)
            }
        }

        @Test func `a certificate that is missing or not let in is said by name, and nothing is changed`() async throws
        {
            try await ClusterFixture.with(options: LabOptions(tls: true)) { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let before = try await cluster.traces(of: cluster.nodes)
                for (old, new) in [("pki/client.key", "pki/absent.key"), ("https://", "http://")] {
                    let path = try cluster.inventory { $0.replacing(old, with: new) }
                    let output = try await cluster.pawl(
                        cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json, inventory: path)
                    )
                    #expect(output.exitCode == 4, "\(output.all)")
                    for node in cluster.nodes { #expect(output.all.contains(node.name), "\(output.all)") }
                    try await cluster.expectUntouched(cluster.nodes, since: before)
                }
            }
        }

        /// Neither the journal nor anything else of the controller holds a key of the nodes.
        private static func expectKeysStayed(_ cluster: ClusterFixture) async throws {
            let secret = try await cluster.nodes[0].check("sed -n 2p /etc/etcd/pki/client.key")
                .trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(secret.count > 40)
            let found = try await cluster.run("/usr/bin/grep", ["-rlF", "-e", secret, cluster.stateDirectory])
            #expect(found.exitCode == 1, "\(found.stdout)")
            for node in cluster.nodes {
                let modes = try await node.check("stat -c '%a %U' /etc/etcd/pki/client.key /etc/etcd/pki/server.key")
                #expect(modes == "600 root\n600 etcd\n", "\(node.name)")
            }
        }
    }
}
