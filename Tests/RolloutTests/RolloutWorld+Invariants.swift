// SPDX-License-Identifier: Apache-2.0

@testable import Rollout

// What must be true after every event. Nothing here asks the machine: the world's own books are kept.
extension RolloutWorld {
    struct Memory {
        var clock = 0
        var sessionStart = 0
        var isInterrupted = false
        var isAbandoned = false
        /// A step ended without success, or a quorum was refused, in this session.
        var hasFailed = false
        /// Hosts of the play whose data or service was ever changed by the run.
        var changedHosts: Set<String> = []
        /// Whether a change of a unit was ever begun.
        var hasBegunUnit = false
        /// Changes that were begun and not taken back, by host.
        var begun: [String: Set<StepID>] = [:]
        /// Hosts that were in the middle of their steps when the session began.
        var openAtStart: Set<String> = []
        var grants: Set<StepID> = []
        var performed: Set<String> = []
        var gatesPassed: Set<StepID> = []
        var lastGate = 0
        var lastChange: [String: Int] = [:]
        /// When a host's member was last seen to be healthy.
        var provenAt: [String: Int] = [:]
        /// When the last step of a host's unit was last recorded as done.
        var completedAt: [String: Int] = [:]
        /// When the postflight was last seen to succeed.
        var verifiedAt: Int?
        var hasUndoFailed = false

        mutating func beginSession() {
            clock += 1
            sessionStart = clock
            (isInterrupted, isAbandoned, hasFailed, hasUndoFailed) = (false, false, false, false)
            grants = []
        }

        func mayThaw(_ plan: Plan) -> Bool {
            changedHosts.isEmpty || verifiedAt != nil
        }
    }

    mutating func noteChange(_ step: PlannedStep) {
        guard step.phase == .steps, let host = step.host else { return }
        memory.changedHosts.insert(host)
        memory.lastChange[host] = memory.clock
    }

    // MARK: - Events

    mutating func remember(_ event: Event) {
        memory.clock += 1
        switch event {
        case .quorumObserved(let id, let quorum):
            if isAllowed(quorum, id) {
                memory.grants.insert(id)
            } else if !memory.isInterrupted {
                memory.hasFailed = true
            }
        case .ended(let id, .succeeded):
            guard let step = steps[id] else { return }
            if step.phase == .gate {
                memory.gatesPassed.insert(id)
                memory.lastGate = memory.clock
            }
            if step.action == "healthy", let host = step.host { memory.provenAt[host] = memory.clock }
            if step.phase == .postflight { memory.verifiedAt = memory.clock }
        case .ended: memory.hasFailed = true
        case .outcomeRecorded(let id):
            if let step = steps[id], let host = step.host, step.action == "healthy", isDoneInJournal(id) {
                memory.completedAt[host] = memory.clock
            }
        case .observed(let id, .notBegun):
            if !isDoneInJournal(id) { forget(id) }
        case .observed(let id, _):
            guard let step = steps[id], step.phase == .steps, let host = step.host else { return }
            memory.begun[host, default: []].insert(id)
            memory.completedAt[host] = nil
        case .undoEnded(let id, .succeeded):
            memory.begun[steps[id]?.host ?? "", default: []].remove(id)
        case .undoEnded: memory.hasUndoFailed = true
        default: break
        }
    }

    /// Nothing on the host or in the journal speaks of the step any more, whatever happened to it.
    private mutating func forget(_ id: StepID) {
        let host = steps[id]?.host ?? ""
        memory.begun[host, default: []].remove(id)
        let isSpokenOf = journal.contains { entry in
            guard let step = steps[entry.step], step.phase == .steps, step.host == host, step.effect != .readOnly else {
                return false
            }
            return entry.kind != .intent
        }
        if !isSpokenOf, memory.begun[host, default: []].isEmpty { memory.changedHosts.remove(host) }
    }

    /// The rule of the design, from the world's own books: all others are healthy or out by our doing, and enough of
    /// them remain.
    private func isAllowed(_ quorum: Quorum, _ id: StepID) -> Bool {
        guard let host = steps[id]?.host else { return false }
        let isOurs = !memory.begun[host, default: []].isEmpty
        if quorum.voters == 1 { return quorum.healthy == [host] || isOurs }
        let others = plan.hosts.filter { $0 != host }
        let leaving = Set(memory.grants.compactMap { steps[$0]?.host })
        return others.allSatisfy { quorum.healthy.contains($0) || isOpen($0) || leaving.contains($0) }
            && (quorum.healthy.contains(host) || isOurs)
            && quorum.healthy.subtracting([host]).count >= quorum.voters / 2 + 1
    }

