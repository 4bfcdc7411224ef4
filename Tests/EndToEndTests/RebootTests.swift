// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// A node that goes down in the middle of its steps.
    @Suite(.serialized)
    struct RebootTests {
        @Test(.enabled("needs booted nodes") { geteuid() == 0 })
        func `a node that is booted in the middle of a migration does not start etcd on half of it`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                let node = try await cluster.rollingOrder()[1]
                try await node.replaceProgram(
                    "/usr/bin/etcdctl",
                    with: """
                        case "$*" in
                        *--help*) exec $ORIGINAL "$@" ;;
                        migrate*) touch /var/tmp/migrates; sleep 30 ;;
                        esac
                        exec $ORIGINAL "$@"
                        """
                )
                let halted = try await cluster.follow(
                    cluster.runArguments(ClusterFixture.inPlace, ClusterFixture.json)
                ) {
                    pawl in
                    try await pawl.wait(for: "the second migration") {
                        $0.starts("etcd_migrate") && $0.host == node.name
                    }
                    while try await node.run("test -e /var/tmp/migrates").exitCode != 0 {}
                    try await node.powerOff()
                    try await node.boot(in: cluster.lab)
                    // The run starts it when the db is put back; before that, the boot must not have.
                    try await node.check("until journalctl -b -u etcd -q | grep -qi assert; do sleep 0.1; done")
                }
                #expect(halted.exitCode == 3, "\(halted.all)")
                try await node.restoreProgram("/usr/bin/etcdctl")
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await cluster.expectMigrated()
            }
        }
    }
}
