// SPDX-License-Identifier: Apache-2.0

import Etcd
import Rollout

// Migrations that are made on copies while the members serve, and swapped in when these are stopped.
extension World {
    func prepare(_ activity: Activity) {
        switch activity.phase {
        case 0: copyWAL(activity)
        case 1: migrateCopy(activity)
        default: proveCopy(activity)
        }
    }

    private func copyWAL(_ activity: Activity) {
        let (node, order) = (activity.node, activity.order)
        guard takesData(activity) else { return }
        guard node.member.isRunning else {
            return end(activity, .refused("etcd does not run, and is asked for a copy"))
        }
        if node.isFull { return end(activity, .refused("the disk is full")) }
        node.copies.removeAll { $0.run == order.run }
        node.copiesMade += 1
        node.copies.append(.init(run: order.run, identity: node.copiesMade, lastIndex: node.member.wal.last))
        activity.source = raft.store(at: node.member.wal.last)
        next(activity, in: between(20, 500))
    }

    /// The db comes from the running member, a while after the WAL was copied.
    private func migrateCopy(_ activity: Activity) {
        let node = activity.node
        guard let place = unfinishedCopy(activity) else { return end(activity, .refused("the copy is gone")) }
        guard node.member.isRunning else { return drop(activity, "etcd stopped while the copy was made") }
        if node.isFull { return drop(activity, "etcdctl snapshot save failed: no space left") }
        let before = node.member.cache
        var db = before
        for key in activity.source?.keys ?? [] { db.overwrite(.init(revision: key.modified, key: key.name)) }
        db.consistentIndex = max(db.consistentIndex, node.copies[place].lastIndex)
        db.truth = .migrated
        node.copies[place].db = db
        node.copies[place].before = before
        next(activity, in: between(100, 3000))
    }

    /// By the code of the project.
    private func proveCopy(_ activity: Activity) {
        let (node, facts) = (activity.node, activity.order.replica.facts)
        guard let place = unfinishedCopy(activity) else { return end(activity, .refused("the copy is gone")) }
        guard node.member.isRunning else { return drop(activity, "etcd stopped while the copy was made") }
        if let problem = problem(of: node.copies[place], facts) { return drop(activity, problem) }
        node.copies[place].isWhole = true
        end(activity, .done)
    }

    private func problem(of copy: Node.Copy, _ facts: Facts) -> String? {
        if weakness == .skipOfflineGate { return nil }
        do {
            let report = report(before: copy.before, after: copy.db, isWALSame: true, isFree: true)
            _ = try MigrationOutcome.judge(report, baseline: baseline(facts))
            return nil
        } catch {
            return error.message
        }
    }

    /// Why a resumed run cannot use what is beside the data.
    func copyProblem(on node: Node, run: Int, _ facts: Facts) -> String? {
        guard let place = node.copy(of: run) else { return "there is no copy of this run" }
        return problem(of: node.copies[place], facts)
    }

    private func unfinishedCopy(_ activity: Activity) -> Int? {
        activity.node.copies.lastIndex { $0.run == activity.order.run && !$0.isWhole }
    }

    private func drop(_ activity: Activity, _ why: String) {
        activity.node.copies.removeAll { $0.run == activity.order.run }
        end(activity, .refused(why))
    }

    func unprepare(_ activity: Activity) {
        let (node, order) = (activity.node, activity.order)
        guard node.worker == nil else { return end(activity, .refused("another step of pawl is at work on the data")) }
        node.copies.removeAll { $0.run == order.run }
        end(activity, .done)
    }

    // MARK: - Swap

    /// The copy that was recorded, made from a db that has the v3 revision of the member's.
    func fittingCopy(_ activity: Activity) -> Int? {
        let (node, order) = (activity.node, activity.order)
        guard let identity = order.replica.facts.copies[order.host], let place = node.copy(of: order.run) else {
            return nil
        }
        let copy = node.copies[place]
        return copy.identity == identity && copy.before.revision == activity.before.revision ? place : nil
    }

    /// One rename.
    func swap(_ activity: Activity, _ place: Int) {
        let node = activity.node
        if node.member.isRunning { return end(activity, .refused("etcd runs on the data")) }
        checkMigration(on: node, by: activity.order)
        node.member.db = node.copies.remove(at: place).db
        node.member.dbIdentity += 1
        activity.phase = 3
        next(activity, in: between(10, 100))
    }
}
