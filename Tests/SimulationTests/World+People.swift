// SPDX-License-Identifier: Apache-2.0

import Rollout

// Whoever else has to do with the cluster: operators, clients, machines that fail. And the mending in the end.
extension World {
    @discardableResult
    func startController(_ command: Controller.Command, at home: Home) -> Controller? {
        // The journal's own lock lets one controller at a state directory; unlocking needs no journal.
        if command != .unlock, controllers.contains(where: { $0.home === home && $0.command != .unlock }) { return nil }
        processes += 1
        let controller = Controller(command, at: home, process: processes, in: self)
        controllers.append(controller)
        controller.begin()
        return controller
    }

    /// Every second or so something may happen by itself.
    func letThingsHappen() {
        after(between(100, 2500)) { [unowned self] in
            if isMended { return }
            if chance(odds.signal) { signal() }
            if chance(odds.people) { act() }
            if chance(odds.machines) { breakSomething() }
            if chance(odds.data) { touchData() }
            // People come back to a run that stands still.
            if controllers.isEmpty, !isThawed, chance(200) { act() }
            letThingsHappen()
        }
    }

    /// Clients write, as long as nobody stops them.
    func keepWriting() {
        after(between(3000, 9000)) { [unowned self] in
            let isOpen = nodes.contains { !$0.isMember && $0.isUp && $0.writers != .frozen }
            if isThawed { writeV3("client") } else if isOpen { writeV2("client") }
            keepWriting()
        }
    }

    private func signal() {
        guard let controller = controllers.first(where: { $0.machine != nil }) else { return }
        controller.signals += 1
        note("person", "sends \(controller.label) signal \(controller.signals)")
        controller.deliver(controller.signals == 1 ? .interrupted : .abandoned)
    }

    private func act() {
        let home = homes[chance(700) ? 0 : 1]
        switch pick(12) {
        case 0, 1, 2, 3: startController(home.open == nil ? .resumeFromNodes : .resume, at: home)
        case 4: startController(.resumeFromNodes, at: homes[1])
        case 5: startController(.run, at: home)
        case 6, 7: startController(.unlock, at: home)
        case 8: startController(.rollback, at: home)
        case 9:
            if let controller = controllers.first(where: { _ in chance(500) }) { controller.die() }
        case 10: startEtcd(on: anyMember(), by: .hand)
        default:
            note("person", "makes room on the disk of \(home.name)")
            home.isFull = false
        }
    }

    private func anyMember() -> Node { nodes[pick(scenario.members)] }

    private func breakSomething() {
        let node = nodes[pick(nodes.count)]
        switch pick(10) {
        case 0, 1: kill(node)
        case 2, 3: reboot(node)
        case 4:
            note("machine", "the disk of \(node.name) is full")
            node.isFull = true
            after(between(2000, 30_000)) { node.isFull = false }
        case 5:
            node.pausedUntil = now + between(500, 40_000)
            note("machine", "\(node.name) stands still until \(node.pausedUntil)")
        case 6, 7:
            node.unreachableFrom = 1 + pick(3)
            node.unreachableUntil = now + between(500, 60_000)
            note(
                "machine",
                "\(node.name) cannot be reached from \(node.unreachableFrom) until \(node.unreachableUntil)"
            )
        case 8:
            let home = homes[pick(2)]
            note("machine", "the disk of \(home.name) is full")
            home.isFull = true
            after(between(2000, 30_000)) { home.isFull = false }
        default:
            raft.leader = members.first { $0.member.isRunning && $0 !== nodes[raft.leader] }?.index ?? raft.leader
            note("etcd", "\(nodes[raft.leader].name) leads now")
        }
    }

    private func touchData() {
        guard !isThawed else { return writeV3("client") }
        switch pick(6) {
        case 0, 1: writeV2("stray")
        case 2: writeV2("stray", ttl: between(1000, 20_000))
        case 3: deleteV2("stray")
        case 4: writeV3("stray")
        default: sendSnapshot(to: anyMember())
        }
    }

    // MARK: - The end

    /// Faults stop, machines come back, processes that are there end by themselves.
    func mend() {
        note("--", "mended")
        (odds, isMended) = (Odds(), true)
        for home in homes { home.isFull = false }
        for node in nodes {
            node.isFull = false
            (node.unreachableUntil, node.pausedUntil) = (0, 0)
        }
        run(
            until: now + 400_000,
            while: { [unowned self] in
                !controllers.isEmpty || nodes.contains { !$0.isUp || !$0.activities.isEmpty }
            }
        )
        startWhatIsNotHeld()
        for node in nodes where !node.isMember && books.isFrozen { node.writers = .frozen }
    }

    private func startWhatIsNotHeld() {
        for node in members where !node.member.isRunning && node.hold == nil { startEtcd(on: node, by: .hand) }
    }

    /// What an operator does who reads what pawl says: resume; where that cannot be, roll back and run anew.
    func bringToEnd() {
        for round in 0..<8 where violations.isEmpty {
            // Once more forward; then back, and anew.
            let exit = finishOnce(mayRollBack: round > 0 || books.isDataStrange)
            switch exit {
            case .verdict("done"): return checkEnd()
            case .nothingToDo where isThawed: return checkEnd()
            default: run(until: now + 5000)
            }
        }
        // Nothing but a person can put these stores right; what counts is that nobody calls them right.
        if books.isV3Strange || books.isBeyondModel { return }
        if violations.isEmpty {
            violate("mended, and the run did not come to its end: \(lastExit.map { "\($0)" } ?? "stuck")")
        }
    }

    private func finishOnce(mayRollBack: Bool) -> Controller.Exit? {
        if nodes.contains(where: { $0.lock != nil }) { _ = perform(.unlock, at: homes[0]) }
        startWhatIsNotHeld()
        let isOpenOnNodes = !Controller.open(nodes.map(\.replica)).isEmpty
        let command: Controller.Command = homes[0].open != nil ? .resume : isOpenOnNodes ? .resumeFromNodes : .run
        if command == .run, isThawed { return .nothingToDo }
        var exit = perform(command, at: homes[0])
        if exit == .drift {
            homes[0].journals.removeAll { $0.isOpen }
            exit = perform(.resumeFromNodes, at: homes[0])
            if exit == .nothingToDo { return exit }
        }
        guard exit != .verdict("done"), mayRollBack, homes[0].open != nil else { return exit }
        return perform(.rollback, at: homes[0])
    }

    private func perform(_ command: Controller.Command, at home: Home) -> Controller.Exit? {
        guard let controller = startController(command, at: home) else { return nil }
        run(until: now + 900_000, while: { controller.isAlive })
        return controller.exit
    }

    private func checkEnd() {
        for node in members where node.member.isRunning { checkNothingLost(on: node) }
        let first = nodes[0].member.cache
        for node in members where !node.member.isRunning || node.member.cache.pairs != first.pairs {
            violate("in the end \(node.name) is not as n1 is")
        }
        for node in nodes where node.lock != nil { violate("in the end there is a lock on \(node.name)") }
    }

    /// Lets go of what holds each other.
    func finish() {
        for node in nodes {
            node.activities = []
            node.worker = nil
            node.jobs = [:]
        }
        controllers = []
        forget()
    }
}
