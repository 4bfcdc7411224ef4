// SPDX-License-Identifier: Apache-2.0

import Remote
import TestSupport
import Testing

@testable import Etcd

/// Hidden keys of a real member, from its WAL and from its snapshot, each by itself.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct HiddenKeysTests {
    private func report(_ cluster: EtcdCluster, wal: String, newest: String) async throws -> NodeFacts {
        let node = cluster.nodes()[0]
        let head = "data_dir=\(node.settings.dataDir) wal_dir=\(wal)\nnewest=\(newest)\n"
        let result = try await node.host.run(
            RemoteCommand(
                "look",
                script: EtcdSettings.scriptPrelude + head + HiddenKeysScript.script(node.settings),
                effect: .readOnly
            )
        )
        return NodeFacts(report: result.output, etcdctl: "", hasMigrate: false)
    }

    /// Names of every length up to 300 bytes, so that each form of a length stands in the WAL, 10, 26 and 34 among them.
    @Test func `every length and every byte of a name is found in the WAL`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let names = (1...300).map { "/_" + String(repeating: "x", count: $0) }
            try await cluster.put(names.map { ($0, "/1/_no") })
            let odd = (1...255).filter { $0 != UInt8(ascii: "/") }.map { byte in
                "/odd/_a%" + (byte < 16 ? "0" : "") + String(byte, radix: 16) + "z"
            }
            try await cluster.sh(
                "while read -r path; do echo \"url = $url/v2/keys$path\"; done |"
                    + " curl -sf -o /dev/null -X PUT -d value=1 -K - \(String(repeating: "-o /dev/null ", count: 300))",
                input: Array((odd.joined(separator: "\n") + "\n").utf8)
            )
            let wal = cluster.members[0].dataDir + "/member/wal"
            let found = try await report(cluster, wal: wal, newest: "").hidden
            #expect(found.count == names.count + odd.count, "\(found)")
            #expect(found.answered == found.candidates, "\(found)")
            #expect(found.names.count == 10)
        }
    }

    @Test func `a snapshot tells what the WAL has not any more, and what is gone is not told`() async throws {
        try await EtcdCluster.with(size: 1, arguments: ["--enable-v2=true", "--snapshot-count=5"]) { cluster in
            try await cluster.sh("curl -sf -X PUT $url/v2/keys/_a/%22q%5c%20%3c%c3%a9%3e%01 -d value=1")
            try await cluster.put([("/_b/_c", "2"), ("/_gone", "3")])
            try await cluster.put((0..<20).map { ("/k\($0)", #"{"Path":"/1/_fake"}"#) })
            let directory = cluster.members[0].dataDir + "/member/snap"
            let newest = try await cluster.sh("ls \(directory)/*.snap | tail -n 1").split(separator: "\n")
            try await cluster.sh("curl -sf -X DELETE $url/v2/keys/_gone; mkdir \(cluster.directory)/none")
            let found = try await report(
                cluster,
                wal: cluster.directory + "/none",
                newest: String(try #require(newest.first))
            ).hidden
            #expect(Set(found.names) == ["/_a/\"q\\ <é>\u{1}", "/_b/_c"])
            #expect(found.count == 2)
            #expect(found.walFiles == 0)
        }
    }

    @Test func `more paths than are asked for are counted`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let many = HiddenKeysScript.limit + 5
            try await cluster.put((0..<many).map { ("/_\($0)", "1") })
            let found = try await report(cluster, wal: cluster.members[0].dataDir + "/member/wal", newest: "").hidden
            #expect(found.candidates == many)
            #expect(found.answered == HiddenKeysScript.limit)
            #expect(found.count == HiddenKeysScript.limit)
        }
    }
}
