// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a member says of itself: `etcdctl endpoint status -w json` or the gateway's `maintenance/status`.
package struct EndpointStatus: Sendable, Hashable {
    package var clusterID: EtcdID
    package var memberID: EtcdID
    /// The v3 store's newest revision; 1 for a store that was never written to.
    package var revision: Int64
    package var version: EtcdVersion?
    package var databaseSize: Int64
    /// `nil` without a leader.
    package var leader: EtcdID?
    package var raftTerm: UInt64
    /// The committed index.
    package var raftIndex: UInt64
    /// Since 3.4; the committed index where it is not told.
    package var raftAppliedIndex: UInt64
    /// Since 3.4: alarms and a missing leader, in etcd's words.
    ///
    /// Empty for an older member, which tells them in `/health` only.
    package var errors: [String]
    /// Since 3.4.
    package var isLearner: Bool

    /// Reads the list with one element of etcdctl, or the bare object of the gateway.
    package init?(json: ArraySlice<UInt8>) {
        if let listed = decodeJSON([Listed].self, json), listed.count == 1 {
            self.init(listed[0].status)
        } else if let raw = decodeJSON(Raw.self, json) {
            self.init(raw)
        } else {
            return nil
        }
    }

    private struct Listed: Decodable {
        var status: Raw
        enum CodingKeys: String, CodingKey { case status = "Status" }
    }

    private struct Raw: Decodable {
        var header: ResponseHeader
        var version: String?
        var dbSize: LenientInteger?
        var leader: LenientInteger?
        var raftIndex: LenientInteger?
        var raftTerm: LenientInteger?
        var raftAppliedIndex: LenientInteger?
        var errors: [String]?
        var isLearner: Bool?
    }

    private init(_ raw: Raw) {
        clusterID = EtcdID(raw.header.clusterID)
        memberID = EtcdID(raw.header.memberID)
        revision = raw.header.revision
        version = raw.version.flatMap { EtcdVersion($0) }
        databaseSize = raw.dbSize?.signed ?? 0
        leader = raw.leader.flatMap { $0.unsigned == 0 ? nil : EtcdID($0.unsigned) }
        raftTerm = raw.raftTerm?.unsigned ?? raw.header.raftTerm
        raftIndex = raw.raftIndex?.unsigned ?? 0
        raftAppliedIndex = raw.raftAppliedIndex?.unsigned ?? raftIndex
        errors = raw.errors ?? []
        isLearner = raw.isLearner ?? false
    }
}
