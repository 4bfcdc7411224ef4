// SPDX-License-Identifier: Apache-2.0

import Etcd
import Rollout

// What the engine does: hands events to the machine, performs its directives, writes intents and outcomes.
extension Controller {
    func deliver(_ event: Event) {
        guard !isKilledHere() else { return }
        world.note(label, "<- \(event.text)")
        guard let directives = machine?.handle(event) else { return }
        for directive in directives {
            guard isAlive else { return }
            perform(directive)
        }
    }

    private func post(_ event: Event, in milliseconds: Int = 1) {
        world.after(milliseconds) { [weak self] in
            guard let self, isAlive else { return }
            deliver(event)
        }
    }

    private func perform(_ directive: Directive) {
        switch directive {
        case .enterStage: break
        case .announce: break
        case .observeQuorum(let id): countQuorum(id)
        case .recordIntent(let id, let attempt):
            if world.weakness == .intentAfterEffect { return post(.intentRecorded(id)) }
            record(.init(step: id, attempt: attempt, kind: .intent), then: .intentRecorded(id))
        case .perform(let id, let attempt):
            hasPerformed = true
            perform(id, attempt)
        case .recordOutcome(let id, let attempt, let outcome):
            if world.weakness == .intentAfterEffect {
                journal?.records.append(.init(step: id, attempt: attempt, kind: .intent))
            }
            record(.init(step: id, attempt: attempt, kind: .outcome(outcome)), then: .outcomeRecorded(id))
        case .observe(let id): observe(id)
        case .recordUndoIntent(let id, let attempt):
            record(.init(step: id, attempt: attempt, kind: .undoIntent), then: .undoIntentRecorded(id))
        case .undo(let id, let attempt): undo(id, attempt: attempt)
        case .recordUndoOutcome(let id, let attempt, let outcome):
            record(.init(step: id, attempt: attempt, kind: .undoOutcome(outcome)), then: .undoOutcomeRecorded(id))
        case .finish(let verdict): finish(verdict)
        }
    }

    private func finish(_ verdict: Verdict) {
        world.note(label, verdict.word)
        if case .done = verdict {
            if hasPerformed { world.checkSuccess(self) }
            (world.books.claimed, world.books.claimedAt) = (run, world.raft.last)
        }
        conclude(verdict)
    }

    // MARK: - The journal

    /// Writes a record; the process may be killed before or after it, and the disk may be full.
    func record(_ entry: HistoryEntry, then event: Event) {
        guard !isKilledHere() else { return }
        if home.isFull || world.chance(world.odds.journal) {
            world.note(label, "cannot write to its journal")
            return post(.journalFailed("no space left on device"))
        }
        journal?.records.append(entry)
        world.note(label, "journal: \(entry.kind.word) \(entry.step) #\(entry.attempt)")
        guard !isKilledHere() else { return }
        post(event)
    }

    private func failure(_ id: StepID, _ message: String) -> Failure {
        Failure(step: id, host: world.scenario.steps[id]?.planned.host, message)
    }

    // MARK: - Steps

    private func perform(_ id: StepID, _ attempt: Int) {
        guard let step = world.scenario.steps[id] else { return }
        let work: Order.Work
        switch step.work {
        case .ready, .consistent, .verified, .healthy: return look(step)
        case .freeze: work = .freeze
        case .prepare: work = .prepare
        case .stop: work = .stop(mustBeClean: true)
        case .backup: work = .backup
        case .migrate: work = .migrate
        case .start: work = .start
        }
        send(work, of: step, attempt) { [weak self] outcome in
            guard let self else { return }
            if outcome == .succeeded {
                world.checkClaim(step, run: run, isUndo: false)
                if step.work == .migrate { noteMigrated(step.host ?? 0) }
                if step.work == .prepare { noteCopy(step.host ?? 0) }
            }
            deliver(.ended(id, outcome))
        }
    }

    private func noteMigrated(_ host: Int) {
        guard let journal, let baseline = journal.facts.baseline else { return }
        journal.facts.migratedRevision[host] = max(1, baseline.newestIndex)
        journal.facts.migratedKeys[host] = baseline.keys.count
    }

