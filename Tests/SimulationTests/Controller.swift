// SPDX-License-Identifier: Apache-2.0

import Rollout

/// A process of pawl: it takes the lock, reads what the nodes say of the run, and then does what the machine decides.
final class Controller {
    enum Command: Equatable {
        case run, resume, resumeFromNodes, rollback, unlock
    }

    /// How a command ended that did not get as far as a verdict.
    enum Exit: Equatable {
        case locked, drift, nothingToDo, unreachable, refused
        case verdict(String)
        case unlocked, rolledBack
    }

    unowned let world: World
    let process: Int
    let home: Home
    let command: Command
    var isAlive = true
    var isHolding = false
    var token = 0
    var claim: LockClaim?
    /// What nodes said of the run as they gave their lock, which was free.
    var granted: [String: Node.Replica?] = [:]
    /// Whether it began anything; where not, what it claims was proven before.
    var hasPerformed = false
    /// How often it looked again because the nodes had moved on.
    var lockRounds = 0
    var machine: RolloutMachine?
    var journal: Journal?
    var exit: Exit?
    var signals = 0

    init(_ command: Command, at home: Home, process: Int, in world: World) {
        (self.command, self.home, self.process, self.world) = (command, home, process, world)
    }

    var label: String { "pawl\(process)@\(home.name)" }
    var facts: Facts { journal?.facts ?? Facts() }
    var run: Int { journal?.run ?? 0 }

    func begin() {
        world.note(label, "pawl \(command)")
        takeLock()
    }

    /// The process is gone; what it had on its way is not.
    func die() {
        guard isAlive else { return }
        isAlive = false
        isHolding = false
        world.controllers.removeAll { $0 === self }
        world.note(label, "is killed")
    }

    func leave(_ exit: Exit) {
        guard isAlive else { return }
        self.exit = exit
        isAlive = false
        isHolding = false
        world.controllers.removeAll { $0 === self }
        world.note(label, "exits: \(exit)")
        world.lastExit = exit
    }

    /// Whether the process is killed right here.
    func isKilledHere() -> Bool {
        guard isAlive else { return true }
        if world.chance(world.odds.crash) { die() }
        return !isAlive
    }

    // MARK: - The nodes' replicas of the run

    /// With the lock held, what every node says of a run: as it gave the lock, or asked now.
    func readReplicas(then: @escaping ([Node.Replica?], _ isWhole: Bool) -> Void) {
        var replicas = world.nodes.compactMap { granted[$0.name] }
        let unasked = world.nodes.filter { granted[$0.name] == nil }
        var silent = 0
        var left = unasked.count
        if left == 0 { return then(replicas, true) }
        for node in unasked {
            world.look(at: node, from: self, { $0.replica }) { [weak self] seen in
                guard let self, isAlive else { return }
                if let seen { replicas.append(seen) } else { silent += 1 }
                left -= 1
                if left == 0 { then(replicas, silent == 0) }
            }
        }
    }

    func goOn() {
        switch command {
        case .run: readReplicas { [weak self] replicas, _ in self?.startRun(replicas) }
        case .resume, .resumeFromNodes, .rollback:
            readReplicas { [weak self] replicas, isWhole in self?.resume(replicas, isWhole) }
        case .unlock: release(.unlocked)
        }
    }

    private func startRun(_ replicas: [Node.Replica?]) {
        let isOpen = Self.open(replicas).contains { home.journal(of: $0.run)?.isOpen ?? true }
        if isOpen || home.open != nil { return release(.drift) }
        world.runs += 1
        let journal = Journal(run: world.runs)
        journal.token = token
        journal.facts.migratedRevision = Array(repeating: nil, count: world.scenario.members)
        journal.facts.migratedKeys = journal.facts.migratedRevision
        journal.facts.copies = journal.facts.migratedRevision
        home.journals.append(journal)
        self.journal = journal
        world.books.isFrozen = false
        start()
    }

    /// A run is over as soon as one node says so: the others may not have heard of it.
    ///
    /// A rollback, which has a higher token, opens it again.
    static func open(_ replicas: [Node.Replica?]) -> [Node.Replica] {
        let replicas = replicas.compactMap { $0 }
        return replicas.filter { replica in
            replica.isOpen && !replicas.contains { !$0.isOpen && $0.run == replica.run && $0.token >= replica.token }
        }
    }

