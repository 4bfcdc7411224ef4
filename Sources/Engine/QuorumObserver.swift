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
    /// answers as healthy too).
    func observe() async -> Quorum {
        let accompanied = await ClusterProbe.health(hosts.etcdNodes(of: play), beside: lock?.questions ?? [:])
        let answers = accompanied.mapValues(\.member)
        var healthy: Set<String> = []
        var complaints: [String] = []
        var voters = 0
        for name in play.hosts {
            switch answers[name] {
            case .success(let health)?:
                voters = max(voters, health.list.voters.count)
                let faults = faults(of: name, health)
                if faults.isEmpty { healthy.insert(name) } else { complaints += faults.map { "\(name): \($0)" } }
            case .failure(let error)?: complaints.append("\(error)")
            case nil: complaints.append("\(name): not asked")
            }
        }
        let objection = lock?.objection(to: accompanied.compactMapValues(\.node))
        return Quorum(voters: voters, healthy: healthy, complaints: complaints, objection: objection)
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
