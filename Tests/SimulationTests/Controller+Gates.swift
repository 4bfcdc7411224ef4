// SPDX-License-Identifier: Apache-2.0

import Rollout

// The looks at the cluster: what `etcd_ready`, `etcd_healthy`, `etcd_consistent` and `etcd_verified` ask.
extension Controller {
    /// Why a look says no.
    func problem(_ step: Scenario.Step) -> String? {
        if case .healthy = step.work { return sickness(of: world.nodes[step.host ?? 0]) }
        for node in world.members {
            if let sickness = sickness(of: node) { return sickness }
        }
        switch step.work {
        case .ready: return notReady
        case .consistent: return inconsistency(step)
        case .verified: return difference
        default: return nil
        }
    }

    private func sickness(of node: Node) -> String? {
        guard node.isReachable(from: home.index, at: world.now) else { return "\(node.name) does not answer" }
        guard node.member.isRunning, world.hasQuorum else { return "\(node.name) is not healthy" }
        return nil
    }

    private func print(_ node: Node) -> V2Store { world.raft.store(at: node.member.wal.last) }

    private var notReady: String? {
        for node in world.members {
            if node.member.cache.revision != 1 { return "the v3 store of \(node.name) is not empty" }
            if print(node).ttlKeys > 0 { return "keys with a TTL" }
        }
        return nil
    }

    private func inconsistency(_ step: Scenario.Step) -> String? {
        guard let journal else { return "no journal" }
        // Nothing rests on the old baseline as long as no member is migrated.
        let isFirst = step.planned.id.text.contains("@start/")
        if isFirst, !world.members.contains(where: { facts.isMigrated($0.index) }) { journal.facts.baseline = nil }
        let first = print(world.nodes[0])
        if world.weakness != .skipFingerprintGate {
            for node in world.members {
                let version = print(node).version
                if version != first.version { return "the members do not hold the same v2 keys" }
                if let baseline = facts.baseline, baseline.version != version {
                    return "somebody wrote to the v2 store since the freeze"
                }
            }
        }
        for node in world.members {
            if let problem = v3Problem(node, facts.baseline ?? first) { return problem }
        }
        if journal.facts.baseline == nil {
            journal.facts.baseline = first
            world.books.isFrozen = true
            world.books.isDataStrange = false
            world.note(label, "takes the v2 store of version \(first.version) for its baseline")
        }
        world.checkGate(step.planned.id, facts)
        return nil
    }

    private func v3Problem(_ node: Node, _ baseline: V2Store) -> String? {
        let cache = node.member.cache
        guard facts.isMigrated(node.index) else {
            return cache.revision == 1 ? nil : "\(node.name) has v3 revision \(cache.revision), and is not migrated"
        }
        if cache.revision != max(1, baseline.newestIndex) || cache.pairs.count != baseline.keys.count {
            return "\(node.name) has v3 revision \(cache.revision), and was migrated to \(baseline.newestIndex)"
        }
        let other = world.members.first { facts.isMigrated($0.index) }
        if let other, other.member.cache.hash(at: cache.revision) != cache.hash(at: cache.revision) {
            return "the v3 stores of \(other.name) and \(node.name) differ"
        }
        return nil
    }

    /// As of the revision that the migration left, so that v3 clients may write already.
    private var difference: String? {
        if world.weakness == .claimWithoutHash { return nil }
        guard let baseline = facts.baseline else { return "no baseline was recorded" }
        let revision = baseline.newestIndex
        let first = world.nodes[0].member.cache.hash(at: revision)
        for node in world.members where node.member.cache.hash(at: revision) != first {
            return "the v3 stores of n1 and \(node.name) differ"
        }
        let reader = world.nodes[world.scenario.members - 1]
        if Database.migrated(baseline).hash(at: revision) != first { return "v2 and v3 differ" }
        // Keys with a TTL that were there at the freeze may have expired since.
        let held = print(reader).keys
        let isSame = baseline.keys.allSatisfy { $0.expires != nil || held.contains($0) }
        return isSame && held.allSatisfy(baseline.keys.contains) ? nil : "v2 and v3 differ"
    }
}
