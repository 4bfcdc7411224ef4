// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Etcd

/// The parsers against what etcd really answered; recorded by `scripts/record-etcd`.
@Suite struct EtcdParserTests {
    static let versions = ["3.3.25", "3.4.23"]

    private func bytes(_ version: String, _ file: String) throws -> ArraySlice<UInt8> {
        let url = try #require(Bundle.module.url(forResource: "Fixtures/\(version)/\(file)", withExtension: nil))
        return ArraySlice(try Data(contentsOf: url))
    }

    private func text(_ version: String, _ file: String) throws -> String {
        String(decoding: try bytes(version, file), as: UTF8.self)
    }

    @Test(arguments: versions)
    func `ids are the same in every form in which they are told`(version: String) throws {
        let status = try #require(EndpointStatus(json: try bytes(version, "endpoint-status.json")))
        let gateway = try #require(EndpointStatus(json: try bytes(version, "gateway-status.json")))
        let stats = try #require(SelfStats(json: try bytes(version, "v2-stats-self.json")))
        let lists = try ["member-list.json", "gateway-members.json", "v2-members.json"].map {
            try #require(MemberList(json: try bytes(version, $0)))
        }
        #expect(status.memberID == gateway.memberID)
        #expect(status.memberID == stats.id)
        #expect(status.clusterID == gateway.clusterID)
        #expect(status.leader == stats.leader)
        #expect(status.version == EtcdVersion(version))
        #expect(status.raftIndex > 0)
        #expect(status.raftAppliedIndex == status.raftIndex)
        #expect(status.revision == 1)
        #expect(Set(lists).count == 1)
        #expect(lists[0].members.count == 3)
        #expect(lists[0].voters.count == 3)
        #expect(lists[0].name(of: status.memberID) == "m1")
    }

    @Test(arguments: versions)
    func `versions and health are read`(version: String) throws {
        let answer = try #require(VersionAnswer(json: try bytes(version, "version.json")))
        #expect(answer.server == EtcdVersion(version))
        #expect(answer.cluster == EtcdVersion("\(version.prefix(3)).0"))
        #expect(parseEtcdctlVersion(try text(version, "etcdctl-version.txt")) == EtcdVersion(version))
        #expect(try #require(HealthAnswer(json: try bytes(version, "health.json"))).isHealthy)
        #expect(try #require(HealthAnswer(json: try bytes(version, "health-nospace.json"))).isHealthy == false)
    }

    @Test(arguments: versions)
    func `an alarm is seen in every form`(version: String) throws {
        let quiet = try #require(AlarmList(text: try text(version, "alarm-list.txt")))
        #expect(quiet.alarms.isEmpty)
        #expect(try #require(AlarmList(json: try bytes(version, "alarm-list.json"))).alarms.isEmpty)
        let written = try #require(AlarmList(text: try text(version, "alarm-list-nospace.txt")))
        let json = try #require(AlarmList(json: try bytes(version, "alarm-list-nospace.json")))
        #expect(written.alarms.map(\.kind) == ["NOSPACE"])
        #expect(written == json)
        let status = try #require(EndpointStatus(json: try bytes(version, "endpoint-status-nospace.json")))
        // 3.3 tells alarms in /health only.
        #expect(status.errors.isEmpty == (version == "3.3.25"))
    }

    @Test(arguments: versions)
    func `counts, hashes, leases and snapshots are read`(version: String) throws {
        for file in ["count-empty.json", "gateway-count.json"] {
            let empty = try #require(RangeCount(json: try bytes(version, file)))
            #expect(empty.count == 0)
            #expect(empty.revision == 1)
        }
        let count = try #require(RangeCount(json: try bytes(version, "count.json")))
        #expect(count.count == 2)
        #expect(count.revision == 3)
        let empty = try #require(HashKV(json: try bytes(version, "endpoint-hashkv.json")))
        #expect(empty.compactRevision == -1)
        #expect(empty.revision == 1)
        #expect(HashKV(json: try bytes(version, "endpoint-hashkv-written.json"))?.hash != empty.hash)
        #expect(LeaseList(try bytes(version, "lease-list.txt"))?.ids.isEmpty == true)
        #expect(LeaseList(try bytes(version, "gateway-leases.json"))?.ids.isEmpty == true)
        #expect(LeaseList(try bytes(version, "lease-list-one.txt"))?.ids.count == 1)
        let snapshot = try #require(SnapshotStatus(json: try bytes(version, "snapshot-status.json")))
        #expect(snapshot.revision == 3)
        #expect(snapshot.totalKeys > 2)
    }

