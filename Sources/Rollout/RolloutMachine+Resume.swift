// SPDX-License-Identifier: Apache-2.0

// Going on after a halt or a crash. The journal says what was attempted; what is true is observed anew.
extension RolloutMachine {
    mutating func replay(_ history: [HistoryEntry]) {
        for entry in history where steps[entry.step] != nil { count(entry) }
        for entry in RolloutMachine.begun(history) where steps[entry.step] != nil {
            let id = entry.step
            if isChange(id) {
                standing.insert(id)
                dropProofs(after: id)
            }
            // An intent alone says nothing yet: the node is asked.
            if entry.kind != .intent, isChange(id), steps[id]?.phase == .steps { hasEverChangedANode = true }
            switch entry.kind {
            case .undoIntent, .undoOutcome(.failed), .undoOutcome(.inDoubt): halfUndone.insert(id)
            default: halfUndone.remove(id)
            }
            switch entry.kind {
            case .intent: states[id] = .inDoubt(unseenEnd(of: id))
            case .outcome(.succeeded): states[id] = .done
            case .outcome(.failed(let failure)): states[id] = .failed(failure)
            case .outcome(.inDoubt(let failure)): states[id] = .inDoubt(failure)
            case .undoIntent: states[id] = .inDoubt(unseenEnd(of: id))
            case .undoOutcome(.succeeded):
                markUndone(id)
                markSpent(id)
            case .undoOutcome(.failed(let failure)), .undoOutcome(.inDoubt(let failure)): states[id] = .inDoubt(failure)
            }
        }
        for id in plan.steps.map(\.id) where !isChange(id) && state(id).isUnresolved { states[id] = .pending }
        for unit in units.values { dropProofs(in: unit) }
    }

    private mutating func count(_ entry: HistoryEntry) {
        switch entry.kind {
        case .intent, .outcome: attempts[entry.step] = max(attempts[entry.step] ?? 0, entry.attempt)
        // Journals of old have 1 for each of them.
        case .undoIntent: undoAttempts[entry.step] = max((undoAttempts[entry.step] ?? 0) + 1, entry.attempt)
        case .undoOutcome: break
        }
    }

    /// The history without the intents whose effect was withdrawn: what was known of the step before holds.
    private static func begun(_ history: [HistoryEntry]) -> [HistoryEntry] {
        var begun: [HistoryEntry] = []
        for entry in history {
            guard case .outcome(.failed(let failure)) = entry.kind, failure.message == withdrawn else {
                begun.append(entry)
                continue
            }
            if let intent = begun.lastIndex(where: { $0.step == entry.step && $0.kind == .intent }) {
                begun.remove(at: intent)
            }
        }
        return begun
    }

    /// A read-only step counts only while every step before it in its unit stands; after an undo it was the proof
    /// of the restore.
    private mutating func dropProofs(in unit: [StepID]) {
        guard let gap = unit.firstIndex(where: { state($0) != .done }) else { return }
        for id in unit[gap...] where !isChange(id) { states[id] = .pending }
    }

    /// What was proven of a member before a change, as the proof of a restore, says nothing after it.
    private mutating func dropProofs(after id: StepID) {
        guard let host = steps[id]?.host, let unit = units[host], let index = unit.firstIndex(of: id) else { return }
        for later in unit[index...] where !isChange(later) { states[later] = .pending }
    }

    private func unseenEnd(of id: StepID) -> Failure {
        Failure(step: id, host: steps[id]?.host, "begun, and nobody saw its end")
    }

    mutating func beginResumed() -> [Directive] {
        isSettling = true
        let questions = plan.steps.map(\.id).filter(needsObservation)
        guard !questions.isEmpty else {
            lookAgain()
            return advance()
        }
        mode = .observing
        observedBefore = states.filter { questions.contains($0.key) }
        for id in questions { states[id] = .observing }
        return questions.map { .observe($0) }
    }

