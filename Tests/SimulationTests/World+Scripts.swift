// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote
import Rollout

// What the scripts of the actions do on a node, moment by moment. Between two moments anything may happen to the node.
extension World {
    /// A mutating command arrives: the guards first, then the script, in the same shell.
    func begin(
        _ order: Order,
        isStuck: Bool,
        onRefusal: @escaping (String) -> Void,
        onEnd: @escaping (Report?) -> Void
    ) {
        let node = nodes[order.host]
        if let why = fence(of: node, order) { return onRefusal(why) }
        node.turns[order.turns] = max(order.turn, node.turns[order.turns, default: 0])
        let activity = Activity(node: node, order: order)
        activity.onEnd.append(onEnd)
        node.activities.append(activity)
        // The replica waits for the disk, which may stand still.
        let wait = isStuck || chance(odds.script) ? between(1000, 30_000) : between(1, 30)
        after(wait) { [unowned self] in self.putOnRecord(activity, onRefusal) }
    }

    private func fence(of node: Node, _ order: Order) -> String? {
        if weakness == .skipFence || node.isLocked(for: order) { return nil }
        return "the lock of \(node.name) is \(node.lock.map { "of token \($0.token)" } ?? "gone")"
    }

    /// Behind the fence: the replica, and the fence once more.
    private func putOnRecord(_ activity: Activity, _ onRefusal: @escaping (String) -> Void) {
        let (node, order) = (activity.node, activity.order)
        guard activity.phase >= 0 else { return }
        if node.pausedUntil > now {
            return after(node.pausedUntil - now) { [unowned self] in self.putOnRecord(activity, onRefusal) }
        }
        if let why = recordRefusal(on: node, order) ?? lastWord(of: node, order) {
            leave(activity)
            return onRefusal(why)
        }
        if order.isJob, let job = node.jobs[order.job] {
            leave(activity)
            for tell in activity.onEnd { attach(to: job, tell) }
            return
        }
        guard order.isJob else { return beginScript(activity) }
        // Its directory is brought to the disk, too. Whoever asks for it meanwhile waits for its end.
        node.jobs[order.job] = activity
        let wait = chance(odds.script) ? between(1000, 30_000) : between(1, 10)
        after(wait) { [unowned self] in self.beginJob(activity, onRefusal) }
    }

    private func beginJob(_ activity: Activity, _ onRefusal: @escaping (String) -> Void) {
        let (node, order) = (activity.node, activity.order)
        guard activity.phase >= 0 else { return }
        if node.pausedUntil > now {
            return after(node.pausedUntil - now) { [unowned self] in self.beginJob(activity, onRefusal) }
        }
        if weakness != .jobBehindTheFence, let why = lastWord(of: node, order) {
            leave(activity)
            node.jobs[order.job] = nil
            for tell in activity.onEnd.dropFirst() { tell(nil) }
            return onRefusal(why)
        }
        beginScript(activity)
    }

    private func beginScript(_ activity: Activity) {
        checkMutation(on: activity.node, by: activity.order)
        // A rollback that is refused before it changes anything leaves the run what it was.
        if activity.order.replica.isRollingBack, books.claimed == activity.order.run { books.claimed = nil }
        books.effects.remove(activity.order.opposite)
        note("script", "\(activity.order.label) begins on \(activity.node.name)")
        go(on: activity, in: between(5, 40))
    }

    /// Writes the replica; why it cannot be written.
    ///
    /// That of a later run stays.
    private func recordRefusal(on node: Node, _ order: Order) -> String? {
        if let other = node.replica, other.isOpen, other.run > order.run { return "\(node.name) is in another run" }
        if node.isFull { return "the disk of \(node.name) is full" }
        node.replica = order.replica
        return nil
    }

    private func lastWord(of node: Node, _ order: Order) -> String? {
        if weakness == .fenceBeforeReplicaAlone { return nil }
        if let why = fence(of: node, order) { return why }
        if weakness == .skipTurns || node.turns[order.turns] == order.turn { return nil }
        return "\(node.name) has had a command of a later turn, or the end of the run"
    }

    private func attach(to job: Activity, _ onEnd: @escaping (Report?) -> Void) {
        if job.report != nil || job.phase < 0 { onEnd(job.report) } else { job.onEnd.append(onEnd) }
    }

    func go(on activity: Activity, in milliseconds: Int) {
        after(milliseconds) { [unowned self] in self.continueScript(activity) }
    }

