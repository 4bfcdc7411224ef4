// SPDX-License-Identifier: Apache-2.0

/// A key of the v2 store, with the index of its last change.
struct V2Key: Equatable {
    var name: Int
    var modified: Int
    var expires: Int?
}

/// A member's v2 store as it is after an entry of the log.
struct V2Store {
    var keys: [V2Key]
    /// `X-Etcd-Index`, which each restart of a member raises, too.
    var index: Int
    /// Grows with each change of a user's key: stores of the same version have the same fingerprint.
    var version: Int

    var newestIndex: Int { keys.reduce(0) { max($0, $1.modified) } }
    var ttlKeys: Int { keys.reduce(0) { $0 + ($1.expires == nil ? 0 : 1) } }
}

/// What an entry of the log does.
enum EntryKind {
    case v2
    /// A v3 put of this key.
    case v3(Int)
    /// A member publishes its name when it starts: a write to v2 that no user sees.
    case publish
}

/// The log that the members share, and the v2 store that each prefix of it makes.
///
/// Members that run and are connected have all committed entries; a stopped one has a prefix.
struct Raft {
    private(set) var kinds: [EntryKind] = []
    private var stores: [V2Store]
    /// For each entry, the place of the store that it leaves.
    private var storeAfter: [Int] = []
    private var versions = 0
    var leader = 0

    init(keys: [V2Key]) {
        stores = [V2Store(keys: keys, index: keys.last?.modified ?? 0, version: 0)]
    }

    var last: Int { kinds.count }
    var store: V2Store { store(at: last) }

    func store(at index: Int) -> V2Store { index == 0 ? stores[0] : stores[storeAfter[index - 1]] }

    mutating func append(_ kind: EntryKind, _ change: ((inout V2Store) -> Void)? = nil) {
        if let change { stores.append(changed(change)) }
        kinds.append(kind)
        storeAfter.append(stores.count - 1)
    }

    /// The store as it would be with a change that was never committed.
    mutating func changed(_ change: (inout V2Store) -> Void) -> V2Store {
        var store = store
        store.index += 1
        let before = store.keys
        change(&store)
        if store.keys != before {
            versions += 1
            store.version = versions
        }
        return store
    }
}

/// The file `member/snap/db`.
struct Database: Equatable {
    struct Pair: Equatable {
        var revision: Int
        var key: Int
    }

    /// What the file really is, whatever anybody believes of it.
    enum Truth {
        case original, half, migrated
    }

    /// By revision.
    var pairs: [Pair] = []
    var consistentIndex = 0
    var truth = Truth.original

    static func == (left: Database, right: Database) -> Bool {
        left.consistentIndex == right.consistentIndex && left.pairs == right.pairs
    }

    var revision: Int { pairs.last?.revision ?? 1 }
    /// Keys of all buckets, etcd's own included.
    var totalKey: Int { pairs.count + 3 + (consistentIndex > 0 ? 1 : 0) }

    func hash(at revision: Int) -> Int {
        var hash = 17
        for pair in pairs where pair.revision <= revision { hash = (hash &* 31 &+ pair.revision) &* 31 &+ pair.key }
        return hash
    }

    func count(at revision: Int) -> Int { pairs.reduce(0) { $0 + ($1.revision <= revision ? 1 : 0) } }

    func contains(_ key: Int) -> Bool { pairs.contains { $0.key == key } }

    /// What `etcdctl migrate` does with a key: a put at the key's own index, over whatever is at this revision.
    mutating func overwrite(_ pair: Pair) {
        let place = pairs.firstIndex { $0.revision >= pair.revision } ?? pairs.count
        if place < pairs.count, pairs[place].revision == pair.revision {
            pairs[place] = pair
        } else {
            pairs.insert(pair, at: place)
        }
    }
}

/// A member of etcd: its files and, while it runs, what its process holds.
struct Member {
    /// What names, sizes and times of the WAL files show.
    struct WALStamp: Equatable {
        var starts = 0
        var last = 0
        var hasTail = false
    }

    enum End {
        case clean, unclean
        /// Nothing is known: it did not run since the node was booted.
        case unknown
    }

    var wal = WALStamp()
    /// The v2 store with an entry in the WAL that was never committed.
    var tail: V2Store?
    /// Grows with each `.snap` file.
    var snapshots = 1
    var db = Database()
    /// What the file system shows of the db: a new one each time that it is written.
    var dbIdentity = 1
    /// What the process holds, of which the newest batch is not on disk yet.
    var cache = Database()
    var isRunning = true
    var end = End.unknown
    /// How it ended the last time, whether anybody knows or not.
    var wasStoppedCleanly = true
    /// When it last stopped.
    var downSince = 0
    /// The run that stopped it, until it runs again.
    var stoppedBy: Int?

    mutating func apply(_ kind: EntryKind, index: Int) {
        wal.last = index
        guard index > cache.consistentIndex else { return }
        if case .v3(let key) = kind {
            db = cache
            dbIdentity += 1
            cache.pairs.append(.init(revision: cache.revision + 1, key: key))
        }
        cache.consistentIndex = index
    }

    /// The process starts: it loads the db, brings it forward from its own WAL, and then gets what it missed.
    mutating func start(_ raft: Raft) {
        isRunning = true
        stoppedBy = nil
        cache = db
        wal.starts += 1
        (tail, wal.hasTail) = (nil, false)
        var index = min(cache.consistentIndex, wal.last)
        while index < raft.last {
            index += 1
            apply(raft.kinds[index - 1], index: index)
        }
    }

    /// A clean end flushes everything; after a kill the newest batch may be missing from the db.
    mutating func stop(clean: Bool, isFlushed: Bool, at now: Int) {
        guard isRunning else { return }
        isRunning = false
        end = clean ? .clean : .unclean
        wasStoppedCleanly = clean
        downSince = now
        if clean || isFlushed {
            if db != cache { dbIdentity += 1 }
            db = cache
        }
    }
}