    /// With all doubts settled, says which looks at the cluster are to be done again before anything is begun.
    mutating func lookAgain() {
        isSettling = false
        let isChanged = units.keys.contains { isTouched($0) || isComplete($0) }
        for stage in plan.stages {
            switch stage.phase {
            case .preflight:
                // Once a member is changed, what the preflight demands (an empty v3 store) cannot hold any more.
                for id in stage.lanes.flatMap(\.steps) { states[id] = isChanged ? .done : .pending }
            case .gate where !isChanged:
                for id in stage.lanes.flatMap(\.steps) { states[id] = .pending }
            default: break
            }
        }
        // A freeze that the thaw has taken back is not put in place again.
        while isReadyToThaw, stageIndex < plan.stages.count,
            [.tools, .preflight, .freeze].contains(plan.stages[stageIndex].phase)
        {
            stageIndex += 1
        }
        if isChanged { lookAgainBeforeNextUnit() }
    }

    /// Members that were finished earlier are looked at before another is touched.
    ///
    /// When a unit is in the middle, the
    /// gate before it was passed, and cannot hold again while the member is out.
    private mutating func lookAgainBeforeNextUnit() {
        let isInTheMiddle = !touchedHosts.isEmpty
        let open = plan.stages.firstIndex { stage in
            stage.phase == .steps
                && stage.lanes.contains { lane in
                    isInTheMiddle
                        ? lane.host.map(isTouched) ?? false : lane.steps.contains { state($0) != .done }
                }
        }
        guard let open else { return }
        for stage in plan.stages[..<open].reversed() {
            if stage.phase == .prepare { continue }
            guard stage.phase == .gate else { return }
            for id in stage.lanes.flatMap(\.steps) { states[id] = isInTheMiddle ? .done : .pending }
        }
    }

    /// Whether everything that needs the freeze is behind.
    var isReadyToThaw: Bool {
        plan.steps.allSatisfy { step in
            ![.steps, .gate, .postflight].contains(step.phase) || state(step.id) == .done
        }
    }

    /// Steps whose truth decides how to go on: those whose end is not known, in a touched unit the newest holder of
    /// each state, and freeze and preparation as long as they are needed.
    private func needsObservation(_ id: StepID) -> Bool {
        guard let step = steps[id], isChange(id) else { return false }
        if state(id).isUnresolved { return true }
        guard state(id) == .done, let resource = step.resource, let host = step.host else { return false }
        switch step.phase {
        case .steps where isTouched(host):
            return units[host]?.last { isAttemptedChange($0) && steps[$0]?.resource == resource } == id
        case .tools where step.effect == .repeatable && !isReadyToThaw,
            .freeze where step.effect == .repeatable && !isReadyToThaw:
            // A rebooted host starts its writers again, and what was uploaded into memory is gone.
            let holders = plan.steps.filter { $0.phase == step.phase && $0.host == host && $0.resource == resource }
            return holders.last { isAttemptedChange($0.id) }?.id == id
        case .prepare where step.effect == .repeatable && !isTouched(host) && !isComplete(host):
            return true
        default: return false
        }
    }

    mutating func observed(_ id: StepID, _ finding: Event.Finding) -> [Directive] {
        guard state(id) == .observing, mode == .observing else { return [] }
        findings[id] = finding
        states[id] = observedBefore[id] ?? .pending
        switch finding {
        case .done, .inDoubt: if steps[id]?.phase == .steps { hasEverChangedANode = true }
        case .notBegun, .unseen: break
        }
        return isAnyStepInFlight ? [] : decide()
    }

