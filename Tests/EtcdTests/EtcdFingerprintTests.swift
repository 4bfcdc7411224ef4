// SPDX-License-Identifier: Apache-2.0

import Fleet
import Remote
import TestSupport
import Testing

@testable import Etcd

/// Fingerprints of real members.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct EtcdFingerprintTests {
    private func prints(_ nodes: [EtcdNode]) async throws -> [Fingerprint] {
        var prints: [Fingerprint] = []
        for node in nodes { prints.append(try await ClusterProbe.fingerprint(node)) }
        return prints
    }

    @Test func `an empty store has a fingerprint`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let print = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            #expect(print.keys == 0)
            #expect(print.newestIndex == 0)
            #expect(print.digest == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        }
    }

    @Test func `members agree on 1,000 keys of any content, and a write, an overwrite and a deletion are seen`()
        async throws
    {
        try await EtcdCluster.with { cluster in
            let keys = (0..<1000).map {
                ("/dir\($0 % 7)/key\($0)", #"v\#($0) "value":{"key":"x","modifiedIndex":9 \ é 漢 😀 {"dir":true"#)
            }
            try await cluster.put(keys)
            let nodes = cluster.nodes()
            let before = try await prints(nodes)
            #expect(Set(before.map(\.digest)).count == 1)
            #expect(before[0].keys == 1000)
            #expect(before[0].directories == 7)
            #expect(before[0].temporaryKeys == 0)
            let listing = try await ClusterProbe.v2Listing(nodes[1])
            #expect(listing.keys.count == 1000)
            #expect(listing.keys.values.map(\.modified).max() == before[0].newestIndex)
            #expect(listing.keys[Array("/dir3/key3".utf8)]?.value == Array(keys[3].1.utf8))

            // The same value again: only the index tells.
            try await cluster.put([keys[5]])
            let overwritten = try await prints(nodes)
            #expect(overwritten[0].digest != before[0].digest)
            #expect(overwritten[0].keys == 1000)
            #expect(overwritten[0].newestIndex > before[0].newestIndex)
            try await cluster.sh("curl -sf -X DELETE $url/v2/keys/dir0/key0")
            let deleted = try await prints(nodes)
            #expect(deleted[2].keys == 999)
            #expect(Set((before + overwritten + deleted).map(\.digest)).count == 3)
        }
    }

    @Test func `a member that is down is not waited for when its stores are read`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.stop(cluster.members[0], signal: "KILL")
            let node = cluster.nodes()[0]
            // etcdctl by itself tries for the two minutes that it is given.
            let began = ContinuousClock.now
            await #expect(throws: EtcdProbeError.self) { try await ClusterProbe.listings(node) }
            let agreement = try? await ClusterProbe.agreement(node, at: 1, withoutTTL: false)
            #expect(agreement == nil || agreement?.doubt != nil)
            #expect(ContinuousClock.now - began < .seconds(60))
        }
    }

    @Test func `a restart changes the etcd index, and not the fingerprint`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/a", "1")])
            let before = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            try await cluster.stop(cluster.members[1])
            try await cluster.start(cluster.members[1])
            try await cluster.awaitHealthy(cluster.members[1])
            let after = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            #expect(after.digest == before.digest)
            #expect(try #require(after.etcdIndex) > #require(before.etcdIndex))
        }
    }

    @Test func `the time that is left to a key is not part of it`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.put([("/permanent", "1")])
            let without = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            try await cluster.put([("/quoted\"name", "2")], ttl: 3600)
            try await cluster.sh(
                """
                curl -sf -X PUT $url/v2/keys/ttldir -d dir=true -d ttl=3600
                curl -sf -X PUT $url/v2/keys/empty -d dir=true
                """
            )
            let first = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            let ttl = "curl -sf $url/v2/keys/quoted%22name | sed 's/.*\"ttl\":\\([0-9]*\\).*/\\1/'"
            let before = try await cluster.sh(ttl)
            try await cluster.sh("while [ \"$(\(ttl))\" = \(before.filter(\.isNumber)) ]; do sleep 0.05; done")
            let second = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            #expect(first.digest == second.digest)
            #expect(first.permanent == without.permanent)
            #expect(first.digest != without.digest)
            #expect(first.temporaryKeys == 1)
            #expect(first.temporaryNames == ["/quoted\"name"])
            #expect(first.ttlDirectoryNames == ["/ttldir"])
            #expect(Set(first.emptyDirectoryNames) == ["/empty", "/ttldir"])
            #expect(first.keys(withoutTTL: true) == 1)
            #expect(try #require(first.expiringNames.first).seconds > 3500)
            #expect(try #require(first.expiringDirectoryNames.first).seconds > 3500)
        }
    }

    @Test func `bytes that are not UTF-8 are told from text that looks like them`() async throws {
        try await EtcdCluster.with(size: 1, arguments: ["--enable-v2=true", "--snapshot-count=10"]) { cluster in
            try await cluster.put([("/a", #"\ufffd"#), ("/b", #"\\ufffd"#), ("/c", "\u{FFFD}"), ("/d", "é")])
            #expect(try await ClusterProbe.fingerprint(cluster.nodes()[0]).alteredKeys == 0)
            try await cluster.sh(
                #"""
                curl -sf -X PUT $url/v2/keys/e --data 'value=%ff'
                curl -sf -X PUT $url/v2/keys/f --data 'value=%5c%ff'
                curl -sf -X PUT $url/v2/keys/g%ff -d value=1
                """#
            )
            let print = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            #expect(print.alteredKeys == 3)
            #expect(print.alteredNames == ["/e", "/f", "/g\u{FFFD}"])
            let listing = try await ClusterProbe.v2Listing(cluster.nodes()[0])
            #expect(print.newestIndex == listing.keys.values.map(\.modified).max())

            // A restart from a snapshot makes text of them. What would be migrated is the same.
            try await cluster.put((0..<20).map { ("/more\($0)", "1") })
            let before = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            try await cluster.stop(cluster.members[0])
            try await cluster.start(cluster.members[0])
            try await cluster.awaitHealthy(cluster.members[0])
            let after = try await ClusterProbe.fingerprint(cluster.nodes()[0])
            #expect(before.alteredKeys == 3)
            #expect(after.alteredKeys == 0)
            #expect(after.digest == before.digest)
        }
    }

    @Test func `a fingerprint of 10,000 keys moves a few kilobytes`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let value = String(repeating: "v", count: 1000)
            try await cluster.put((0..<10_000).map { ("/k\($0)", value) })
            let node = cluster.nodes()[0]
            let script = Fingerprint.script(node.settings)
            let result = try await node.host.run(RemoteCommand("print", script: script, effect: .readOnly))
            #expect(try Fingerprint(report: result.output, host: "n1").keys == 10_000)
            // Whatever the keys: only counts and at most ten names of a kind leave the node.
            #expect(script.utf8.count + result.standardOutput.count < 10_000)
        }
    }

    @Test func `a v2 API that is off is named with its flag`() async throws {
        try await EtcdCluster.with(size: 1, arguments: []) { cluster in
            let node = cluster.nodes()[0]
            let error = await #expect(throws: EtcdProbeError.self) { try await ClusterProbe.fingerprint(node) }
            #expect(error?.code == .v2Off)
            #expect(error?.remedy?.contains("--enable-v2=true") == true)
        }
    }

    @Test func `a store that is denied, a member that is gone and a truncated answer are errors`() async throws {
        func failure(_ report: String) throws -> EtcdProbeError {
            try #require(
                #expect(throws: EtcdProbeError.self) { try Fingerprint(report: report, host: "n1") }
            )
        }
        #expect(try failure("head HTTP/1.1 401 Unauthorized\nhead curl 0\nsaid {\"message\":\"no\"}\n").code == .denied)
        #expect(try failure("head HTTP/1.1 403 Forbidden\nhead curl 0\n").code == .denied)
        #expect(try failure("head curl: (7) Failed\nhead curl 7\n").message.contains("(7) Failed"))
        // 18: the connection ended before the announced length.
        #expect(try failure("head HTTP/1.1 200 OK\nhead curl 18\npermanents 5\n").code == .noAnswer)
        #expect(try failure("head HTTP/1.1 200 OK\npermanents 5\n").code == .noAnswer)
        #expect(try failure("").code == .noAnswer)
        #expect(try failure("odd this awk cannot split").code == .unparsable)
    }

    @Test func `a member without the gateway is asked through etcdctl`() async throws {
        try await EtcdCluster.with(size: 1, arguments: ["--enable-v2=true", "--enable-grpc-gateway=false"]) { cluster in
            let nodes = cluster.nodes()
            let health = try #require(await ClusterProbe.health(nodes)["n1"]).get()
            #expect(health.isHealthy)
            #expect(health.list.members.map(\.name) == ["n1"])
            let state = try #require(
                await ClusterProbe.states(nodes, fingerprints: true, hashed: ["n1"])["n1"]
            ).get()
            #expect(state.count?.count == 0)
            #expect(state.hash?.revision == 1)
            let outcome = try await HealthyScript(settings: nodes[0].settings, within: .seconds(10), raftIndex: 3)
                .run(on: nodes[0])
            #expect(outcome.isSettled)
        }
    }

    @Test func `a member behind TLS with client certificates answers everything`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let member = cluster.members[0]
            let directory = cluster.directory + "/cert files"
            try await cluster.put([("/a", "1")])
            try await cluster.sh(
                """
                mkdir '\(directory)' && cd '\(directory)'
                printf 'subjectAltName=IP:\(member.address)\\nextendedKeyUsage=serverAuth,clientAuth\\n' >ext
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt \
                    -days 2 -subj /CN=test-ca 2>/dev/null
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout etcd.key -out etcd.csr \
                    -subj /CN=etcd 2>/dev/null
                openssl x509 -req -in etcd.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext \
                    -out etcd.crt 2>/dev/null
                """
            )
            try await cluster.stop(member)
            try await cluster.start(
                member,
                [
                    "--listen-client-urls", "\(member.clientURL),https://\(member.address):2378", "--cert-file",
                    directory + "/etcd.crt", "--key-file", directory + "/etcd.key", "--trusted-ca-file",
                    directory + "/ca.crt", "--client-cert-auth",
                ]
            )
            try await cluster.awaitHealthy(member)
            var variables: [String: Value] = [
                "etcd_endpoint": .string("https://\(member.address):2378"),
                "etcd_cacert": .string(directory + "/ca.crt"),
            ]
            let stranger = await ClusterProbe.health(cluster.nodes(variables))
            #expect(throws: EtcdProbeError.self) { try stranger["n1"]?.get() }
            variables["etcd_cert"] = .string(directory + "/etcd.crt")
            variables["etcd_key"] = .string(directory + "/etcd.key")
            let node = cluster.nodes(variables)[0]
            let facts = try #require(await ClusterProbe.facts([node])["n1"]).get()
            #expect(facts.health.isHealthy)
            #expect(try facts.fingerprint.get().keys == 1)
            #expect(facts.count?.count == 0)
            #expect(facts.node.isDataDirOpen)
            let outcome = try await HealthyScript(settings: node.settings, within: .seconds(10)).run(on: node)
            #expect(outcome.isSettled)
            let comparison = await ClusterProbe.compareHashes([node])
            #expect(comparison.common?.revision == 1)
            #expect(try await ClusterProbe.listings(node).v2.keys.count == 1)
        }
    }
}
