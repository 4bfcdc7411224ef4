// SPDX-License-Identifier: Apache-2.0

/// Whether a member may be stopped now, computed from what every member of the inventory just said.
package struct QuorumProof: Sendable, Hashable, CustomStringConvertible {
    /// The host that is to be stopped.
    package var stopping: String
    /// Members with a vote, of the inventory or not.
    package var voters: Int
    /// Hosts whose members vote, answer, have a leader and no alarm.
    package var healthy: Set<String>
    /// What speaks against the stop, each with the host's name; a healthy quorum does not outweigh it.
    package var objections: [String]

    package var needed: Int { voters / 2 + 1 }
    /// Healthy voters that are left.
    package var remaining: Int { healthy.subtracting([stopping]).count }
    package var isAllowed: Bool { objections.isEmpty && voters > 0 && remaining >= needed }

    package init(stopping: String, voters: Int, healthy: Set<String>, objections: [String] = []) {
        self.stopping = stopping
        self.voters = voters
        self.healthy = healthy
        self.objections = objections
    }

    /// From the answer of each host of the inventory, and the cluster's id where it was recorded at the run's start.
    package init(
        _ health: [String: Result<MemberHealth, EtcdProbeError>],
        stopping: String,
        clusterID: EtcdID? = nil
    ) {
        var answers: [String: MemberHealth] = [:]
        var objections: [String] = []
        for (name, result) in health.sorted(by: { $0.key < $1.key }) {
            switch result {
            case .success(let answer):
                answers[name] = answer
                // The one that is to be stopped may be sick: that may be why it is stopped.
                if !answer.isHealthy, name != stopping {
                    objections.append("\(name) is not healthy: \(answer.complaints.joined(separator: "; "))")
                }
            case .failure(let error):
                if name != stopping { objections.append("\(name) does not answer: \(error.message)") }
            }
        }
        objections += ClusterFacts.membershipProblems(answers, hosts: Set(health.keys), clusterID: clusterID)
        if health[stopping] == nil { objections.append("\(stopping) is not among the hosts that were asked") }
        // Every voter of any list counts: with lists that differ, the most careful one holds.
        let voting = Set(answers.values.flatMap { $0.list.voters.map(\.id) })
        self.init(
            stopping: stopping,
            voters: voting.count,
            healthy: Set(answers.filter { $0.value.isHealthy && voting.contains($0.value.memberID) }.keys),
            objections: objections
        )
    }

    /// The proof in one sentence, as it is printed before each stop.
    package var description: String {
        let relation = remaining >= needed ? "≥" : "<"
        let proof =
            "\(voters) voters, \(healthy.count) healthy, quorum \(needed); "
            + "after stopping \(stopping): \(remaining) healthy \(relation) \(needed)"
        return objections.isEmpty ? proof : proof + "; but " + objections.joined(separator: "; ")
    }
}