    /// With all findings in, says for each of them what follows.
    private mutating func decide() -> [Directive] {
        if let blind = unseen() { return blind }
        var directives: [Directive] = []
        for id in plan.steps.map(\.id) where observedBefore[id] == .done {
            guard let finding = findings[id], finding != .done, let step = steps[id], let host = step.host else {
                continue
            }
            directives.append(.announce(host: host, text: driftText(step, finding)))
            if step.phase == .steps { driftedHosts.insert(host) } else { states[id] = .pending }
        }
        guard driftedHosts.isEmpty || plan.onFailure == .restore else {
            let failure = Failure(
                host: driftedHosts.min(),
                "the node is not as this run left it",
                remedy: "put it back by hand, or start a new run when it is in order"
            )
            return directives + finish(.drifted(failure))
        }
        mode = wantsToStop ? .stopping : .forward
        var doubtful: [PlannedStep] = []
        var halfRestored: Set<String> = []
        for id in plan.steps.map(\.id) where observedBefore[id] != .done {
            guard let finding = findings[id], let step = steps[id] else { continue }
            directives += resolve(step, finding)
            if mode == .finished { return directives }
            guard case .inDoubt = finding else { continue }
            if step.phase == .steps, let host = step.host, halfUndone.contains(id) { halfRestored.insert(host) }
            if step.effect == .once || isStopToTakeBack(step) { doubtful.append(step) }
        }
        // A unit that drifted is taken back whole and begun anew. So is one whose taking back got stuck: to do its
        // step again from there would build on a state that no step leaves.
        var whole = driftedHosts.union(halfRestored)
        if isAllAtOnce, !whole.isEmpty || doubtful.contains(where: isStopToTakeBack) {
            whole.formUnion(hostsToTakeBack)
        }
        if !whole.isEmpty || !doubtful.isEmpty {
            mode = .undoing(.goOn)
            directives += takeBack(doubtful.filter { $0.phase != .steps || !whole.contains($0.host ?? "") })
            return directives + beginUndo(of: plan.hosts.filter(whole.contains), then: .goOn)
        }
        lookAgain()
        return isAnyStepInFlight ? directives : directives + advance()
    }

    /// Halts where a node could not be asked, with nothing begun.
    ///
    /// To take back what nobody has looked at would go over what a member may have been given since: where the run had come
    /// to its end, and only the note of it is missing, v3 is written to.
    private mutating func unseen() -> [Directive]? {
        var first: Failure?
        for step in plan.steps {
            guard case .unseen(let why) = findings[step.id], first == nil else { continue }
            first = Failure(
                step: step.id,
                host: step.host,
                "\(step.name) cannot be looked at: \(why)",
                remedy: "nothing was changed; bring the node up, or its connection, and resume again"
            )
        }
        return first.map { finish(.halted($0)) }
    }

    /// A member that is down, and nobody knows how it ended: it is started first, to be stopped in sight.
    private func isStopToTakeBack(_ step: PlannedStep) -> Bool {
        step.phase == .steps && step.availability == .takesOut && step.hasUndo && step.mayRedoAfterUndo
    }

    /// Takes back steps that must not happen twice, and with them what came after them on their host.
    private mutating func takeBack(_ doubtful: [PlannedStep]) -> [Directive] {
        var directives: [Directive] = []
        // The earliest of a host comes last, and takes the others with it.
        for step in doubtful.reversed() {
            if let host = step.host, let unit = units[host], let index = unit.firstIndex(of: step.id) {
                directives += queueUndo(of: Array(unit[index...]), on: host)
            } else {
                undoQueues["", default: []].append(step.id)
            }
        }
        return directives
    }

    /// Settles a step whose end nobody saw, or that failed.
    private mutating func resolve(_ step: PlannedStep, _ finding: Event.Finding) -> [Directive] {
        let id = step.id
        switch finding {
        case .done:
            states[id] = .recordingOutcome(.succeeded)
            return [
                .announce(host: step.host, text: "\(step.name): found done"),
                .recordOutcome(id, attempt: attempts[id] ?? 1, .succeeded),
            ]
        case .notBegun(let why):
            states[id] = .pending
            standing.remove(id)
            return [.announce(host: step.host, text: "\(step.name): not begun (\(why))")]
        case .unseen(let why), .inDoubt(let why):
            let news = Directive.announce(host: step.host, text: "\(step.name): in doubt (\(why))")
            guard step.effect == .once else {
                if !isStopToTakeBack(step) { states[id] = .pending }
                return [news]
            }
            if step.hasUndo, step.mayRedoAfterUndo { return [news] }
            let failure = Failure(
                step: id,
                host: step.host,
                "\(step.name) is in doubt and must not be done twice: \(why)",
                remedy: "find out on the node whether it was done; it "
                    + (step.hasUndo ? "is not to be done again, not even after its undo" : "has no undo")
            )
            return [news] + finish(.halted(failure))
        }
    }

    private func driftText(_ step: PlannedStep, _ finding: Event.Finding) -> String {
        switch finding {
        case .done: ""
        case .notBegun(let what), .inDoubt(let what), .unseen(let what):
            "\(step.name) was done in this run and is not in place any more: \(what)"
        }
    }
}
