// SPDX-License-Identifier: Apache-2.0

import Etcd
import Rollout

// `pawl rollback`: member after member back to what it was before the run, the last one that was changed first.
extension Controller {
    func rollBack() {
        guard let journal else { return }
        if world.weakness != .rollbackOverWrites {
            for node in world.members where journal.facts.isMigrated(node.index) {
                if node.hold?.run == run { continue }
                guard node.member.isRunning else {
                    world.note(label, "refuses: nobody can say what was written to \(node.name) since")
                    return release(.refused)
                }
                let revision = journal.facts.migratedRevision[node.index] ?? 1
                // What was written since would be lost.
                if node.member.cache.revision > revision {
                    world.note(
                        label,
                        "refuses: \(node.name) is at revision \(node.member.cache.revision), and was left at \(revision)"
                    )
                    return release(.refused)
                }
            }
        }
        world.checkRollback(of: run)
        // What is out comes back before another is taken out. Members that must be added anew need others that are as
        // they were.
        let reversed = world.members.reversed()
        let members = reversed.filter { !$0.member.isRunning } + reversed.filter(\.member.isRunning)
        let anew = members.filter { mustBeAddedAnew($0) }
        rollBack(scenarioHosts: members.filter { !mustBeAddedAnew($0) } + anew)
    }

    private func mustBeAddedAnew(_ node: Node) -> Bool {
        world.state(of: node, run: run).map { !$0.areSnapshotNamesUnchanged } ?? false
    }

    private func rollBack(scenarioHosts: [Node]) {
        guard isAlive else { return }
        guard let node = scenarioHosts.first else { return finishRollback() }
        let rest = Array(scenarioHosts.dropFirst())
        world.look(at: node, from: self) { [world, run] node in
            world.state(of: node, run: run)?.hasBegun == true || !node.member.isRunning || node.hold?.run == run
        } then: { [weak self] isTouched in
            guard let self else { return }
            guard let isTouched else { return release(.refused) }
            if isTouched { takeOut(node, rest) } else { rollBack(scenarioHosts: rest) }
        }
    }

    private func takeOut(_ node: Node, _ rest: [Node]) {
        undo(.start, .stop(mustBeClean: false), on: node) { [weak self] in
            self?.putBack(node, tries: 0, rest)
        }
    }

    private func putBack(_ node: Node, tries: Int, _ rest: [Node]) {
        world.look(at: node, from: self) { [world, run] node in
            world.state(of: node, run: run)
        } then: { [weak self] seen in
            guard let self else { return }
            guard let seen else { return release(.refused) }
            guard let state = seen else { return bringBack(node, rest) }
            if state.isBusy {
                guard tries < 240 else { return release(.refused) }
                return world.after(500) { [weak self] in
                    guard let self, isAlive else { return }
                    putBack(node, tries: tries + 1, rest)
                }
            }
            let kind: Order.RestoreKind
            switch MigrationRestore.decide(state) {
            case .nothing: kind = .nothing
            case .full: kind = .full
            case .databaseOnly: kind = .databaseOnly
            // The model has one way for a member with newer snapshots; what it leads to is the same.
            case .indexed, .refused: kind = .readd
            }
            undo(.migrate, .restore(kind), on: node) { [weak self] in
                self?.journal?.facts.migratedRevision[node.index] = nil
                self?.journal?.facts.migratedKeys[node.index] = nil
                self?.bringBack(node, rest)
            }
        }
    }

    private func bringBack(_ node: Node, _ rest: [Node]) {
        undo(.stop, .unstop, on: node) { [weak self] in self?.rollBack(scenarioHosts: rest) }
    }

    /// One step back, on record; anything but success ends the rollback, to be begun again.
    private func undo(_ work: StepWork, _ order: Order.Work, on node: Node, then: @escaping () -> Void) {
        guard let journal, let id = world.scenario.step(work, on: node.index), let step = world.scenario.steps[id]
        else {
            return
        }
        if case .stop = order, !isQuorumKept(without: node) {
            world.note(label, "refuses: the quorum would be lost without \(node.name)")
            return release(.refused)
        }
        let attempt = 1 + journal.records.count { $0.step == id && $0.kind == .undoIntent }
        guard !isKilledHere() else { return }
        markRollingBack()
        journal.records.append(.init(step: id, attempt: attempt, kind: .undoIntent))
        send(order, of: step, attempt) { [weak self] outcome in
            guard let self, !isKilledHere() else { return }
            journal.records.append(.init(step: id, attempt: attempt, kind: .undoOutcome(outcome)))
            if outcome == .succeeded { return then() }
            world.note(label, "stops: \(outcome)")
            release(.refused)
        }
    }

    private func isQuorumKept(without node: Node) -> Bool {
        var healthy: Set<String> = []
        for other in world.members where other.member.isRunning && other.isReachable(from: home.index, at: world.now) {
            if other.lock?.token == token, other.lock?.process == process { healthy.insert(other.name) }
        }
        world.books.quorumCounted[process] = .init(time: world.now, isOthers: false)
        return Quorum(voters: world.scenario.members, healthy: healthy).allows(
            stopping: node.name,
            alreadyOut: [node.name]
        )
    }

    /// From the first change on; one that was refused before leaves the run what it was.
    private func markRollingBack() {
        journal?.isRollingBack = true
        journal?.isOpen = true
    }

    private func finishRollback() {
        markRollingBack()
        for node in world.nodes where !node.isMember {
            guard node.writers != .open, let id = world.scenario.step(.freeze, on: node.index),
                let step = world.scenario.steps[id]
            else { continue }
            journal?.records.append(.init(step: id, attempt: 1, kind: .undoIntent))
            return send(.unfreeze, of: step, 1) { [weak self] outcome in
                guard let self else { return }
                outcome == .succeeded ? endRollback() : release(.refused)
            }
        }
        endRollback()
    }

    private func endRollback() {
        world.books.isFrozen = false
        if world.books.claimed == run { world.books.claimed = nil }
        close(.rolledBack)
    }
}
