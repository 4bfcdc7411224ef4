// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

/// All tests of this module are in extensions of this suite, so that no two clusters compete for the machine.
@Suite(.serialized)
struct EndToEnd {}

extension EndToEnd {
    /// What the other tests stand on.
    @Suite(.serialized)
    struct ClusterTests {
        @Test func `a cluster is up and its nodes let the key of the lab in`() async throws {
            let directory = try await ClusterFixture.with(nodes: 3) { cluster in
                for node in cluster.nodes {
                    let login = try await cluster.ssh(node, "id -un")
                    #expect(login.exitCode == 0, "\(login.stderr)")
                    #expect(login.stdout == node.user + "\n")
                    let health = try await cluster.etcdctl(node, "endpoint health")
                    #expect(health.exitCode == 0, "\(health.stderr)")
                }
                let written = try await cluster.seed()
                #expect(written.values > 200)
                return cluster.directory
            }
            #expect(!FileManager.default.fileExists(atPath: directory))
        }

        @Test func `the cluster goes when its test fails`() async throws {
            struct Failure: Error {}
            let found = Found()
            await #expect(throws: Failure.self) {
                try await ClusterFixture.with(nodes: 1) { cluster in
                    await found.set(cluster.directory)
                    throw Failure()
                }
            }
            let directory = await found.value
            #expect(directory != nil)
            #expect(!FileManager.default.fileExists(atPath: directory ?? "/"))
        }

        @Test func `a migration by hand compares equal and each difference is seen`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                let node = cluster.nodes[0]
                try await cluster.seed()
                #expect(try await cluster.compareV2V3().exitCode == 1, "nothing is migrated yet")

                try await node.stopEtcd()
                let migrate = "etcdctl migrate --data-dir=\(node.dataDirectory)"
                let asUser = node.kind == .booted ? "runuser -u etcd -- env ETCDCTL_API=3 " : "ETCDCTL_API=3 "
                try await node.check(asUser + migrate)
                try await node.startEtcd()
                let equal = try await cluster.compareV2V3()
                #expect(equal.exitCode == 0, "\(equal.stdout)\(equal.stderr)")

                // Another value, and with it another index; a key too many; a key too few.
                _ = try await cluster.etcdctl(node, "put /foo baz")
                _ = try await cluster.etcdctl(node, "put /stray x")
                _ = try await cluster.etcdctl(node, "del /bench/0/key1")
                let differing = try await cluster.compareV2V3()
                #expect(differing.exitCode == 1)
                for line in ["differs: /foo", "only in v3: /stray", "only in v2: /bench/0/key1", "3 differences"] {
                    #expect(differing.stdout.contains(line), "\(differing.stdout)")
                }
            }
        }

        /// What a closure found, kept beyond its failure.
        private actor Found {
            private(set) var value: String?
            func set(_ value: String) { self.value = value }
        }
    }
}
