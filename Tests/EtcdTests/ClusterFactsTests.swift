// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Etcd

/// Leader and membership, from answers made up by hand.
@Suite struct ClusterFactsTests {
    private static let list = MemberList([
        ListedMember(id: EtcdID(1), name: "a"), ListedMember(id: EtcdID(2), name: "b"),
        ListedMember(id: EtcdID(3), name: "c"),
    ])

    private func health(
        _ id: UInt64,
        cluster: UInt64 = 9,
        leader: UInt64? = 2,
        list: MemberList = list
    ) throws -> MemberHealth {
        let json = """
            {"header":{"cluster_id":"\(cluster)","member_id":"\(id)"},"leader":"\(leader ?? 0)","raftIndex":"5"}
            """
        let status = try #require(EndpointStatus(json: ArraySlice(json.utf8)))
        return MemberHealth(status: status, list: list, isHealthy: true)
    }

    @Test func `a host that is no member of its cluster's list is named`() throws {
        let short = MemberList(Array(Self.list.members.dropLast()))
        let answers = [
            "n1": try health(1, list: short), "n2": try health(2, list: short), "n3": try health(3, list: short),
        ]
        let problems = ClusterFacts.membershipProblems(answers, hosts: ["n1", "n2", "n3"])
        #expect(problems.contains { $0.hasPrefix("n3 is member 3, which is not in") })
    }

    @Test func `another cluster and a member reached twice are named`() throws {
        let strange = ["n1": try health(1), "n2": try health(2, cluster: 8), "n3": try health(1)]
        let problems = ClusterFacts.membershipProblems(
            strange,
            hosts: ["n1", "n2", "n3"],
            clusterID: EtcdID(9)
        )
        #expect(problems.contains { $0.contains("n2 in cluster 8") })
        #expect(problems.contains { $0.contains("n2 is in cluster 8, the run began with 9") })
        #expect(problems.contains { $0.contains("n1 and n3 reach the same member 1") })
    }

    @Test func `a member that no host of the inventory is is named once every host has answered`() throws {
        let answers = ["n1": try health(1), "n2": try health(2)]
        let problems = ClusterFacts.membershipProblems(answers, hosts: ["n1", "n2"])
        #expect(problems == ["the cluster has a member that no host of the inventory is: c (3)"])
        #expect(ClusterFacts.membershipProblems(answers, hosts: ["n1", "n2", "n3"]) == [])
    }

    @Test func `two leaders are named, and neither counts as the leader`() throws {
        let answers = ["n1": try health(1, leader: 1), "n2": try health(2), "n3": try health(3)]
        let problems = ClusterFacts.membershipProblems(answers, hosts: ["n1", "n2", "n3"])
        #expect(problems == ["the members do not agree on a leader: n1 follow a; n2, n3 follow b"])
        #expect(ClusterFacts.leader(answers) == nil)
        #expect(ClusterFacts.leader(["n1": try health(1), "n2": try health(2)]) == "n2")
    }
}
