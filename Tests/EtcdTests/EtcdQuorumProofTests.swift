// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Etcd

/// Quorum, order and membership, from answers made up by hand.
@Suite struct EtcdQuorumProofTests {
    private static let list = MemberList([
        ListedMember(id: EtcdID(1), name: "a"), ListedMember(id: EtcdID(2), name: "b"),
        ListedMember(id: EtcdID(3), name: "c"),
    ])

    private func health(
        _ id: UInt64,
        cluster: UInt64 = 9,
        leader: UInt64? = 2,
        list: MemberList = list,
        isHealthy: Bool = true
    ) throws -> MemberHealth {
        let json = """
            {"header":{"cluster_id":"\(cluster)","member_id":"\(id)"},"leader":"\(leader ?? 0)","raftIndex":"5"}
            """
        let status = try #require(EndpointStatus(json: ArraySlice(json.utf8)))
        return MemberHealth(
            status: status,
            list: list,
            isHealthy: isHealthy,
            complaints: isHealthy ? [] : ["alarm:NOSPACE"]
        )
    }

    private typealias Answers = [String: Result<MemberHealth, EtcdProbeError>]

    @Test func `a stop that leaves a quorum is allowed, and said in one sentence`() throws {
        let answers: Answers = [
            "n1": .success(try health(1)), "n2": .success(try health(2)), "n3": .success(try health(3)),
        ]
        let proof = QuorumProof(answers, stopping: "n2", clusterID: EtcdID(9))
        #expect(proof.isAllowed)
        #expect("\(proof)" == "3 voters, 3 healthy, quorum 2; after stopping n2: 2 healthy ≥ 2")
    }

    @Test func `a second member out refuses the stop`() throws {
        let answers: Answers = [
            "n1": .failure(EtcdProbeError(.noAnswer, host: "n1", "no connection")), "n2": .success(try health(2)),
            "n3": .success(try health(3)),
        ]
        let proof = QuorumProof(answers, stopping: "n2")
        #expect(!proof.isAllowed)
        #expect("\(proof)".contains("after stopping n2: 1 healthy < 2; but n1 does not answer"))
        // The silent one itself may be stopped: nothing is lost by it.
        #expect(QuorumProof(answers, stopping: "n1").isAllowed)
    }

    @Test func `an alarm on another member refuses the stop`() throws {
        let answers: Answers = [
            "n1": .success(try health(1, isHealthy: false)), "n2": .success(try health(2)),
            "n3": .success(try health(3)),
        ]
        #expect(!QuorumProof(answers, stopping: "n2").isAllowed)
    }

    @Test func `a sick member refuses the stop even where a quorum would be left`() throws {
        let list = MemberList((1...5).map { ListedMember(id: EtcdID($0), name: "m\($0)") })
        var answers: Answers = [:]
        for id in 1...5 {
            answers["n\(id)"] = .success(try health(UInt64(id), list: list, isHealthy: id != 5))
        }
        let proof = QuorumProof(answers, stopping: "n1")
        #expect(proof.remaining == proof.needed)
        #expect(!proof.isAllowed)
        #expect("\(proof)".contains("but n5 is not healthy: alarm:NOSPACE"))
    }

    @Test func `a member that no host of the inventory is refuses the stop by name`() throws {
        let answers: Answers = ["n1": .success(try health(1)), "n2": .success(try health(2))]
        let proof = QuorumProof(answers, stopping: "n1")
        #expect(!proof.isAllowed)
        #expect("\(proof)".contains("no host of the inventory is: c (3)"))
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

    @Test func `learners do not vote, and one voter cannot be stopped`() throws {
        let list = MemberList([
            ListedMember(id: EtcdID(1), name: "a"), ListedMember(id: EtcdID(2), name: "b", isLearner: true),
        ])
        let answers: Answers = [
            "n1": .success(try health(1, leader: 1, list: list)), "n2": .success(try health(2, leader: 1, list: list)),
        ]
        let proof = QuorumProof(answers, stopping: "n1")
        #expect(proof.voters == 1)
        #expect(!proof.isAllowed)
    }

    @Test func `two leaders refuse the stop`() throws {
        let answers: Answers = [
            "n1": .success(try health(1, leader: 1)), "n2": .success(try health(2)), "n3": .success(try health(3)),
        ]
        #expect("\(QuorumProof(answers, stopping: "n3"))".contains("do not agree on a leader"))
        #expect(!QuorumProof(answers, stopping: "n3").isAllowed)
    }

    @Test func `the leader goes last`() {
        #expect(ClusterFacts.order(["a", "b", "c"], leader: "a") == ["b", "c", "a"])
        #expect(ClusterFacts.order(["a", "b", "c"], leader: "c") == ["a", "b", "c"])
        #expect(ClusterFacts.order(["a", "b"], leader: "x") == ["a", "b"])
        #expect(ClusterFacts.order(["a", "b"], leader: nil) == ["a", "b"])
    }
}
