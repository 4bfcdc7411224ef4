// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import TestSupport
import Testing

@testable import Actions
@testable import Etcd
@testable import Rollout

/// Writes of pawl's own, on real clusters.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct EtcdCanaryTests {
    private func canary() throws -> EtcdCanary { try EtcdCanary(Parameters([:])) }

    @Test func `a key is put through each member, seen on all, and leaves nothing but revisions`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.sh("etcdctl --endpoints $url put /kept x")
            let evidence = try await canary().perform(cluster.context(MemoryFacts()))
            #expect(evidence.summary.contains("3 members took a key"))
            #expect(evidence.values["revision"] == "8")
            #expect(evidence.values["writes"] == "6")
            #expect(try await cluster.sh("etcdctl --endpoints $url get '' --from-key --keys-only") == "/kept\n\n")
            #expect(try await cluster.sh("etcdctl --endpoints $url lease list").contains("found 0 leases"))
        }
    }

    @Test func `what an attempt that was cut off has left is deleted, and goes by itself where nobody is left`()
        async throws
    {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.sh("etcdctl --endpoints $url put pawl/canary/test left")
            _ = try await canary().perform(cluster.context(MemoryFacts()))
            #expect(try await cluster.sh("etcdctl --endpoints $url get '' --from-key --keys-only").isEmpty)

            // The controller dies between put and delete: the key has a lease.
            let targets = cluster.targets()
            let node = try #require(targets.first?.etcdNode)
            let cut = ActionTarget(host: CutHost(inner: node.host, after: 2), variables: targets[0].variables)
            await #expect(throws: ActionFailure.self) {
                _ = try await canary().perform(cluster.context(MemoryFacts(), targets: [cut]))
            }
            let lease = try await cluster.sh("etcdctl --endpoints $url lease list | tail -n 1")
            let left = try await cluster.sh("etcdctl --endpoints $url lease timetolive --keys \(lease)")
            #expect(left.contains("pawl/canary/test"), "\(left)")
            _ = try await canary().perform(cluster.context(MemoryFacts()))
            #expect(try await cluster.sh("etcdctl --endpoints $url get '' --from-key --keys-only").isEmpty)
            #expect(try await cluster.leaseCount() == 0, "nor does its lease stay")
        }
    }

    @Test func `a controller that dies at any change leaves no key and no lease`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            for changes in 0..<4 {
                for isLate in [false, true] {
                    let targets = cluster.targets(cutAfter: changes, isLate: isLate)
                    _ = try? await canary().perform(cluster.context(MemoryFacts(), targets: targets))
                    _ = try await canary().perform(cluster.context(MemoryFacts()))
                    #expect(try await cluster.leaseCount() == 0, "\(changes), \(isLate)")
                    #expect(try await cluster.sh("etcdctl --endpoints $url get '' --from-key --keys-only").isEmpty)
                }
            }
        }
    }

    @Test func `a member that takes no writes is named`() async throws {
        try await EtcdCluster.with(arguments: ["--enable-v2=true", "--quota-backend-bytes=1000000"]) { cluster in
            try await cluster.sh(
                """
                head -c 900000 /dev/zero | tr '\\0' x >\(cluster.directory)/big
                while etcdctl --endpoints $url put /big <\(cluster.directory)/big >/dev/null 2>&1; do :; done
                """
            )
            let message = try await failure(of: canary(), cluster.context(MemoryFacts()))
            #expect(message.contains("n1: etcd did not take a write to v3"), "\(message)")
            #expect(message.contains("space exceeded"), "\(message)")
        }
    }

    @Test func `without a gateway it is said so`() async throws {
        try await EtcdCluster.with(size: 1, arguments: ["--enable-v2", "--enable-grpc-gateway=false"]) { cluster in
            let message = try await failure(of: canary(), cluster.context(MemoryFacts()))
            #expect(message.contains("no JSON gateway"), "\(message)")
        }
    }
}
