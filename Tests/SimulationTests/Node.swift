// SPDX-License-Identifier: Apache-2.0

import Rollout

/// A machine of the simulated world: what is on its disk, what its memory holds, and what runs on it.
final class Node {
    enum Writers {
        case open, frozen, unclear
    }

    /// The file `lock`.
    struct Lock: Equatable {
        var token: Int
        /// The controller's process, and the machine that it is on.
        var process: Int
        var home: Int
        var since: Int
    }

    /// The file `run`.
    struct Replica {
        var run: Int
        var token: Int
        var sequence: Int
        var step: StepID
        var attempt: Int
        var records: [HistoryEntry]
        var facts: Facts
        var isOpen = true
        /// Its rollback has begun.
        var isRollingBack = false
    }

    struct Backup {
        var run: Int
        var db: Database
        var wal: Member.WALStamp
        var snapshots: Int
        var isPartial = true
        var note: MigrationNote?
    }

    /// The file `migration` in a backup.
    struct MigrationNote {
        /// The db as the tool left it, once it has ended well.
        var finished: Int?
    }

    /// A migration that was made on a copy, beside the data.
    struct Copy {
        var run: Int
        /// What tells the file from any other.
        var identity: Int
        /// The entry of the log that its WAL ends with.
        var lastIndex: Int
        /// The db that it was made from.
        var before = Database()
        var db = Database()
        /// It was proven, and the note of it is on the disk.
        var isWhole = false
    }

    /// Who holds the service down, and how it ended.
    struct Hold {
        var run: Int
        /// Whether the service ran when the run came to it.
        var foundUp: Bool
        var isClean = false
    }

    let index: Int
    let name: String
    /// Whether it runs a member of etcd; otherwise it runs clients that write.
    let isMember: Bool

    // On disk.
    var member = Member()
    var backups: [Backup] = []
    var copies: [Copy] = []
    var copiesMade = 0
    var token = 0
    var lock: Lock?
    var replica: Replica?
    var isFull = false
    var hold: Hold?
    /// By name; each is begun once.
    var jobs: [Order.Job: Activity] = [:]

    // Until the node is booted again.
    var writers = Writers.open
    var activities: [Activity] = []
    /// The activity that holds the data's lock.
    var worker: Activity?

    var isUp = true
    /// Until when nothing on it goes on, as when its VM is paused.
    var pausedUntil = 0
    /// Homes that cannot reach it, a bit each, and until when.
    var unreachableFrom = 0
    var unreachableUntil = 0
    /// The highest turn that has come of each step.
    var turns: [Order.Turns: Int] = [:]

    init(index: Int, name: String, isMember: Bool) {
        (self.index, self.name, self.isMember) = (index, name, isMember)
    }

    /// What the fence asks: whether the lock is of who gives the order.
    func isLocked(for order: Order) -> Bool { lock?.token == order.token && lock?.process == order.process }

    /// They go with the run.
    func forgetTurns(of run: Int) { turns = turns.filter { $0.key.run != run } }

    func isReachable(from home: Int, at now: Int) -> Bool {
        isUp && pausedUntil <= now && (unreachableUntil <= now || unreachableFrom & (1 << home) == 0)
    }

    func copy(of run: Int) -> Int? { copies.lastIndex { $0.run == run && $0.isWhole } }

    func backup(of run: Int) -> Int? { backups.lastIndex { $0.run == run && !$0.isPartial } }
}

/// What a run has found out and records beside its steps.
struct Facts {
    /// The v2 store at the freeze: its version stands for the fingerprint.
    var baseline: V2Store?
    var migratedRevision: [Int?] = []
    var migratedKeys: [Int?] = []
    /// The identity of each member's prepared copy.
    var copies: [Int?] = []

    func isMigrated(_ host: Int) -> Bool { host < migratedRevision.count && migratedRevision[host] != nil }
}

/// A script at work on a node.
///
/// It goes on when the controller or the connection is gone.
final class Activity {
    unowned let node: Node
    let order: Order
    var phase = 0
    var report: Report?
    var onEnd: [(Report?) -> Void] = []
    /// What `etcdctl migrate` has read, and what it still has to write.
    var source: V2Store?
    var wasRestored = false
    var before = Database()

    init(node: Node, order: Order) { (self.node, self.order) = (node, order) }
}

/// What a script said in its end.
enum Report {
    case done
    /// It refused, or failed, and says why.
    case refused(String)
}

/// A mutating command, on its way to a node.
struct Order {
    enum Work: Equatable {
        case stop(mustBeClean: Bool)
        case prepare, unprepare
        case start, unstop, backup, migrate
        case restore(RestoreKind)
        case freeze, unfreeze
    }

    enum RestoreKind {
        case nothing, full, databaseOnly, readd
    }

    var work: Work
    var host: Int
    var step: StepID
    var attempt: Int
    var run: Int
    var token: Int
    var process: Int
    /// How many times the step was to be done or taken back so far.
    var turn: Int
    var replica: Node.Replica

    struct Job: Hashable {
        var run: Int
        var step: StepID
        var attempt: Int
        var isUndo: Bool
    }

    var isUndo: Bool {
        switch work {
        case .restore, .unstop, .unfreeze, .unprepare, .stop(mustBeClean: false): true
        default: false
        }
    }

    /// What the turns of a node are told apart by.
    struct Turns: Hashable {
        var host: Int
        var run: Int
        var step: StepID
    }

    var turns: Turns { Turns(host: host, run: run, step: step) }
    var job: Job { Job(run: run, step: step, attempt: attempt, isUndo: isUndo) }
    var effect: Books.Effect { .init(step: step, run: run, isUndo: isUndo) }
    /// What it takes back, or what would take it back.
    var opposite: Books.Effect { .init(step: step, run: run, isUndo: !isUndo) }
    var label: String { "\(isUndo ? "the undo of " : "")\(step) #\(attempt)" }

    /// Runs as a job, which a new connection attaches to.
    var isJob: Bool {
        switch work {
        case .prepare, .backup, .migrate, .restore: true
        default: false
        }
    }
}