    /// What the script told of the copy that it made, or that was found.
    private func noteCopy(_ host: Int) {
        let node = world.nodes[host]
        journal?.facts.copies[host] = node.copy(of: run).map { node.copies[$0].identity }
    }

    func send(_ work: Order.Work, of step: Scenario.Step, _ attempt: Int, then: @escaping (Outcome) -> Void) {
        guard let journal, let host = step.host else { return }
        let id = step.planned.id
        let replica = Node.Replica(
            run: run,
            token: token,
            sequence: journal.records.count,
            step: id,
            attempt: attempt,
            records: journal.records,
            facts: journal.facts,
            isRollingBack: journal.isRollingBack
        )
        let order = Order(
            work: work,
            host: host,
            step: id,
            attempt: attempt,
            run: run,
            token: token,
            process: process,
            turn: journal.records.count { $0.step == id && [.intent, .undoIntent].contains($0.kind) },
            replica: replica
        )
        world.send(order, from: self) { [unowned self] answer in
            switch answer {
            case .report(.done): then(.succeeded)
            case .report(.refused(let why)), .fenced(let why), .unreachable(let why): then(.failed(failure(id, why)))
            case .lost(let why): then(.inDoubt(failure(id, why)))
            }
        }
    }

    private func undo(_ id: StepID, attempt: Int) {
        guard let step = world.scenario.steps[id] else { return }
        let then: (Outcome) -> Void = { [weak self] outcome in
            guard let self else { return }
            if outcome == .succeeded { world.checkClaim(step, run: run, isUndo: true) }
            deliver(.undoEnded(id, outcome))
        }
        switch step.work {
        case .freeze: send(.unfreeze, of: step, attempt, then: then)
        case .prepare: send(.unprepare, of: step, attempt, then: then)
        case .stop: send(.unstop, of: step, attempt, then: then)
        case .start: send(.stop(mustBeClean: false), of: step, attempt, then: then)
        case .migrate: restore(step, attempt, then: then)
        default: deliver(.undoEnded(id, .succeeded))
        }
    }

    /// Looks, decides with the code of the project, and restores.
    func restore(_ step: Scenario.Step, _ attempt: Int, tries: Int = 0, then: @escaping (Outcome) -> Void) {
        let id = step.planned.id
        let node = world.nodes[step.host ?? 0]
        world.look(at: node, from: self) { [world, run] node in
            world.state(of: node, run: run)
        } then: { [weak self] seen in
            guard let self else { return }
            guard let seen else { return then(.failed(failure(id, "\(node.name) does not answer"))) }
            guard let state = seen else {
                world.books.effects.insert(.init(step: id, run: run, isUndo: true))
                return then(.succeeded)
            }
            if state.isBusy, tries < 240 {
                return world.after(500) { [weak self] in
                    guard let self, isAlive else { return }
                    restore(step, attempt, tries: tries + 1, then: then)
                }
            }
            let kind: Order.RestoreKind
            switch MigrationRestore.decide(state) {
            case .nothing: kind = .nothing
            case .full: kind = .full
            case .databaseOnly: kind = .databaseOnly
            // The model does not move a db's index; it leaves such a member to a rollback.
            case .indexed(let message), .refused(let message, _): return then(.failed(failure(id, message)))
            }
            send(.restore(kind), of: step, attempt) { [weak self] outcome in
                guard let self else { return }
                if outcome == .succeeded { forgetMigrated(step.host ?? 0) }
                then(outcome)
            }
        }
    }

    private func forgetMigrated(_ host: Int) {
        journal?.facts.migratedRevision[host] = nil
        journal?.facts.migratedKeys[host] = nil
    }

    // MARK: - Looking

    private func countQuorum(_ id: StepID) {
        world.after(world.between(20, 80)) { [weak self] in
            guard let self, isAlive else { return }
            var healthy: Set<String> = []
            var isOthers = false
            for node in world.members {
                guard node.isReachable(from: home.index, at: world.now), node.member.isRunning, world.hasQuorum else {
                    continue
                }
                let isOurs = node.lock?.token == token && node.lock?.process == process
                if !isOurs { isOthers = true }
                if isOurs || world.weakness == .quorumIgnoresLocks { healthy.insert(node.name) }
            }
            world.books.quorumCounted[process] = .init(time: world.now, isOthers: isOthers)
            deliver(.quorumObserved(id, Quorum(voters: world.scenario.members, healthy: healthy)))
        }
    }