    private func continueScript(_ activity: Activity) {
        guard activity.phase >= 0, activity.report == nil else { return }
        let node = activity.node
        if node.pausedUntil > now { return go(on: activity, in: node.pausedUntil - now) }
        if chance(odds.script) { return killScript(activity) }
        switch activity.order.work {
        case .stop(let must): stop(activity, mustBeClean: must)
        case .start: start(activity)
        case .unstop: unstop(activity)
        case .backup: backup(activity)
        case .prepare: prepare(activity)
        case .unprepare: unprepare(activity)
        case .migrate: migrate(activity)
        case .restore(let kind): restore(activity, kind)
        case .freeze: writers(activity, .frozen)
        case .unfreeze: writers(activity, .open)
        }
    }

    /// The script dies in the middle: the OOM killer, a person.
    private func killScript(_ activity: Activity) {
        note("script", "\(activity.order.label) is killed on \(activity.node.name)")
        leave(activity)
        lose(activity)
    }

    func end(_ activity: Activity, _ report: Report) {
        let order = activity.order
        switch report {
        case .done:
            books.effects.insert(order.effect)
            note("script", "\(order.label) has ended well on \(activity.node.name)")
        case .refused(let why): note("script", "\(order.label) refuses on \(activity.node.name): \(why)")
        }
        leave(activity)
        activity.report = report
        for tell in activity.onEnd { tell(report) }
        activity.onEnd = []
    }

    /// Takes the lock of the member's data; refuses where another script has it.
    func takesData(_ activity: Activity) -> Bool {
        guard activity.node.worker == nil else {
            end(activity, .refused("another step of pawl is at work on the data"))
            return false
        }
        activity.node.worker = activity
        return true
    }

    private func leave(_ activity: Activity) {
        let node = activity.node
        node.activities.removeAll { $0 === activity }
        if node.worker === activity { node.worker = nil }
    }

    func next(_ activity: Activity, in milliseconds: Int) {
        activity.phase += 1
        go(on: activity, in: milliseconds)
    }

    // MARK: - Service

    private func stop(_ activity: Activity, mustBeClean: Bool) {
        let (node, order) = (activity.node, activity.order)
        switch activity.phase {
        case 0:
            if !node.member.isRunning {
                if let hold = node.hold, hold.run == order.run, hold.isClean { return end(activity, .done) }
                if mustBeClean, node.member.end != .clean, weakness != .skipCleanStopProof {
                    return end(activity, .refused("etcd is stopped already, and how it ended is not known"))
                }
            }
            let held = node.hold.flatMap { $0.run == order.run ? $0.foundUp : nil }
            node.hold = Node.Hold(run: order.run, foundUp: held ?? node.member.isRunning)
            next(activity, in: between(20, 200))
        case 1:
            guard node.member.isRunning else {
                let isClean = node.member.end == .clean || weakness == .skipCleanStopProof
                node.hold?.isClean = isClean
                return end(activity, isClean || !mustBeClean ? .done : .refused("etcd did not stop cleanly"))
            }
            checkStop(of: node, by: order)
            // A process that hangs is killed by systemd after its time.
            stopEtcd(on: node, clean: !chance(odds.script * 5))
            node.member.stoppedBy = order.run
            next(activity, in: between(20, 1500))
        default:
            let isClean = node.member.end == .clean || weakness == .skipCleanStopProof
            node.hold?.isClean = isClean
            if node.member.isRunning { return end(activity, .refused("etcd runs again after it was stopped")) }
            end(activity, isClean || !mustBeClean ? .done : .refused("etcd did not stop cleanly"))
        }
    }

    private func start(_ activity: Activity) {
        let node = activity.node
        switch activity.phase {
        case 0:
            if node.member.isRunning, node.hold == nil { return end(activity, .done) }
            node.hold = nil
            next(activity, in: between(10, 100))
        case 1:
            startEtcd(on: node, by: .pawl)
            next(activity, in: between(200, 900))
        default: end(activity, node.member.isRunning ? .done : .refused("etcd did not start"))
        }
    }

    private func unstop(_ activity: Activity) {
        let node = activity.node
        if activity.phase == 0, let hold = node.hold, hold.run == activity.order.run, !hold.foundUp {
            node.hold = nil
            node.member.stoppedBy = nil
            return end(activity, .done)
        }
        start(activity)
    }

    private func writers(_ activity: Activity, _ wanted: Node.Writers) {
        if activity.phase == 0 {
            activity.node.writers = .unclear
            return next(activity, in: between(50, 800))
        }
        activity.node.writers = wanted
        end(activity, .done)
    }

    // MARK: - Backup

