// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Other versions of etcd than this machine's; scripts/fetch-etcd gets them.
    @Suite(.serialized)
    struct OlderVersionTests {
        /// Where the programs of a version are; `nil` where nobody has fetched them.
        static func programs(_ version: String) -> String? {
            let root = ProcessInfo.processInfo.environment["PAWL_ETCD_VERSIONS"] ?? "/var/cache/pawl/etcd"
            let directory = "\(root)/\(version)"
            return FileManager.default.isExecutableFile(atPath: "\(directory)/etcd") ? directory : nil
        }

        @Test(.enabled(if: programs("3.3.25") != nil, "scripts/fetch-etcd has not been run"))
        func `a cluster of etcd 3.3 is migrated and taken back`() async throws {
            let directory = try #require(Self.programs("3.3.25"))
            try await ClusterFixture.with(options: LabOptions(etcdDirectory: directory)) { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                #expect(try await cluster.nodes[0].check("etcd --version").contains("3.3.25"))
                for playbook in [ClusterFixture.playbook, ClusterFixture.inPlace] {
                    let output = try await cluster.pawl(cluster.runArguments(playbook))
                    #expect(output.exitCode == 0, "\(output.all)")
                    try await cluster.expectMigrated()
                    try await cluster.expectTakenBack()
                }
            }
        }

        /// Without learners a member joins in a second, when the cluster does not take the next one yet.
        @Test(
            .enabled(if: programs("3.3.25") != nil, "scripts/fetch-etcd has not been run"),
            .enabled("needs booted nodes") { geteuid() == 0 }
        )
        func `a cluster of etcd 3.3 is migrated on one member, and the others join it`() async throws {
            let directory = try #require(Self.programs("3.3.25"))
            try await ClusterFixture.with(options: LabOptions(etcdDirectory: directory)) { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                // Killed while the first one is in the list and has not come up: the other has no quorum then.
                let first = try await cluster.rollingOrder()[0]
                try await first.replaceProgram(
                    "/usr/bin/etcd",
                    with: #"[ "${ETCD_INITIAL_CLUSTER_STATE-}" != existing ] || sleep 600; exec $ORIGINAL "$@""#
                )
                let arguments = cluster.runArguments(ClusterFixture.reseed, ClusterFixture.json)
                try await cluster.expectKilled(arguments) { _ in
                    try await first.check(
                        "n=0; until pgrep -f '^sleep 600' >/dev/null; do n=$((n + 1)); [ $n -lt 600 ] || exit 1; sleep 0.1; done"
                    )
                }
                try await first.restoreProgram("/usr/bin/etcd")
                try await first.check("pkill -f '^sleep 600' || true")
                let output = try await cluster.pawl(cluster.resumeArguments)
                #expect(output.exitCode == 0, "\(output.all)")
                #expect(output.all.contains("does not take a change of its members yet"), "\(output.all)")
                try await cluster.expectMigrated()
            }
        }

        @Test(.enabled(if: programs("3.5.16") != nil, "scripts/fetch-etcd has not been run"))
        func `a cluster of etcd 3.5 is refused with the reason, and nothing is changed`() async throws {
            let directory = try #require(Self.programs("3.5.16"))
            try await ClusterFixture.with(options: LabOptions(etcdDirectory: directory)) { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let before = try await cluster.traces(of: cluster.nodes)
                let output = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json))
                #expect(output.exitCode == 4, "\(output.all)")
                #expect(try output.report().reason?.contains("3.5.16") == true, "\(output.all)")
                try await cluster.expectUntouched(cluster.nodes, since: before)
            }
        }
    }
}
