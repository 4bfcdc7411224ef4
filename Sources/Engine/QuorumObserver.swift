// SPDX-License-Identifier: Apache-2.0

import Etcd
import Playbooks
import Rollout

/// Asks every member how it is, just before one is stopped.
struct QuorumObserver: Sendable {
    let play: Play
    let hosts: HostDirectory
    /// Member ids by host, as the plan has them, and the cluster's id under `cluster`.
    let members: [String: String]
    /// Looked at in the same remote command; `nil` where nothing is changed.
    var lock: ClusterLock?

    /// Counts as healthy only a voter that is the member the plan was made for (etcd #8788: a member of another cluster
    /// answers as healthy too), and on whose node nobody but this run may change anything.
    ///
    /// A node without this run's lock may be stopped by somebody who has a lock there yet, as a controller that was held up
    /// between its own look at the quorum and its stop: then two members would be out.
    func observe() async -> Quorum {
        let accompanied = await ClusterProbe.health(hosts.etcdNodes(of: play), beside: lock?.questions ?? [:])
        let answers = accompanied.mapValues(\.member)
        let standing = lock?.standing(in: accompanied.compactMapValues(\.node))
        var healthy: Set<String> = []
        var complaints: [String] = []
        var voters = 0
        for name in play.hosts {
            switch answers[name] {
            case .success(let health)?:
                voters = max(voters, health.list.voters.count)
                var faults = faults(of: name, health)
                if let held = standing?.missing[name] { faults.append("this run has no lock on it, \(held)") }
                if faults.isEmpty { healthy.insert(name) } else { complaints += faults.map { "\(name): \($0)" } }
            case .failure(let error)?: complaints.append("\(error)")
            case nil: complaints.append("\(name): not asked")
            }
        }
        // Where nobody answers, the members are those that the plan was made for.
        if voters == 0 { voters = members.keys.count { $0 != "cluster" } }
        return Quorum(voters: voters, healthy: healthy, complaints: complaints, objection: standing?.objection)
    }

    private func faults(of name: String, _ health: MemberHealth) -> [String] {
        var faults = health.complaints
        if !health.isHealthy, faults.isEmpty { faults.append("not healthy") }
        if health.status.isLearner { faults.append("a learner, it has no vote") }
        if let id = members[name], id != "\(health.memberID)" {
            faults.append("is member \(health.memberID), the plan was made for member \(id)")
        }
        if let id = members["cluster"], id != "\(health.clusterID)" {
            faults.append("belongs to cluster \(health.clusterID), the plan was made for cluster \(id)")
        }
        return faults
    }
}
