// SPDX-License-Identifier: Apache-2.0

import Rollout

/// What the world remembers for its own judgement.
///
/// No controller sees it.
struct Books {
    /// v3 puts whose clients have an answer, with their place in the log.
    var acknowledged: [(key: Int, index: Int)] = []
    /// The baseline of the run is taken, and no member is to see another v2 write.
    var isFrozen = false
    /// Something happened to the data that no run can put right by going on.
    var isDataStrange = false
    /// v3 stores hold what no migration put there, so that not even a new run can begin.
    var isV3Strange = false
    /// Only a db that is marked as current leads back, which the model does not know.
    var isBeyondModel = false
    /// The run that claimed success.
    var claimed: Int?
    /// How long the log was then.
    var claimedAt: Int?
    /// The last quorum that was counted, by process.
    var quorumCounted: [Int: Count] = [:]
    /// Effects that came to their end on a node: what a controller may call done.
    var effects: Set<Effect> = []
    /// Steps that must not happen twice, and happened without having been taken back since, by host.
    var migrations: [Int: Int] = [:]
    /// The highest turn of each step that was begun on a node.
    var turns: [Order.Turns: Int] = [:]
    /// Locks that were taken on a majority, with their tokens.
    var highestToken = 0
    /// Tokens that are over: released, taken over from the dead, or taken away by an operator.
    var ended: Set<Int> = []

    struct Count {
        var time: Int
        /// A member that counted was not locked by who counted.
        var isOthers: Bool
    }

    struct Effect: Hashable {
        var step: StepID
        var run: Int
        var isUndo: Bool
    }
}

// MARK: - What must be true

extension World {
    /// After every event.
    func checkAlways() {
        var out = 0
        for node in members where !node.member.isRunning && node.member.stoppedBy != nil { out += 1 }
        if out > 1 { violate("\(out) members are out by our doing") }
    }

    /// A member is stopped by a script of ours.
    func checkStop(of node: Node, by order: Order) {
        guard let count = books.quorumCounted[order.process] else {
            return violate("\(node.name) is stopped without a count of the quorum")
        }
        if count.isOthers, weakness == .quorumIgnoresLocks {
            violate("\(node.name) is stopped while another may change the other members")
        }
        guard scenario.members > 1 else { return }
        // What failed after the count nobody could know.
        for other in members where other !== node && !other.member.isRunning {
            if other.member.stoppedBy != nil {
                violate("\(node.name) is stopped while \(other.name) is out by our doing")
            } else if other.member.downSince < count.time {
                violate("\(node.name) is stopped while \(other.name) is down")
            }
        }
    }

    func checkStart(of node: Node, by starter: Starter) {
        if node.member.db.truth == .half {
            violate("etcd is started on \(node.name) by \(starter.rawValue) on half a migration")
        }
        if let worker = node.worker, ![.prepare, .unprepare, .backup].contains(worker.order.work) {
            violate("etcd is started on \(node.name) by \(starter.rawValue) while a script of ours changes its data")
        }
    }

    func checkNothingLost(on node: Node) {
        for write in books.acknowledged where !node.member.cache.contains(write.key) {
            violate("\(node.name) has lost the acknowledged v3 key \(write.key)")
            return
        }
    }

    /// A script of ours begins to change a node.
    func checkMutation(on node: Node, by order: Order) {
        if !node.isLocked(for: order) {
            violate(
                "\(node.name) is changed under token \(order.token), and its lock is \(node.lock.map { "of \($0.token)" } ?? "gone")"
            )
        }
        if order.turn < books.turns[order.turns, default: 0] {
            violate("\(order.label) begins on \(node.name) behind a command of a later turn")
        }
        books.turns[order.turns] = max(order.turn, books.turns[order.turns, default: 0])
        // Not only the last word on the step: what takes it back may be on its way.
        let isOnRecord = homes.contains { home in
            home.journal(of: order.run)?.records.contains { Self.isIntent($0, for: order) } ?? false
        }
        if !isOnRecord { violate("\(order.step) changes \(node.name), and no journal has an intent for it") }
    }

