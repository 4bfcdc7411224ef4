// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A 64-bit number as etcd writes it: a JSON number from etcdctl, a string from the gateway, and unsigned, though
/// revisions are signed (`compact_revision` is -1 before the first compaction).
struct LenientInteger: Decodable, Sendable {
    let unsigned: UInt64
    var signed: Int64 { Int64(bitPattern: unsigned) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(UInt64.self) {
            unsigned = number
        } else if let number = try? container.decode(Int64.self) {
            unsigned = UInt64(bitPattern: number)
        } else {
            let text = try container.decode(String.self)
            if let number = UInt64(text) {
                unsigned = number
            } else if let number = Int64(text) {
                unsigned = UInt64(bitPattern: number)
            } else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a 64-bit number")
            }
        }
    }
}

/// `true` or `"true"`: `/health` has the string up to 3.5.
struct LenientBoolean: Decodable, Sendable {
    let value: Bool

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            value = flag
        } else {
            value = try container.decode(String.self) == "true"
        }
    }
}

/// The header of every v3 answer.
///
/// Fields that are zero are left out by the gateway.
struct ResponseHeader: Decodable, Sendable {
    var clusterID: UInt64
    var memberID: UInt64
    var revision: Int64
    var raftTerm: UInt64

    enum CodingKeys: String, CodingKey {
        case clusterID = "cluster_id"
        case memberID = "member_id"
        case revision
        case raftTerm = "raft_term"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        clusterID = try container.decode(LenientInteger.self, forKey: .clusterID).unsigned
        memberID = try container.decode(LenientInteger.self, forKey: .memberID).unsigned
        revision = try container.decodeIfPresent(LenientInteger.self, forKey: .revision)?.signed ?? 0
        raftTerm = try container.decodeIfPresent(LenientInteger.self, forKey: .raftTerm)?.unsigned ?? 0
    }
}

/// Decodes one JSON value of a known form; `nil` for anything else, also for trailing bytes.
func decodeJSON<Value: Decodable>(_ type: Value.Type, _ bytes: some Sequence<UInt8>) -> Value? {
    try? JSONDecoder().decode(type, from: Data(bytes))
}

/// An id as etcd prints it: hexadecimal without leading zeros.
package struct EtcdID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var value: UInt64

    package init(_ value: UInt64) {
        self.value = value
    }

    /// An id in hexadecimal, as `/v2/members` and the facts of a run have it.
    package init?(hexadecimal text: some StringProtocol) {
        guard let value = UInt64(text, radix: 16) else { return nil }
        self.value = value
    }

    package static func < (left: EtcdID, right: EtcdID) -> Bool { left.value < right.value }
    package var description: String { String(value, radix: 16) }
}