    @Test(arguments: versions)
    func `both stores are read with every byte of their values`(version: String) throws {
        let http = try text(version, "v2-keys.http")
        let body = try #require(http.split(separator: "\r\n\r\n", maxSplits: 1).last)
        let v2 = try #require(KeyListing(v2: ArraySlice(body.utf8)))
        #expect(v2.keys.count == 5)
        let tricky = try #require(v2.keys[Array("/tricky".utf8)])
        #expect(tricky.value == Array(#"quote " backslash \ "value":{"key":"x","ttl":5 <&> é 漢 😀"#.utf8))
        #expect(v2.keys[Array("/expires".utf8)]?.expires == true)
        #expect(v2.keys[Array("/ttldir/child".utf8)]?.expires == false)
        let v3 = try #require(KeyListing(v3: try bytes(version, "dump.json")))
        #expect(v3.keys[Array("/v3key".utf8)] == StoredKey(value: Array("a\"b".utf8), created: 2, modified: 2))
        #expect(v3.keys[Array("/empty".utf8)]?.value.isEmpty == true)
    }

    @Test func `what is no answer is not taken for one`() {
        for junk in ["", "{}", "[]", "null", "Not Found\n", "{\"health\":", "[{\"Endpoint\":\"x\"}]"] {
            let bytes = ArraySlice(junk.utf8)
            #expect(EndpointStatus(json: bytes) == nil)
            #expect(HashKV(json: bytes) == nil)
            #expect(MemberList(json: bytes) == nil)
            #expect(RangeCount(json: bytes) == nil)
            #expect(HealthAnswer(json: bytes) == nil)
            #expect(VersionAnswer(json: bytes) == nil)
            #expect(KeyListing(v2: bytes) == nil)
        }
        #expect(AlarmList(text: "Error: context deadline exceeded") == nil)
    }

    @Test func `strings are read with every escape, and malformed ones are not`() throws {
        func value(_ json: String) -> [UInt8]? {
            let node = #"{"node":{"key":"/a","value":\#(json),"modifiedIndex":7,"createdIndex":"6"}}"#
            let listing = KeyListing(v2: ArraySlice(node.utf8))
            #expect(listing?.keys.values.first.map { $0.modified == 7 && $0.created == 6 } ?? true)
            return listing?.keys[Array("/a".utf8)]?.value
        }
        #expect(value(#""\u003c\n\t\"\\\/\u00e9\ud83d\ude00\u0000""#) == Array("<\n\t\"\\/é😀\0".utf8))
        #expect(value(#""\ud83d\u0041""#) == Array("\u{FFFD}A".utf8))
        for bad in [#""open"#, #""\u12""#, #""\x""#, "1", #""a" "b""#, #""a"}}}"#] { #expect(value(bad) == nil) }
        let deep = String(repeating: #"{"node":"#, count: 100_000)
        #expect(KeyListing(v2: ArraySlice(deep.utf8)) == nil)
        for bad in [#"{"header":{},"kvs":[{"key":"YQ=","mod_revision":1}]}"#, #"{"header":{},"kvs":[{"key":"Y*=="}]}"#]
        {
            #expect(KeyListing(v3: ArraySlice(bad.utf8)) == nil)
        }
    }

    @Test func `keys that differ only in Unicode's normal form are two keys`() throws {
        let json =
            #"{"node":{"dir":true,"nodes":[{"key":"/é","value":"1","modifiedIndex":1,"createdIndex":1},"#
            + "{\"key\":\"/e\u{301}\",\"value\":\"2\",\"modifiedIndex\":2,\"createdIndex\":2}]}}"
        #expect(try #require(KeyListing(v2: ArraySlice(json.utf8))).keys.count == 2)
    }

    @Test func `differences name keys and digests, never values`() {
        let key = { (text: String, index: UInt64) in
            StoredKey(value: Array(text.utf8), created: 1, modified: index)
        }
        let left = KeyListing([Array("/a".utf8): key("secret1", 1), Array("/b".utf8): key("same", 2)])
        let right = KeyListing([Array("/a".utf8): key("secret2", 1), Array("/b".utf8): key("same", 2)])
        let (count, lines) = left.differences(from: right, names: ("v2", "v3"))
        #expect(count == 1)
        #expect(lines.count == 1)
        #expect(lines.joined().contains("/a"))
        #expect(lines.joined().contains("sha256:"))
        #expect(!lines.joined().contains("secret"))
    }

    @Test func `version ranges hold what they say`() throws {
        let range = try #require(EtcdVersionRange(">=3.0.14 <3.5"))
        for good in ["3.0.14", "3.4.23", "v3.4.0-rc.1"] { #expect(range.contains(try #require(EtcdVersion(good)))) }
        for bad in ["3.0.13", "3.5.0", "2.3.8"] { #expect(!range.contains(try #require(EtcdVersion(bad)))) }
        #expect(EtcdVersionRange("") == nil)
        #expect(EtcdVersionRange(">=x") == nil)
    }
}
