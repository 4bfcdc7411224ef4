// SPDX-License-Identifier: Apache-2.0

import Etcd

/// Which of the ways from v2 to v3 fits a cluster, and why.
package struct WayAdvice: Sendable, Hashable, Codable {
    /// A way, and the playbook that goes it.
    package enum Way: String, Sendable, Hashable, Codable, CaseIterable {
        /// One member at a time, on copies where there is room for them.
        case rolling
        /// All members stopped at once.
        case stopped
        /// One member is migrated, and the others are added to it anew.
        case reseed

        package var playbook: String {
            switch self {
            case .rolling: "migrate_etcd_v2_to_v3.yaml"
            case .stopped: "migrate_etcd_v2_to_v3_stopped.yaml"
            case .reseed: "migrate_etcd_v2_to_v3_reseed.yaml"
            }
        }
    }

    package var way: Way
    package var reason: String
    /// What `-e` must say for it, as `ttl_keys=warn`.
    package var variables: [String]
    /// What else should be known before it is begun.
    package var remarks: [String]

    /// Decides from two looks at each member.
    ///
    /// - Parameters:
    ///   - first: each member at one moment.
    ///   - second: the same members more than a second later.
    /// - Returns: the way that fits, with its reason.
    package static func choose(first: [String: MemberStanding], second: [String: MemberStanding]) -> WayAdvice {
        let expiring = second.values.map(\.temporaryKeys).max() ?? 0
        let directories = second.values.map(\.ttlDirectories).max() ?? 0
        let isWritten = second.contains { host, standing in
            guard let before = first[host] else { return false }
            return before.permanent != standing.permanent || before.revision != standing.revision
        }
        let isExpiring = second.contains { host, standing in
            first[host].map { $0.temporary != standing.temporary } ?? false
        }
        var advice = fitting(
            expiring: expiring,
            directories: directories,
            isExpiring: isExpiring,
            members: second.count
        )
        if isWritten {
            advice.remarks.append(
                "keys are written now: whichever way is gone, stop the writers first, or let `freeze` of the playbook do it"
            )
        }
        if directories > 0 {
            advice.remarks.append(
                "keys in a directory with a TTL become permanent whichever way is gone; remove its TTL first"
            )
        }
        if advice.way == .rolling { advice.remarks += rooms(second) }
        return advice
    }

    private static func fitting(expiring: Int, directories: Int, isExpiring: Bool, members: Int) -> WayAdvice {
        let noun = expiring == 1 ? "1 key with a TTL" : "\(expiring) keys with a TTL"
        if expiring + directories == 0 {
            return WayAdvice(
                way: .rolling,
                reason: members == 1
                    ? "no key has a TTL, and the only member is out for a restart"
                    : "no key has a TTL, so that \(members) members can be migrated one after the other while the cluster serves",
                variables: [],
                remarks: []
            )
        }
        if isExpiring, members > 1 {
            return WayAdvice(
                way: .reseed,
                reason:
                    "\(noun), and they change from second to second: where members stop in different moments each keeps "
                    + "others, so that one is migrated and the others get its data",
                variables: ["ttl_keys=warn"],
                remarks: ["the cluster is down until that one serves, and the keys that are left then become permanent"]
            )
        }
        return WayAdvice(
            way: .stopped,
            reason: (expiring == 0 ? "directories with a TTL expire" : "\(noun) would expire")
                + " while members are rolled, and leave each of them with other data; stopped, none does",
            variables: ["ttl_keys=warn"],
            remarks: [
                "the cluster is down meanwhile; keys that are left become permanent, or are left out with migrate_no_ttl=true"
            ]
        )
    }

    private static func rooms(_ standings: [String: MemberStanding]) -> [String] {
        standings.sorted { $0.key < $1.key }.compactMap { host, standing in
            if !standing.hasRoomBeside {
                return
                    "\(host): its data directory is a file system of its own, so it is migrated in place, after its stop"
            }
            guard let data = standing.dataKilobytes, let free = standing.freeKilobytes, free < data else { return nil }
            return
                "\(host): \(free / 1024) MiB are free beside \(data / 1024) MiB of data, which may not do for a copy; "
                + "migrate_etcd_v2_to_v3_in_place.yaml needs none"
        }
    }
}