    private func backup(_ activity: Activity) {
        let (node, order) = (activity.node, activity.order)
        switch activity.phase {
        case 0:
            if let worker = node.worker, worker !== activity { return go(on: activity, in: 500) }
            node.worker = activity
            if node.member.isRunning { return end(activity, .refused("etcd runs on the data")) }
            if let old = node.backup(of: order.run) {
                let saved = node.backups[old]
                if saved.wal == node.member.wal, saved.snapshots == node.member.snapshots {
                    return end(activity, .done)
                }
                if saved.note != nil {
                    return end(activity, .refused("a migration has begun on the data of the backup"))
                }
            }
            node.backups.removeAll { $0.run == order.run && $0.isPartial }
            node.backups.append(
                .init(run: order.run, db: node.member.db, wal: node.member.wal, snapshots: node.member.snapshots)
            )
            next(activity, in: between(200, 3000))
        default:
            guard let partial = node.backups.lastIndex(where: { $0.run == order.run && $0.isPartial }) else {
                return end(activity, .refused("the copy is gone"))
            }
            if node.isFull { return end(activity, .refused("the disk is full")) }
            let saved = node.backups[partial]
            if node.member.isRunning || saved.wal != node.member.wal || saved.db != node.member.db {
                return end(activity, .refused("the data changed while it was copied"))
            }
            if saved.db.truth != .original { violate("\(order.step) backs up data of \(node.name) that was changed") }
            node.backups[partial].isPartial = false
            end(activity, .done)
        }
    }

    // MARK: - Migrate

    private func migrate(_ activity: Activity) {
        switch activity.phase {
        case 0: checkBeforeMigration(activity)
        case 1: if let copy = fittingCopy(activity) { swap(activity, copy) } else { readWAL(activity) }
        case 2: writeHalf(activity)
        case 3: writeRest(activity)
        default: judge(activity)
        }
    }

    private func checkBeforeMigration(_ activity: Activity) {
        let (node, order) = (activity.node, activity.order)
        guard takesData(activity) else { return }
        guard let saved = node.backup(of: order.run) else { return end(activity, .refused("there is no backup")) }
        if node.member.isRunning { return end(activity, .refused("etcd runs on the data")) }
        let backup = node.backups[saved]
        if backup.wal != node.member.wal || backup.snapshots != node.member.snapshots {
            return end(activity, .refused("etcd was started after the backup"))
        }
        if backup.db != node.member.db, weakness != .migrateAgainWithoutRestore {
            putBack(node, backup.db)
            activity.wasRestored = true
        }
        if node.isFull { return end(activity, .refused("cannot write the note beside the backup")) }
        node.backups[saved].note = .init()
        activity.before = backup.db
        next(activity, in: between(20, 100))
    }

    /// The tool reads its own WAL, every entry of it, committed or not, before it asks for the lock of the db.
    private func readWAL(_ activity: Activity) {
        let member = activity.node.member
        activity.source = member.tail ?? raft.store(at: member.wal.last)
        next(activity, in: between(10, 1500))
    }

    private func writeHalf(_ activity: Activity) {
        let node = activity.node
        if node.member.isRunning { return end(activity, .refused("waiting for etcd to close: killed")) }
        checkMigration(on: node, by: activity.order)
        let keys = activity.source?.keys ?? []
        for key in keys.prefix(keys.count / 2) {
            node.member.db.overwrite(.init(revision: key.modified, key: key.name))
        }
        node.member.db.truth = .half
        node.member.dbIdentity += 1
        next(activity, in: between(10, 3000))
    }

    private func writeRest(_ activity: Activity) {
        let node = activity.node
        if node.isFull { return end(activity, .refused("finished transforming keys, exit code 1: no space left")) }
        for key in activity.source?.keys ?? [] {
            node.member.db.overwrite(.init(revision: key.modified, key: key.name))
        }
        let index = node.member.wal.last + (node.member.wal.hasTail ? 1 : 0)
        node.member.db.consistentIndex = max(node.member.db.consistentIndex, index)
        node.member.db.truth = .migrated
        node.member.dbIdentity += 1
        next(activity, in: between(10, 200))
    }

    /// The offline gate, by the code of the project.
    private func judge(_ activity: Activity) {
        let (node, order) = (activity.node, activity.order)
        guard let saved = node.backup(of: order.run) else { return end(activity, .refused("the backup is gone")) }
        node.backups[saved].note = .init(finished: node.member.dbIdentity)
        do {
            if weakness != .skipOfflineGate {
                let isSame = node.backups[saved].wal == node.member.wal
                let report = report(
                    before: activity.before,
                    after: node.member.db,
                    isWALSame: isSame,
                    isFree: !node.member.isRunning
                )
                _ = try MigrationOutcome.judge(report, baseline: baseline(order.replica.facts))
            }
        } catch {
            return end(activity, .refused(error.message))
        }
        end(activity, .done)
    }