    /// Whether the host is in the middle of its steps.
    func isOpen(_ host: String) -> Bool {
        !memory.begun[host, default: []].isEmpty
            && memory.completedAt[host, default: 0] <= memory.lastChange[host, default: 0]
    }

    private func isDoneInJournal(_ id: StepID) -> Bool {
        journal.last { $0.step == id }?.kind == .outcome(.succeeded)
    }

    // MARK: - Directives

    mutating func check(_ directive: Directive) {
        if verdict != nil { violate("\(directive.label) after the end") }
        switch directive {
        case .perform(let id, let attempt): checkPerform(id, attempt)
        case .undo(let id, _): checkUndo(id)
        case .recordOutcome(let id, let attempt, .failed(let failure)) where failure.message == RolloutMachine.withdrawn:
            if memory.performed.contains("\(id)#\(attempt)") { violate("\(id) was withdrawn and performed") }
        default: break
        }
    }

    private mutating func checkPerform(_ id: StepID, _ attempt: Int) {
        guard let step = steps[id] else { return violate("\(id) is not in the plan") }
        memory.performed.insert("\(id)#\(attempt)")
        let last = journal.last { $0.step == id }
        if last?.kind != .intent || last?.attempt != attempt { violate("\(id) is performed without an intent") }
        guard step.effect != .readOnly else { return }
        let host = step.host ?? ""
        let isUntouched = memory.begun[host, default: []].isEmpty
        if memory.hasFailed { violate("\(id) is performed after a failure") }
        let isAlone = plan.serial != .all || !plan.hosts.contains(where: isOpen)
        if memory.isInterrupted, isUntouched && isAlone || step.phase != .steps {
            violate("\(id) is begun after a signal")
        }
        if step.phase == .steps {
            memory.hasBegunUnit = true
            if isUntouched { checkGate(before: id, host) }
            memory.begun[host, default: []].insert(id)
        }
    }

    /// Before a host is touched, a gate has passed since any host outside its batch was changed, and in this session.
    private mutating func checkGate(before id: StepID, _ host: String) {
        let batch = plan.stages.first { $0.phase == .steps && $0.lanes.contains { $0.host == host } }?
            .lanes.compactMap(\.host)
        let mates = Set(batch ?? []).subtracting([host])
        for (other, time) in memory.lastChange where other != host && !mates.contains(other) && time > memory.lastGate {
            violate("\(id) is begun, and no gate was passed since \(other) was changed")
        }
        let isMateOpen = mates.contains {
            isOpen($0) || memory.openAtStart.contains($0) && !memory.begun[$0, default: []].isEmpty
        }
        if memory.lastGate <= memory.sessionStart, !isMateOpen {
            violate("\(id) is begun, and no gate was passed since the run was resumed")
        }
    }

    private mutating func checkUndo(_ id: StepID) {
        if journal.last(where: { $0.step == id })?.kind != .undoIntent { violate("undo of \(id) without an intent") }
        guard let step = steps[id], step.phase == .steps, let host = step.host else { return }
        let begun = memory.begun[host, default: []]
        if !begun.contains(id), !isServiceStep(step) { violate("undo of \(id), which was not begun") }
        if begun.contains(where: { $0 > id && steps[$0]?.hasUndo == true }) { violate("undo of \(id) out of order") }
        if plan.serial == .all { checkBarrier(ofUndo: id) }
    }

    /// Where all go at once, nobody goes back behind a barrier while another is still before it.
    private mutating func checkBarrier(ofUndo id: StepID) {
        guard !memory.hasUndoFailed else { return }
        let rank = plan.stages.firstIndex { $0.lanes.contains { $0.steps.contains(id) } } ?? 0
        let later = Set(plan.stages[(rank + 1)...].flatMap(\.lanes).flatMap(\.steps))
        for (host, begun) in memory.begun where begun.contains(where: { later.contains($0) && isTakenBack($0) }) {
            violate("undo of \(id) before \(host) was there")
        }
    }

    private func isTakenBack(_ id: StepID) -> Bool { steps[id]?.phase == .steps && steps[id]?.hasUndo == true }

    /// Where all go at once, no member is left as it was while another is migrated.
    private mutating func checkTogether(_ what: String) {
        guard plan.serial == .all, plan.hosts.contains(where: isMigrated), plan.hosts.contains(where: isAsBefore) else {
            return
        }
        violate("\(what), and some members are migrated and others are not")
    }

