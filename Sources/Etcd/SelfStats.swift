// SPDX-License-Identifier: Apache-2.0

/// `GET /v2/stats/self`.
package struct SelfStats: Sendable, Hashable {
    package var id: EtcdID
    package var name: String
    package var isLeader: Bool
    /// `nil` without a leader.
    package var leader: EtcdID?

    package init?(json: ArraySlice<UInt8>) {
        struct Raw: Decodable {
            struct Leader: Decodable { var leader: String? }
            var id: String
            var name: String
            var state: String
            var leaderInfo: Leader?
        }
        guard let raw = decodeJSON(Raw.self, json), let id = EtcdID(hexadecimal: raw.id) else { return nil }
        self.id = id
        name = raw.name
        isLeader = raw.state == "StateLeader"
        leader = raw.leaderInfo?.leader.flatMap { EtcdID(hexadecimal: $0) }.flatMap { $0.value == 0 ? nil : $0 }
    }
}
