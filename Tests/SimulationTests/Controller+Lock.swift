// SPDX-License-Identifier: Apache-2.0

// The lock on the nodes, as docs/design/lock.md has it.
extension Controller {
    private struct Reading {
        var token: Int
        var lock: Node.Lock?
    }

    func takeLock() {
        let world = world
        var readings: [Reading?] = Array(repeating: nil, count: world.nodes.count)
        var left = world.nodes.count
        for node in world.nodes {
            world.look(at: node, from: self) { node in
                Reading(token: node.token, lock: self.current(node))
            } then: { [weak self] seen in
                guard let self, isAlive else { return }
                readings[node.index] = seen
                left -= 1
                if left == 0 { decide(readings) }
            }
        }
    }

    private func current(_ node: Node) -> Node.Lock? {
        if world.weakness == .lockExpires, let lock = node.lock, lock.since < world.now - 15_000 { return nil }
        return node.lock
    }

    private func decide(_ readings: [Reading?]) {
        guard !isKilledHere() else { return }
        let members = readings[..<world.scenario.members]
        guard members.count(where: { $0 != nil }) >= world.majority else { return leave(.unreachable) }
        let holders = readings.compactMap { $0?.lock }
        if command != .unlock, holders.contains(where: { !isProvenDead($0) }) { return leave(.locked) }
        token = (readings.compactMap { $0?.token }.max() ?? 0) + 1
        if command == .unlock || !holders.isEmpty {
            for holder in holders { world.books.ended.insert(holder.token) }
        }
        write(to: world.nodes[0], over: readings[0]?.lock) { [weak self] isWritten in
            guard let self, !isKilledHere() else { return }
            guard isWritten == true else {
                // What may have been written all the same is taken back.
                return release(.locked)
            }
            writeOthers(readings)
        }
    }

    /// A holder of this machine whose process is gone.
    private func isProvenDead(_ lock: Node.Lock) -> Bool {
        guard command != .run, lock.home == home.index else { return false }
        return !world.controllers.contains { $0.process == lock.process }
    }

    private func writeOthers(_ readings: [Reading?]) {
        var (written, left) = (1, world.nodes.count - 1)
        if left == 0 { return settle(written) }
        for node in world.nodes.dropFirst() {
            write(to: node, over: readings[node.index]?.lock) { [weak self] isWritten in
                guard let self, isAlive else { return }
                if isWritten == true, node.isMember { written += 1 }
                left -= 1
                if left == 0 { settle(written) }
            }
        }
    }

    private func settle(_ written: Int) {
        guard !isKilledHere() else { return }
        let needed = world.weakness == .lockWithoutMajority ? 1 : world.majority
        guard written >= needed else { return release(.locked) }
        isHolding = true
        world.note(label, "holds the lock with token \(token) on \(written) members")
        world.checkHolder(self)
        goOn()
    }

    /// Taken only where it is as it was read, and where no higher token has been.
    private func write(to node: Node, over read: Node.Lock?, then: @escaping (Bool?) -> Void) {
        let lock = Node.Lock(token: token, process: process, home: home.index, since: world.now)
        world.change(node, from: self) { [unowned self] node in
            guard node.token < lock.token, current(node) == nil || current(node) == read else { return false }
            node.token = lock.token
            node.lock = lock
            return true
        } then: {
            then($0)
        }
    }

    /// Removes the files that are this controller's own, and ends.
    func release(_ exit: Exit) {
        guard !isKilledHere() else { return }
        isHolding = false
        world.books.ended.insert(token)
        var left = world.nodes.count
        for node in world.nodes {
            world.change(node, from: self) { [token, process] node in
                if node.lock?.token == token, node.lock?.process == process { node.lock = nil }
                return true
            } then: { [weak self] _ in
                left -= 1
                if left == 0 { self?.leave(exit) }
            }
        }
    }
}