    /// What a script tells of a db that it migrated.
    func report(before: Database, after: Database, isWALSame: Bool, isFree: Bool) -> NodeReport {
        NodeReport(
            CommandResult(
                exitCode: 0,
                standardOutput: Array(
                    """
                    code=0
                    last=finished transforming keys
                    lock=\(isFree ? "free" : "held")
                    wal_same=\(isWALSame ? "yes" : "no")
                    snap_same=yes
                    before={"revision":\(before.revision == 1 ? 0 : before.revision),"totalKey":\(before.totalKey)}
                    after={"revision":\(after.revision),"totalKey":\(after.totalKey)}
                    index_before=\(before.consistentIndex > 0 ? "yes" : "no")
                    """.utf8
                ),
                standardError: [],
                duration: .zero
            )
        )
    }

    func baseline(_ facts: Facts) -> MigrationBaseline {
        MigrationBaseline(
            maxIndex: facts.baseline?.newestIndex,
            keys: facts.baseline?.keys.count,
            ttlKeys: facts.baseline?.ttlKeys
        )
    }

    // MARK: - Restore

    private func putBack(_ node: Node, _ db: Database) {
        node.member.db = db
        node.member.dbIdentity += 1
        if db.truth == .original { books.migrations[node.index] = nil }
    }

    private func restore(_ activity: Activity, _ kind: Order.RestoreKind) {
        let (node, order) = (activity.node, activity.order)
        if activity.phase == 0 {
            guard node.worker == nil else { return end(activity, .refused("another step of pawl is at work")) }
            node.worker = activity
            return next(activity, in: between(20, 500))
        }
        if node.member.isRunning { return end(activity, .refused("etcd runs on the data")) }
        if kind == .readd { return readd(activity) }
        guard let saved = node.backup(of: order.run) else { return end(activity, .refused("there is no backup")) }
        let backup = node.backups[saved]
        if kind == .full, backup.wal != node.member.wal {
            return end(activity, .refused("etcd was started meanwhile"))
        }
        if kind != .nothing {
            if backup.snapshots != node.member.snapshots {
                return end(activity, .refused("the snapshots are not those of the backup"))
            }
            if node.isFull { return end(activity, .refused("cannot write the db back")) }
            putBack(node, backup.db)
        }
        if node.member.db != backup.db { return end(activity, .refused("the db is not the backup's")) }
        node.backups[saved].note = nil
        books.migrations[node.index] = nil
        end(activity, .done)
    }

    /// The member leaves the cluster and comes back empty, to get everything from the leader.
    private func readd(_ activity: Activity) {
        let node = activity.node
        // The leader must be one that is as it was before: a snapshot of another would bring the migration back.
        guard
            let leader = members.first(where: {
                $0 !== node && $0.member.isRunning && $0.member.cache.truth == .original
            })
        else {
            books.isBeyondModel = true
            return end(activity, .refused("no other member is as it was before the run"))
        }
        raft.leader = leader.index
        node.member.db = leader.member.cache
        node.member.dbIdentity += 1
        node.member.snapshots += 1
        node.member.wal = .init(starts: node.member.wal.starts + 1, last: raft.last)
        node.member.tail = nil
        if node.member.db.truth == .original { books.migrations[node.index] = nil }
        for index in node.backups.indices { node.backups[index].note = nil }
        end(activity, .done)
    }

    // MARK: - What the node shows of a migration

    /// What ``Migration/inspectCommand(etcdctl:thorough:timeout:)`` finds.
    func state(of node: Node, run: Int) -> MigrationState? {
        guard let saved = node.backup(of: run) else { return nil }
        let backup = node.backups[saved]
        let (before, after) = (backup.db, node.member.db)
        let isAsMigrated = backup.note?.finished == node.member.dbIdentity
        return MigrationState(
            isBusy: node.worker != nil,
            isRunning: node.member.isRunning,
            isWALUnchanged: backup.wal == node.member.wal && !node.member.isRunning,
            areSnapshotsUnchanged: backup.snapshots == node.member.snapshots,
            areSnapshotNamesUnchanged: backup.snapshots == node.member.snapshots,
            database: before == after ? .equal : .differs,
            hasBegun: backup.note != nil,
            isAsMigrated: isAsMigrated,
            before: isAsMigrated ? .init(revision: before.revision, totalKey: before.totalKey) : nil,
            after: isAsMigrated ? .init(revision: after.revision, totalKey: after.totalKey) : nil,
            hadIndex: before.consistentIndex > 0
        )
    }
}
