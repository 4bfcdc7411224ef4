// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Playbooks

/// What must be known of the cluster before a plan can be made: who leads, and which member is which.
package struct Survey: Sendable, Hashable {
    /// The hosts in the order in which they should be changed; empty where nothing is known.
    package var order: [String]
    /// Member ids by host, in hexadecimal as etcd prints them; `cluster` has the cluster's id.
    package var memberIDs: [String: String]
    /// What the nodes showed of their locks, where that was asked for.
    package var locks: LockSurvey?

    package init(order: [String], memberIDs: [String: String], locks: LockSurvey? = nil) {
        self.order = order
        self.memberIDs = memberIDs
        self.locks = locks
    }

    /// The hosts in inventory order, with the leader's host last.
    func leaderLast(_ hosts: [String]) -> [String] {
        order.isEmpty ? hosts : order
    }
}

/// Makes a ``Survey`` by asking every member, read-only.
package enum Surveyor {
    /// Asks the members of a play.
    ///
    /// - Parameters:
    ///   - play: whose hosts are asked; a play that knows no etcd is not asked anything.
    ///   - hosts: the ways to them; a read-only directory is enough.
    ///   - request: what the lock is to be taken for next: then every host is asked for it, in the same command.
    /// - Returns: what they said.
    /// - Throws: ``RunControllerError`` when another controller holds the lock, which comes first, because it may have
    ///   a member out; or naming every host that cannot be asked.
    package static func survey(
        _ play: Play,
        _ hosts: HostDirectory,
        lockedNextFor request: RunRequest? = nil
    ) async throws(RunControllerError) -> Survey {
        let locked = LockNodes(play, hosts)
        let all = request == nil ? [] : Set(locked.nodes.keys)
        guard play.knowsEtcd else {
            guard let request else { return Survey(order: play.hosts, memberIDs: [:]) }
            let locks = await locked.look(at: all)
            try await ClusterLock.demandFree(locks, unlock: request.unlockCommand, on: locked)
            return Survey(order: play.hosts, memberIDs: [:], locks: locks)
        }
        let nodes = hosts.etcdNodes(of: play)
        let members = all.intersection(nodes.map(\.name))
        async let otherLocks = locked.look(at: all.subtracting(members))
        let accompanied = await ClusterProbe.statuses(nodes, beside: locked.questions(to: members))
        var locks = await otherLocks
        for name in members { locks.note(accompanied[name]?.node, from: name) }
        if let request { try await ClusterLock.demandFree(locks, unlock: request.unlockCommand, on: locked) }
        let answers = accompanied.mapValues(\.member)
        var ids: [String: String] = [:]
        var leader: EtcdID?
        var failures: [String] = []
        for name in play.hosts {
            switch answers[name] {
            case .success(let status)?:
                ids[name] = "\(status.memberID)"
                ids["cluster"] = "\(status.clusterID)"
                leader = leader ?? status.leader
            case .failure(let error)?: failures.append("\(error)")
            case nil: failures.append("\(name): not asked")
            }
        }
        guard failures.isEmpty else {
            throw RunControllerError(
                .unreachable,
                "nothing was changed; not every host could be asked:\n  " + failures.joined(separator: "\n  "),
                remedy: "`pawl check` looks at each host by itself"
            )
        }
        let last = leader.map { "\($0)" }
        let leading = play.hosts.filter { ids[$0] == last }
        return Survey(
            order: play.hosts.filter { !leading.contains($0) } + leading,
            memberIDs: ids,
            locks: request == nil ? nil : locks
        )
    }
}

extension HostDirectory {
    /// The hosts of the play as etcd nodes.
    func etcdNodes(of play: Play) -> [EtcdNode] {
        play.hosts.compactMap { name in
            target(name, become: play.playbook.become.value).map { target in
                EtcdNode(name: name, host: target.host, settings: EtcdSettings(variables: target.variables))
            }
        }
    }
}
