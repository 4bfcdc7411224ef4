// SPDX-License-Identifier: Apache-2.0

/// What follows from the answers of several members together.
///
/// Pure.
package enum ClusterFacts {
    /// The host of the leader on which all answers agree.
    package static func leader(_ answers: [String: MemberHealth]) -> String? {
        let leaders = Set(answers.values.map(\.status.leader))
        guard leaders.count == 1, let leader = leaders.first ?? nil else { return nil }
        return answers.first { $0.value.memberID == leader }?.key
    }

    /// What is wrong between the members' lists and the inventory: another cluster, two hosts for one member, members
    /// that no host of the inventory is, hosts whose member is not in the list, and disagreement.
    ///
    /// `hosts` are all hosts of the inventory; those without an answer may be the members that nobody is. `clusterID` is
    /// the cluster as it was recorded earlier.
    package static func membershipProblems(
        _ answers: [String: MemberHealth],
        hosts: Set<String>,
        clusterID: EtcdID? = nil
    ) -> [String] {
        identityProblems(answers, hosts: hosts, clusterID: clusterID) + leaderProblems(answers)
    }

    /// The same without the leader.
    package static func identityProblems(
        _ answers: [String: MemberHealth],
        hosts: Set<String>,
        clusterID: EtcdID? = nil
    ) -> [String] {
        let sorted = answers.sorted { $0.key < $1.key }
        var problems: [String] = []
        let clusters = Dictionary(grouping: sorted, by: { $0.value.clusterID })
        if clusters.count > 1 {
            let parts = clusters.sorted { $0.key < $1.key }
                .map { "\($0.value.map(\.key).joined(separator: ", ")) in cluster \($0.key)" }
            problems.append("the hosts are of different clusters: \(parts.joined(separator: "; "))")
        }
        if let clusterID {
            for (name, answer) in sorted where answer.clusterID != clusterID {
                problems.append("\(name) is in cluster \(answer.clusterID), the run began with \(clusterID)")
            }
        }
        for (id, same) in Dictionary(grouping: sorted, by: { $0.value.memberID }).sorted(by: { $0.key < $1.key })
        where same.count > 1 {
            problems.append("\(same.map(\.key).joined(separator: " and ")) reach the same member \(id)")
        }
        let present = Set(sorted.map(\.value.memberID))
        problems += strangers(sorted, hosts: hosts, present: present)
        var reported: Set<EtcdID> = []
        for (name, answer) in sorted {
            if !answer.list.members.contains(where: { $0.id == answer.memberID }) {
                problems.append("\(name) is member \(answer.memberID), which is not in its cluster's member list")
            }
            // A member that nobody is may be that of a silent host; who says so must have heard every host.
            guard answers.count == hosts.count else { continue }
            for member in answer.list.members where !present.contains(member.id) && reported.insert(member.id).inserted
            {
                let urls = member.clientURLs.isEmpty ? member.peerURLs : member.clientURLs
                let place = urls.isEmpty ? "" : " at \(urls.joined(separator: ", "))"
                let what = (member.isStarted ? "\(member.name) (\(member.id))" : "\(member.id), never started") + place
                problems.append("the cluster has a member that no host of the inventory is: \(what)")
            }
        }
        let lists = Dictionary(grouping: sorted, by: { Set($0.value.list.members.map(\.id)) })
        if lists.count > 1 {
            let parts = lists.values.sorted { $0[0].key < $1[0].key }
                .map { "\($0.map(\.key).joined(separator: ", ")): \($0[0].value.list.members.count) members" }
            problems.append("the member lists differ: \(parts.joined(separator: "; "))")
        }
        return problems
    }

    /// Hosts that do not answer, where every member of the cluster is another host: they are none of its members.
    private static func strangers(
        _ sorted: [(key: String, value: MemberHealth)],
        hosts: Set<String>,
        present: Set<EtcdID>
    ) -> [String] {
        let silent = hosts.subtracting(sorted.map(\.key)).sorted()
        let listed = Set(sorted.flatMap { $0.value.list.members.map(\.id) })
        guard !silent.isEmpty, !listed.isEmpty, listed.isSubset(of: present) else { return [] }
        let verb = silent.count == 1 ? "is no member" : "are no members"
        return [
            "\(silent.joined(separator: ", ")) \(verb) of the cluster: all its \(listed.count) members are other hosts"
        ]
    }

    /// That the members do not agree on a leader.
    package static func leaderProblems(_ answers: [String: MemberHealth]) -> [String] {
        let sorted = answers.sorted { $0.key < $1.key }
        var problems: [String] = []
        // Members without a leader are unhealthy, which is said of each of them.
        let leaders = Dictionary(grouping: sorted.filter { $0.value.status.leader != nil }) { $0.value.status.leader }
        if leaders.count > 1 {
            let parts = leaders.values.sorted { $0[0].key < $1[0].key }
                .map { group in
                    let leader = group[0].value.status.leader.map { group[0].value.list.name(of: $0) } ?? "none"
                    return "\(group.map(\.key).joined(separator: ", ")) follow \(leader)"
                }
            problems.append("the members do not agree on a leader: \(parts.joined(separator: "; "))")
        }
        return problems
    }
}
