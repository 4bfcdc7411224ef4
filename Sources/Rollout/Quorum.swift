// SPDX-License-Identifier: Apache-2.0

/// Who votes and who answers, as seen just before a member is stopped, and what follows from it.
package struct Quorum: Hashable, Sendable {
    /// Voting members of the cluster; learners do not count.
    package var voters: Int
    /// Hosts whose member votes, answered as healthy, and belongs to the same cluster.
    package var healthy: Set<String>
    /// What is wrong with the others, one line each; empty when all are healthy.
    package var complaints: [String]
    /// Why nothing may be changed any more, however healthy the members are: the lock is lost.
    package var objection: String?

    package init(voters: Int, healthy: Set<String>, complaints: [String] = [], objection: String? = nil) {
        self.voters = voters
        self.healthy = healthy
        self.complaints = complaints
        self.objection = objection
    }

    /// How many voters must agree.
    package var needed: Int { voters / 2 + 1 }

    /// Whether the cluster keeps its quorum, with every other member healthy, when a host is stopped.
    ///
    /// All others must be healthy, not just enough of them: a second failure while a member is out would end the
    /// service. A cluster of one voter has no quorum to keep; its stop is an outage that the proof announces.
    ///
    /// - Parameters:
    ///   - host: the member to be stopped.
    ///   - out: hosts that this run has stopped, or is about to stop, and not brought back. The host itself is among
    ///     them when it may be down already by this run's doing; then it need not be healthy.
    /// - Returns: whether the stop may go on.
    package func allows(stopping host: String, alreadyOut out: Set<String> = []) -> Bool {
        if objection != nil { return false }
        if voters == 1 { return healthy.union(out) == [host] }
        let accountedFor = healthy.union(out)
        return accountedFor.contains(host) && accountedFor.count == voters && remaining(without: host, out) >= needed
    }

    /// The proof as it is printed before a stop.
    package func proof(stopping host: String, alreadyOut out: Set<String> = []) -> String {
        if let objection { return objection }
        if voters == 1 {
            return "quorum: 1 voter, \(healthy.count) healthy; stopping \(host) is an outage until it is back"
        }
        let verdict = allows(stopping: host, alreadyOut: out) ? "quorum kept" : "not allowed"
        return "quorum: \(voters) voters, \(healthy.count) healthy, \(needed) needed; "
            + "after stopping \(host): \(remaining(without: host, out)) healthy, \(verdict)"
    }

    private func remaining(without host: String, _ out: Set<String>) -> Int {
        healthy.subtracting(out).subtracting([host]).count
    }
}