    private static func isIntent(_ entry: HistoryEntry, for order: Order) -> Bool {
        guard entry.step == order.step, entry.attempt == order.attempt else { return false }
        return entry.kind == (order.isUndo ? .undoIntent : .intent)
    }

    func checkMigration(on node: Node, by order: Order) {
        books.migrations[node.index, default: 0] += 1
        if node.member.db.truth != .original || books.migrations[node.index] != 1 {
            violate("\(order.step) migrates \(node.name) a second time without a restore")
        }
        if !node.member.wasStoppedCleanly {
            violate("\(order.step) migrates \(node.name), which was not stopped cleanly")
        }
        if node.member.isRunning { violate("\(order.step) migrates \(node.name) while etcd runs") }
    }

    /// A gate says that all is well.
    func checkGate(_ id: StepID, _ facts: Facts) {
        guard let baseline = facts.baseline else { return }
        for node in members where raft.store(at: node.member.wal.last).version != baseline.version {
            violate("\(id) passes, and the v2 keys of \(node.name) are not those of the freeze")
            return
        }
    }

    /// A controller takes a lock for its own.
    func checkHolder(_ controller: Controller) {
        let others = controllers.filter { $0 !== controller && $0.isHolding && !books.ended.contains($0.token) }
        if let other = others.first {
            violate(
                "\(controller.label) holds the lock with token \(controller.token), and \(other.label) with \(other.token)"
            )
        }
        let held = members.count { $0.lock?.token == controller.token && $0.lock?.process == controller.process }
        if held < majority, !books.ended.contains(controller.token) {
            violate("\(controller.label) holds the lock on \(held) of \(scenario.members) members")
        }
        // An operator may have taken it away before it was held on enough of them.
        if controller.token <= books.highestToken, !books.ended.contains(controller.token) {
            violate("\(controller.label) got token \(controller.token) after \(books.highestToken)")
        }
        books.highestToken = max(books.highestToken, controller.token)
    }

    /// A controller records that a step, or its undo, succeeded.
    func checkClaim(_ step: Scenario.Step, run: Int, isUndo: Bool) {
        guard step.planned.effect != .readOnly else { return }
        let effect = Books.Effect(step: step.planned.id, run: run, isUndo: isUndo)
        if !books.effects.contains(effect) {
            violate("\(step.planned.id) is recorded as \(isUndo ? "undone" : "done"), and it is not")
        }
    }

    /// A controller sets out to take a cluster back.
    func checkRollback(of run: Int) {
        guard books.claimed == run else { return }
        let written = books.acknowledged.last { $0.index > (books.claimedAt ?? .max) }
        if let written { violate("a rollback goes over the acknowledged v3 key \(written.key)") }
    }

    /// A controller has the proof that all members are migrated to the right data.
    func checkProof(_ controller: Controller) {
        guard let baseline = controller.facts.baseline else { return violate("a proof without a baseline") }
        let keys = raft.store.keys
        let isSame = baseline.keys.allSatisfy { $0.expires != nil || keys.contains($0) }
        if !isSame || !keys.allSatisfy(baseline.keys.contains) {
            violate("the migration is proven, and v2 holds what v3 does not")
        }
        checkSuccess(controller)
    }

    /// A controller claims that the cluster is migrated.
    func checkSuccess(_ controller: Controller) {
        let baseline = controller.facts.baseline
        guard let baseline else { return violate("success is claimed without a baseline") }
        let revision = baseline.newestIndex
        let expected = Database.migrated(baseline)
        for node in members {
            let member = node.member
            if !member.isRunning, member.downSince < now - 2000 {
                violate("success is claimed, and \(node.name) is down")
            }
            let held = member.isRunning ? member.cache : member.db
            if held.hash(at: revision) != expected.hash(at: revision) {
                violate("success is claimed, and \(node.name) does not hold what was frozen")
            }
        }
    }
}

extension Database {
    /// What a migration of a store into an empty db leaves.
    static func migrated(_ store: V2Store) -> Database {
        var db = Database()
        for key in store.keys { db.overwrite(.init(revision: key.modified, key: key.name)) }
        return db
    }
}
