// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A member as the cluster's own list has it.
package struct ListedMember: Sendable, Hashable {
    package var id: EtcdID
    /// Empty for a member that was added and never started.
    package var name: String
    package var clientURLs: [String]
    package var peerURLs: [String]
    /// Since 3.4.
    ///
    /// A learner has no vote.
    package var isLearner: Bool

    package init(
        id: EtcdID,
        name: String,
        clientURLs: [String] = [],
        peerURLs: [String] = [],
        isLearner: Bool = false
    ) {
        self.peerURLs = peerURLs
        self.id = id
        self.name = name
        self.clientURLs = clientURLs
        self.isLearner = isLearner
    }

    package var isStarted: Bool { !name.isEmpty }
}

/// The cluster's members as one member knows them, by id.
package struct MemberList: Sendable, Hashable {
    package var members: [ListedMember]

    package init(_ members: [ListedMember]) {
        self.members = members.sorted { $0.id < $1.id }
    }

    /// Reads `etcdctl member list -w json`, the gateway's `cluster/member/list`, and `/v2/members`, whose ids are
    /// hexadecimal strings under `id` where the others have decimal ones under `ID`.
    package init?(json: ArraySlice<UInt8>) {
        guard let answer = decodeJSON(Answer.self, json) else { return nil }
        let members = answer.members.compactMap { raw -> ListedMember? in
            let id = raw.v2ID.flatMap { EtcdID(hexadecimal: $0) } ?? raw.id.map { EtcdID($0.unsigned) }
            return id.map {
                ListedMember(
                    id: $0,
                    name: raw.name ?? "",
                    clientURLs: raw.clientURLs ?? [],
                    peerURLs: raw.peerURLs ?? [],
                    isLearner: raw.isLearner ?? false
                )
            }
        }
        guard members.count == answer.members.count else { return nil }
        self.init(members)
    }

    private struct Answer: Decodable {
        struct Raw: Decodable {
            var id: LenientInteger?
            var v2ID: String?
            var name: String?
            var clientURLs: [String]?
            var peerURLs: [String]?
            var isLearner: Bool?
            enum CodingKeys: String, CodingKey {
                case id = "ID"
                case v2ID = "id"
                case name, clientURLs, peerURLs, isLearner
            }
        }
        var members: [Raw]
    }

    package var voters: [ListedMember] { members.filter { !$0.isLearner } }

    package func name(of id: EtcdID) -> String {
        members.first { $0.id == id }.map { $0.isStarted ? $0.name : "the unstarted \(id)" } ?? "\(id)"
    }
}
