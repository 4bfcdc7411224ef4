// SPDX-License-Identifier: Apache-2.0

/// `etcdctl lease list` in text or JSON, and the gateway's `lease/leases`.
package struct LeaseList: Sendable, Hashable {
    package var ids: [EtcdID]

    package init?(_ bytes: ArraySlice<UInt8>) {
        struct Raw: Decodable {
            struct Lease: Decodable {
                var id: LenientInteger
                enum CodingKeys: String, CodingKey { case id = "ID" }
            }
            var leases: [Lease]?
        }
        if let raw = decodeJSON(Raw.self, bytes) {
            ids = (raw.leases ?? []).map { EtcdID($0.id.unsigned) }
            return
        }
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        guard let first = lines.first, first.hasPrefix("found "), first.hasSuffix(" leases") else { return nil }
        ids = lines.dropFirst().compactMap { EtcdID(hexadecimal: $0) }
        if ids.count != lines.count - 1 { return nil }
    }
}