    private func observe(_ id: StepID, tries: Int = 0) {
        guard let step = world.scenario.steps[id], let host = step.host else { return }
        if world.weakness == .resumeWithoutLooking { return post(.observed(id, .notBegun("not looked at"))) }
        let node = world.nodes[host]
        world.look(at: node, from: self) { [weak self] node in
            self?.finding(step, node)
        } then: { [weak self] seen in
            guard let self else { return }
            guard let finding = seen ?? nil else {
                return deliver(.observed(id, .unseen("\(node.name) does not answer")))
            }
            if node.worker != nil, tries < 240, step.work == .prepare || step.work == .migrate && finding.isDoubt {
                return world.after(500) { [weak self] in
                    guard let self, isAlive else { return }
                    observe(id, tries: tries + 1)
                }
            }
            if step.work == .migrate, finding == .done { noteMigrated(host) }
            if step.work == .prepare, finding == .done { noteCopy(host) }
            deliver(.observed(id, finding))
        }
    }

    private func finding(_ step: Scenario.Step, _ node: Node) -> Event.Finding {
        let isUp = node.member.isRunning
        switch step.work {
        case .freeze:
            return node.writers == .frozen ? .done : node.writers == .open ? .notBegun("as before") : .inDoubt("half")
        case .stop:
            if !isUp, let hold = node.hold, hold.run == run, hold.isClean { return .done }
            return isUp && node.hold == nil ? .notBegun("etcd runs") : .inDoubt("etcd is not as it was left")
        case .start:
            if isUp, node.hold == nil { return .done }
            if isUp { return .inDoubt("etcd runs, and is held down") }
            return node.hold == nil
                ? .inDoubt("etcd does not run, and is not held down") : .notBegun("etcd does not run")
        case .backup:
            guard let saved = node.backup(of: run) else { return .notBegun("there is no backup") }
            let backup = node.backups[saved]
            if backup.note == nil, backup.wal != node.member.wal || node.member.isRunning {
                return .notBegun("etcd was started since the backup")
            }
            return .done
        case .prepare: return world.copyProblem(on: node, run: run, facts).map { .notBegun($0) } ?? .done
        case .migrate: return migrationFinding(node)
        case .ready, .healthy, .consistent, .verified: return .notBegun("a look")
        }
    }

    private func migrationFinding(_ node: Node) -> Event.Finding {
        guard let state = world.state(of: node, run: run) else { return .notBegun("there is no backup of this run") }
        var recorded: (revision: Int, keys: Int)?
        if let revision = facts.migratedRevision[node.index], let keys = facts.migratedKeys[node.index] {
            recorded = (revision, keys)
        }
        let conclusion = state.conclude(baseline: world.baseline(facts), recorded: recorded)
        if world.weakness == .migrateAgainWithoutRestore, case .inDoubt(let why) = conclusion { return .notBegun(why) }
        switch conclusion {
        case .done:
            let held = node.member.isRunning ? node.member.cache : node.member.db
            if held.truth == .half { world.violate("half a migration of \(node.name) is taken for a whole one") }
            return .done
        case .notBegun(let why): return .notBegun(why)
        case .inDoubt(let why): return .inDoubt(why)
        }
    }

    /// A step that only looks: at one member until it is healthy, or at all of them.
    private func look(_ step: Scenario.Step, tries: Int = 0) {
        let delay = world.between(20, 200)
        world.after(delay) { [weak self] in
            guard let self, !isKilledHere() else { return }
            let problem = problem(step)
            if let problem, step.work == .healthy, tries < 40 {
                world.note(label, "waits: \(problem)")
                return world.after(1000) { [weak self] in
                    guard let self, isAlive else { return }
                    look(step, tries: tries + 1)
                }
            }
            let id = step.planned.id
            if problem == nil, step.work == .verified { world.checkProof(self) }
            deliver(.ended(id, problem.map { .failed(self.failure(id, $0)) } ?? .succeeded))
        }
    }
}

extension Event.Finding {
    fileprivate var isDoubt: Bool {
        if case .inDoubt = self { true } else { false }
    }
}