    /// A drifted service step is taken back although nothing of it is left.
    private func isServiceStep(_ step: PlannedStep) -> Bool { step.resource == "service etcd" }

    // MARK: - Effects

    mutating func checkStop(_ id: StepID, _ host: String) {
        if memory.grants.remove(id) == nil { violate("\(id) stops \(host) without a quorum proof") }
        let others = plan.hosts.count { $0 != host && nodes[$0]?.service == .up }
        if plan.hosts.count > 1, others < plan.hosts.count / 2 + 1 { violate("\(id) breaks the quorum") }
    }

    mutating func checkOut() {
        guard case .hosts(let count) = plan.serial else { return }
        let limit = max(count, 1)
        let out = plan.hosts.filter { nodes[$0]?.service != .up }
        if out.count > limit { violate("\(out) are out at the same time") }
    }

    // MARK: - The end

    mutating func checkEnd() {
        guard let verdict else { return }
        let isFrozen = writers.values.contains { $0 != .open }
        let copies = plan.hosts.filter { nodes[$0]?.hasCopy == true }
        switch verdict {
        case .done:
            for host in plan.hosts where !isMigrated(host) { violate("done, and \(host) is not migrated") }
            for host in plan.hosts where memory.provenAt[host, default: 0] <= memory.lastChange[host, default: 0] {
                violate("done, and \(host) was not proven after its last change")
            }
            if !copies.isEmpty { violate("done, and copies are left on \(copies)") }
            if isFrozen, plan.stages.contains(where: { $0.phase == .thaw }) { violate("done, and not thawed") }
            let gates = plan.steps.filter { $0.phase == .gate }.map(\.id)
            if !memory.gatesPassed.isSuperset(of: gates) { violate("done, and a gate was not passed") }
            if (memory.verifiedAt ?? 0) <= (memory.lastChange.values.max() ?? 0) { violate("done, and not verified") }
        case .refused:
            if !memory.changedHosts.isEmpty || isFrozen || !copies.isEmpty {
                violate("refused, and something was changed")
            }
        case .halted(let failure):
            checkRestored(failure)
        case .interrupted where !memory.isAbandoned:
            for host in plan.hosts where !isMigrated(host) && !isAsBefore(host) {
                violate("interrupted, and \(host) is in the middle")
            }
            checkTogether("interrupted")
            if !memory.hasBegunUnit, !copies.isEmpty { violate("interrupted, unchanged, and copies are left") }
            if !memory.hasBegunUnit, isFrozen, hasFreezeUndo { violate("interrupted, unchanged, and still frozen") }
        case .interrupted, .drifted: break
        }
        if memory.hasBegunUnit, !memory.changedHosts.isEmpty, memory.verifiedAt == nil,
            writers.values.contains(.open), !memory.hasUndoFailed, !writers.isEmpty
        {
            violate("the freeze was not kept though a member was changed")
        }
    }

    private var hasFreezeUndo: Bool { plan.steps.contains { $0.phase == .freeze && $0.hasUndo } }

    private mutating func checkRestored(_ failure: Failure) {
        guard plan.onFailure == .restore, !memory.isAbandoned, let step = failure.step, steps[step]?.phase == .steps,
            machine.restoreFailures.isEmpty, plan.steps.allSatisfy({ $0.effect != .once || $0.hasUndo })
        else { return }
        for host in plan.hosts where !isMigrated(host) && !isAsBefore(host) {
            violate("halted with everything restored, and \(host) is not as before")
        }
        checkTogether("halted with everything restored")
    }
}

extension Directive {
    /// As `perform steps.1/n1`; what tests name a directive by.
    var label: String {
        switch self {
        case .enterStage(let stage): "enter \(stage.id)"
        case .announce(let host, let text): "announce \(host ?? "*"): \(text)"
        case .observeQuorum(let id): "quorum \(id)"
        case .recordIntent(let id, _): "intent \(id)"
        case .perform(let id, _): "perform \(id)"
        case .recordOutcome(let id, _, _): "outcome \(id)"
        case .observe(let id): "observe \(id)"
        case .recordUndoIntent(let id, _): "undo-intent \(id)"
        case .undo(let id, _): "undo \(id)"
        case .recordUndoOutcome(let id, _, _): "undo-outcome \(id)"
        case .finish(let verdict): "finish \(verdict.word)"
        }
    }
}

extension Verdict {
    var word: String {
        switch self {
        case .done: "done"
        case .refused: "refused"
        case .halted: "halted"
        case .drifted: "drifted"
        case .interrupted: "interrupted"
        }
    }
}