    private func resume(_ replicas: [Node.Replica?], _ isWhole: Bool) {
        let open = Self.open(replicas)
        let newest = open.max { left, right in
            if world.weakness == .replicasBySequenceAlone { return left.sequence < right.sequence }
            return (left.token, left.sequence) < (right.token, right.sequence)
        }
        if command == .resumeFromNodes {
            guard isWhole || world.weakness == .resumeWithSilentNode else { return release(.unreachable) }
            guard let newest else { return release(.nothingToDo) }
            return adopt(newest)
        }
        // A run that is done can be taken back, too.
        let done = command == .rollback ? home.journals.last { $0.verdict == .done } : nil
        guard let journal = home.open ?? done else { return release(.nothingToDo) }
        if world.weakness != .resumeWithStaleJournal {
            guard isWhole || world.weakness == .resumeWithSilentNode else { return release(.unreachable) }
            // Another run has been at work since, or this one was ended elsewhere.
            if replicas.contains(where: { $0.map { isAhead($0, of: journal) } ?? false }) { return release(.drift) }
        }
        journal.token = token
        self.journal = journal
        command == .rollback ? rollBack() : goForward()
    }

    private func isAhead(_ replica: Node.Replica, of journal: Journal) -> Bool {
        if world.weakness == .replicasBySequenceAlone {
            return replica.run == journal.run && replica.sequence > journal.records.count
        }
        if replica.run != journal.run { return replica.isOpen || replica.token > journal.token }
        if !replica.isOpen, journal.isOpen, replica.token == journal.token { return true }
        return replica.token > journal.token || replica.sequence > journal.records.count
    }

    /// One's own journal of the run is gone on with, unless the nodes know more.
    private func adopt(_ replica: Node.Replica) {
        if let known = home.journal(of: replica.run), !isAhead(replica, of: known) {
            (known.isOpen, known.token) = (true, token)
            journal = known
            return goForward()
        }
        home.journals.removeAll { $0.run == replica.run }
        let journal = Journal(run: replica.run)
        (journal.records, journal.facts, journal.token) = (replica.records, replica.facts, token)
        journal.isRollingBack = replica.isRollingBack
        home.journals.append(journal)
        self.journal = journal
        goForward()
    }

    private func goForward() {
        journal?.isRollingBack == true ? release(.refused) : start()
    }

    private func start() {
        guard let journal else { return }
        machine = RolloutMachine(plan: world.scenario.plan, history: journal.records)
        deliver(.begin)
    }

    /// Notes on the nodes that the run is over, if it is, then lets go of the lock.
    func conclude(_ verdict: Verdict) {
        journal?.verdict = verdict
        isHolding = false
        switch verdict {
        case .done: sayFarewell(.verdict(verdict.word))
        case .refused: close(.verdict(verdict.word))
        default: release(.verdict(verdict.word))
        }
    }

    /// Each node is told and left by the lock in one command, and waits for no other.
    private func sayFarewell(_ exit: Exit) {
        guard !isKilledHere() else { return }
        journal?.isOpen = false
        world.books.ended.insert(token)
        var left = world.nodes.count
        for node in world.nodes {
            world.change(node, from: self) { [token, run, process] node in
                guard node.lock?.token == token, node.lock?.process == process else { return true }
                node.forgetTurns(of: run)
                if node.replica?.run == run {
                    node.replica?.isOpen = false
                    node.replica?.token = token
                }
                node.lock = nil
                return true
            } then: { [weak self] _ in
                left -= 1
                if left == 0 { self?.leave(exit) }
            }
        }
    }

    func close(_ exit: Exit) {
        journal?.isOpen = false
        var left = world.nodes.count
        for node in world.nodes {
            world.change(node, from: self) { [token, run] node in
                guard node.lock?.token == token, node.replica?.run == run else { return true }
                node.forgetTurns(of: run)
                node.replica?.isOpen = false
                node.replica?.token = token
                return true
            } then: { [weak self] _ in
                left -= 1
                if left == 0 { self?.release(exit) }
            }
        }
    }
}

extension Verdict {
    var word: String {
        switch self {
        case .done: "done"
        case .refused(let failure): "refused: \(failure.message)"
        case .halted(let failure): "halted: \(failure.message)"
        case .drifted(let failure): "drifted: \(failure.message)"
        case .interrupted: "interrupted"
        }
    }
}
