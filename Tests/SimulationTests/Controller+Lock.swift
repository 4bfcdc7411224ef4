// SPDX-License-Identifier: Apache-2.0

import Rollout

// The lock on the nodes: what `LockClaim` decides, done as docs/design/lock.md has it.
extension Controller {
    private struct Reading {
        var token: Int
        var lock: Node.Lock?
    }

    func takeLock() {
        let world = world
        var readings: [String: Reading] = [:]
        var left = world.nodes.count
        for node in world.nodes {
            world.look(at: node, from: self) { node in
                Reading(token: node.token, lock: self.current(node))
            } then: { [weak self] seen in
                guard let self, isAlive else { return }
                readings[node.name] = seen
                left -= 1
                if left == 0 { decide(readings) }
            }
        }
    }

    private func current(_ node: Node) -> Node.Lock? {
        if world.weakness == .lockExpires, let lock = node.lock, lock.since < world.now - 15_000 { return nil }
        return node.lock
    }

    private func decide(_ readings: [String: Reading]) {
        guard !isKilledHere() else { return }
        let holders = readings.values.compactMap(\.lock)
        if command != .unlock, holders.contains(where: { !isProvenDead($0) }) { return leave(.locked) }
        var members = Set(world.nodes.filter(\.isMember).map(\.name))
        if world.weakness == .lockWithoutMajority { members = Set(members.sorted().prefix(1)) }
        var claim = LockClaim(
            run: "run",
            nonce: "\(process)",
            nodes: members,
            sights: readings.reduce(into: [:]) { sights, reading in
                sights[reading.key] = LockClaim.Sight(
                    rank: reading.key,
                    token: reading.value.token,
                    holder: reading.value.lock?.holder
                )
            }
        )
        token = claim.claim.token
        granted = [:]
        for holder in holders { world.books.ended.insert(holder.token) }
        let directives = claim.begin()
        self.claim = claim
        follow(directives, over: readings)
    }

    /// A holder of this machine whose process is gone.
    private func isProvenDead(_ lock: Node.Lock) -> Bool {
        guard command != .run, lock.home == home.index else { return false }
        return !world.controllers.contains { $0.process == lock.process }
    }

    private func follow(_ directives: [LockClaim.Directive], over readings: [String: Reading]) {
        for directive in directives {
            switch directive {
            case .take(let name, let replaced):
                take(name, replacing: replaced) { [weak self] answer in self?.told(answer, by: name, readings) }
            case .giveBack(let name):
                giveBack(name) { [weak self] answer in self?.told(answer, by: name, readings) }
            case .finish(let result): finish(result, readings)
            }
        }
    }

    private func told(_ answer: LockClaim.Answer, by name: String, _ readings: [String: Reading]) {
        guard !isKilledHere(), var claim else { return }
        let directives = claim.handle(answer, from: name)
        self.claim = claim
        follow(directives, over: readings)
    }

    private func finish(_ result: LockClaim.Result, _ readings: [String: Reading]) {
        switch result {
        case .held: takeOthers(readings)
        case .lost: giveUp(.locked)
        case .tooFew: giveUp(.unreachable)
        case .stale:
            lockRounds += 1
            if lockRounds < 3 { takeLock() } else { giveUp(.locked) }
        }
    }

    private func giveUp(_ exit: Exit) {
        world.books.ended.insert(token)
        leave(exit)
    }

    /// Hosts beside the cluster have no vote, and a no of one of them is a no.
    private func takeOthers(_ readings: [String: Reading]) {
        let others = world.nodes.filter { !$0.isMember && readings[$0.name] != nil }
        var left = others.count
        var isRefused = false
        if left == 0 { return hold() }
        for node in others {
            take(node.name, replacing: readings[node.name]?.lock?.holder) { [weak self] answer in
                guard let self, isAlive else { return }
                switch answer {
                case .held, .behind: isRefused = true
                default: break
                }
                left -= 1
                if left == 0 { if isRefused { release(.locked) } else { hold() } }
            }
        }
    }

    private func hold() {
        guard !isKilledHere() else { return }
        isHolding = true
        let held = world.nodes.count { $0.isMember && $0.lock?.token == token && $0.lock?.process == process }
        world.note(label, "holds the lock with token \(token) on \(held) members")
        world.checkHolder(self)
        goOn()
    }

    // MARK: - One node

    /// Taken only where it is free or the one that is replaced, and where no higher token has been.
    private func take(
        _ name: String,
        replacing replaced: LockClaim.Holder?,
        then: @escaping (LockClaim.Answer) -> Void
    ) {
        guard let node = world.nodes.first(where: { $0.name == name }) else { return }
        let lock = Node.Lock(token: token, process: process, home: home.index, since: world.now)
        var answer = LockClaim.Answer.taken
        var replica: Node.Replica?
        world.change(node, from: self) { [unowned self] node in
            let holder = current(node)?.holder
            replica = node.replica
            if holder == lock.holder { return true }
            if let holder, holder != replaced {
                answer = .held(holder)
            } else if node.token >= lock.token {
                answer = .behind
            } else {
                (node.token, node.lock) = (lock.token, lock)
            }
            return true
        } then: { [weak self] in
            // A command of whoever was replaced may have been about to write.
            if $0 == true, answer == .taken, replaced == nil { self?.granted[name] = .some(replica) }
            then($0 == true ? answer : .inDoubt)
        }
    }

    private func giveBack(_ name: String, then: @escaping (LockClaim.Answer) -> Void) {
        guard let node = world.nodes.first(where: { $0.name == name }) else { return }
        world.change(node, from: self) { [token, process] node in
            if node.lock?.token == token, node.lock?.process == process { node.lock = nil }
            return true
        } then: {
            then($0 == true ? .givenBack : .inDoubt)
        }
    }

    /// Removes the files that are this controller's own, and ends.
    func release(_ exit: Exit) {
        guard !isKilledHere() else { return }
        isHolding = false
        world.books.ended.insert(token)
        var left = world.nodes.count
        for node in world.nodes {
            giveBack(node.name) { [weak self] _ in
                left -= 1
                if left == 0 { self?.leave(exit) }
            }
        }
    }
}

extension Node.Lock {
    /// The lock as `LockClaim` sees it; a run may be resumed by two, which only their processes tell apart.
    fileprivate var holder: LockClaim.Holder { .init(run: "run", token: token, nonce: "\(process)") }
}
