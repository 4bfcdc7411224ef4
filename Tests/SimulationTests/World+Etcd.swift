// SPDX-License-Identifier: Apache-2.0

// How etcd behaves: what starts and stops it, who writes, what a snapshot does.
extension World {
    /// Who starts a member.
    enum Starter: String {
        case pawl, boot, systemd, hand
    }

    /// A start, unless the unit is held down.
    ///
    /// - Returns: whether it runs.
    @discardableResult
    func startEtcd(on node: Node, by starter: Starter) -> Bool {
        guard node.isUp, node.isMember, !node.member.isRunning else { return node.member.isRunning }
        if node.hold != nil {
            note(starter.rawValue, "cannot start etcd on \(node.name): it is held down")
            return false
        }
        checkStart(of: node, by: starter)
        node.member.start(raft)
        publish()
        if !nodes[raft.leader].member.isRunning { raft.leader = node.index }
        checkNothingLost(on: node)
        note(starter.rawValue, "etcd starts on \(node.name) with v3 revision \(node.member.cache.revision)")
        return true
    }

    /// A member that starts writes its name: `X-Etcd-Index` grows, and no user's key does.
    private func publish() {
        guard hasQuorum else { return }
        raft.append(.publish) { _ in }
        replicate()
    }

    func stopEtcd(on node: Node, clean: Bool) {
        guard node.member.isRunning else { return }
        if node.index == raft.leader, !isThawed, chance(odds.data) {
            // The leader has an entry that it could give to nobody any more.
            books.isDataStrange = true
            node.member.tail = raft.changed {
                $0.keys.append(V2Key(name: 900 + $0.index, modified: $0.index, expires: nil))
            }
            node.member.wal.hasTail = true
            note("client", "writes to \(node.name), which cannot pass it on")
        }
        node.member.stop(clean: clean, isFlushed: chance(500), at: now)
        note("etcd", "\(clean ? "stops" : "is killed") on \(node.name)")
        if raft.leader == node.index, let next = members.first(where: { $0.member.isRunning }) {
            raft.leader = next.index
        }
    }

    /// Takes the newest entry to every member that runs.
    private func replicate() {
        let index = raft.last
        let kind = raft.kinds[index - 1]
        for node in members where node.member.isRunning { node.member.apply(kind, index: index) }
    }

    // MARK: - Clients

    /// Whether writers may write again because the migration has ended.
    var isThawed: Bool { books.claimed != nil }

    func writeV2(_ who: String, ttl: Int? = nil) {
        guard hasQuorum else { return }
        let number = between(1, 6)
        let expires = ttl.map { now + $0 }
        raft.append(.v2) { store in
            let index = store.index
            store.keys.removeAll { $0.name == number }
            store.keys.append(V2Key(name: number, modified: index, expires: expires))
        }
        replicate()
        note(who, "writes the v2 key k\(number)\(ttl == nil ? "" : " with a TTL") at index \(raft.store.index)")
        if books.isFrozen { books.isDataStrange = true }
        if let ttl { after(ttl + 500) { [unowned self] in self.expire() } }
    }

    func deleteV2(_ who: String) {
        guard hasQuorum, let first = raft.store.keys.first else { return }
        raft.append(.v2) { $0.keys.removeFirst() }
        replicate()
        note(who, "deletes the v2 key k\(first.name)")
        if books.isFrozen { books.isDataStrange = true }
    }

    /// The leader proposes a SYNC: keys whose time is over are gone.
    private func expire() {
        guard raft.store.keys.contains(where: { ($0.expires ?? .max) <= now }) else { return }
        guard hasQuorum else { return after(1000) { [unowned self] in self.expire() } }
        raft.append(.v2) { [now] in $0.keys.removeAll { ($0.expires ?? .max) <= now } }
        replicate()
        note("etcd", "v2 keys expire")
        if books.isFrozen { books.isDataStrange = true }
    }

    /// A put that a client has an answer for.
    func writeV3(_ who: String) {
        guard hasQuorum else { return }
        let key = 1000 + raft.last
        raft.append(.v3(key))
        replicate()
        books.acknowledged.append((key, raft.last))
        note(who, "writes the v3 key \(key) and has its answer")
        if !isThawed { (books.isDataStrange, books.isV3Strange) = (true, true) }
    }

    /// A member that was too far behind gets a snapshot of the leader, which replaces its db.
    func sendSnapshot(to node: Node) {
        let leader = nodes[raft.leader]
        guard node.index != raft.leader, node.member.isRunning, leader.member.isRunning else { return }
        if !isThawed, node.member.cache.pairs != leader.member.cache.pairs {
            (books.isDataStrange, books.isV3Strange) = (true, true)
        }
        node.member.cache = leader.member.cache
        node.member.db = leader.member.cache
        node.member.dbIdentity += 1
        node.member.snapshots += 1
        node.member.wal.last = raft.last
        node.member.wal.starts += 1
        note("etcd", "\(node.name) gets a snapshot from \(leader.name)")
    }

    // MARK: - Machines

    func kill(_ node: Node) {
        guard node.isUp, node.member.isRunning else { return }
        stopEtcd(on: node, clean: false)
        // Restart=on-failure
        after(between(500, 4000)) { [unowned self] in
            if node.isUp, !node.member.isRunning, node.member.end == .unclean { self.startEtcd(on: node, by: .systemd) }
        }
    }

    func reboot(_ node: Node) {
        guard node.isUp else { return }
        note("machine", "\(node.name) goes down")
        node.isUp = false
        if node.member.isRunning { stopEtcd(on: node, clean: false) }
        let killed = node.activities
        node.activities = []
        node.worker = nil
        for activity in killed { lose(activity) }
        after(between(8_000, 40_000)) { [unowned self] in self.boot(node) }
    }

    private func boot(_ node: Node) {
        node.isUp = true
        node.member.end = .unknown
        if weakness == .holdLostAtReboot { node.hold = nil }
        if !node.isMember, node.writers != .open {
            node.writers = .open
            note("machine", "\(node.name) boots, and its clients write again")
        } else {
            note("machine", "\(node.name) boots")
        }
        if node.isMember { startEtcd(on: node, by: .boot) }
    }

    /// What the script was in the middle of stays as it is.
    func lose(_ activity: Activity) {
        activity.phase = -1
        for tell in activity.onEnd { tell(nil) }
        activity.onEnd = []
    }
}
