// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

@testable import Etcd

/// What a running etcd tells of itself: real processes, and reports of what cannot run here.
@Suite struct EtcdDiscoveryTests {
    private static func read(_ report: String, said: [String: String] = [:]) throws(DiscoveryError) -> [String: String]
    {
        let result = CommandResult(
            exitCode: 0,
            standardOutput: Array(report.utf8),
            standardError: [],
            duration: .zero
        )
        return try EtcdDiscovery.read(NodeReport(result), said: said).variables
    }

    @Test func `of a running member all is found that has no name of its own`() async throws {
        try await EtcdCluster.with { cluster in
            let member = cluster.members[1]
            let node = EtcdNode(name: "n2", host: LocalHost(name: "n2"), settings: EtcdSettings(variables: [:]))
            let found = try await node.discover(said: ["etcd_endpoint": member.clientURL])
            #expect(found.process != nil)
            #expect(found.variables["etcd_data_dir"] == member.dataDir)
            #expect(found.variables["etcd_wal_dir"] == "")
            #expect(found.variables["etcd_user"] == NSUserName())
            // By its data dir it is told apart as well; by nothing it is not.
            let same = try await node.discover(said: ["etcd_data_dir": member.dataDir])
            #expect(same.variables["etcd_endpoint"] == member.clientURL)
            await #expect(throws: EtcdProbeError.self) { try await node.discover(said: [:]) }
        }
    }

    @Test func `where no etcd runs nothing is said`() throws {
        #expect(try Self.read("") == [:])
    }

    @Test func `settings are taken as etcd takes them, and open files are believed`() throws {
        let flags = """
            process=7
            user=etcd
            arg=--listen-client-urls
            arg=http://10.0.0.1:4001,http://127.0.0.1:4001
            env=ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:9
            data_dir=/srv/etcd
            wal_dir=/srv/wal
            agrees_data_dir=yes
            unit=etcd3@main.service
            """
        #expect(
            try Self.read(flags) == [
                "etcd_service": "etcd3@main", "etcd_user": "etcd", "etcd_data_dir": "/srv/etcd",
                "etcd_wal_dir": "/srv/wal", "etcd_endpoint": "http://127.0.0.1:4001",
            ]
        )
        // With a configuration file etcd heeds nothing else.
        let file = """
            process=7
            user=etcd
            arg=--config-file=/etc/etcd.yaml
            arg=--listen-client-urls=http://127.0.0.1:1
            config=listen-client-urls: "https://0.0.0.0:2379"
            config=advertise-client-urls: https://n1.example:2379
            file_ca=/etc/pki/ca.crt
            file_cert=/etc/pki/server.crt
            file_key=/etc/pki/server.key
            """
        let found = try Self.read(file)
        #expect(found["etcd_endpoint"] == "https://n1.example:2379")
        #expect(found["etcd_cacert"] == "/etc/pki/ca.crt" && found["etcd_key"] == "/etc/pki/server.key")
    }

    @Test func `a process that was told otherwise than what it has open is refused`() throws {
        let report = """
            process=7
            user=etcd
            arg=--data-dir=/srv/etcd
            open_data_dir=/srv/old (deleted)
            agrees_data_dir=no
            """
        #expect(throws: DiscoveryError.self) { try Self.read(report) }
    }

    @Test func `several processes are told apart by what the inventory says, and else refused`() throws {
        let two = """
            process=7
            data_dir=/srv/a
            unit=a.service
            process=8
            data_dir=/srv/b
            unit=b.service
            """
        let error = #expect(throws: DiscoveryError.self) { try Self.read(two) }
        #expect(error?.message.contains("process 7 with /srv/a; process 8 with /srv/b") == true)
        #expect(try Self.read(two, said: ["etcd_service": "b"])["etcd_data_dir"] == "/srv/b")
        let served = two.replacing("process=8", with: "process=8\nserves=yes")
        #expect(try Self.read(served)["etcd_data_dir"] == "/srv/b")
    }
}
