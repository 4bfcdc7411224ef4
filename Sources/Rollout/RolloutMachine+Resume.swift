// SPDX-License-Identifier: Apache-2.0

// Going on after a halt or a crash. The journal says what was attempted; what is true is observed anew.
extension RolloutMachine {
    mutating func replay(_ history: [HistoryEntry]) {
        for entry in history where steps[entry.step] != nil {
            attempts[entry.step] = max(attempts[entry.step] ?? 0, entry.attempt)
        }
        for entry in RolloutMachine.begun(history) where steps[entry.step] != nil {
            let id = entry.step
            if isChange(id) { standing.insert(id) }
            // An intent alone says nothing yet: the node is asked.
            if entry.kind != .intent, isChange(id), steps[id]?.phase == .steps { hasEverChangedANode = true }
            switch entry.kind {
            case .intent: states[id] = .inDoubt(unseenEnd(of: id))
            case .outcome(.succeeded): states[id] = .done
            case .outcome(.failed(let failure)): states[id] = .failed(failure)
            case .outcome(.inDoubt(let failure)): states[id] = .inDoubt(failure)
            case .undoIntent: states[id] = .inDoubt(unseenEnd(of: id))
            case .undoOutcome(.succeeded): markUndone(id)
            case .undoOutcome(.failed(let failure)), .undoOutcome(.inDoubt(let failure)): states[id] = .inDoubt(failure)
            }
        }
        for id in plan.steps.map(\.id) where !isChange(id) && state(id).isUnresolved { states[id] = .pending }
        for unit in units.values { dropProofs(in: unit) }
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

    private func unseenEnd(of id: StepID) -> Failure {
        Failure(step: id, host: steps[id]?.host, "begun, and nobody saw its end")
    }

    mutating func beginResumed() -> [Directive] {
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
        if isChanged { skipFreezeAndLookAgain() }
        let questions = plan.steps.map(\.id).filter(needsObservation)
        guard !questions.isEmpty else { return advance() }
        mode = .observing
        var directives: [Directive] = []
        for id in questions {
            directives.append(.observe(id))
        }
        observedBefore = states.filter { questions.contains($0.key) }
        for id in questions { states[id] = .observing }
        return directives
    }

    /// Stages before the first unit are passed. When no unit is in the middle, the gate before the next one is done
    /// again: members that were finished earlier are looked at before another is touched.
    private mutating func skipFreezeAndLookAgain() {
        while stageIndex < plan.stages.count, [.preflight, .freeze].contains(plan.stages[stageIndex].phase) {
            stageIndex += 1
        }
        guard touchedHosts.isEmpty else { return }
        let open = plan.stages.indices.dropFirst(stageIndex).first { index in
            plan.stages[index].lanes.contains { lane in lane.steps.contains { state($0) != .done } }
        }
        guard let open, open > 0, plan.stages[open].phase == .steps, plan.stages[open - 1].phase == .gate else {
            return
        }
        for id in plan.stages[open - 1].lanes.flatMap(\.steps) { states[id] = .pending }
    }

    /// Steps whose truth decides how to go on: those whose end is not known, and in a touched unit the newest holder
    /// of each state.
    private func needsObservation(_ id: StepID) -> Bool {
        guard let step = steps[id], isChange(id) else { return false }
        if state(id).isUnresolved { return step.phase == .steps || step.phase == .freeze || step.phase == .thaw }
        guard state(id) == .done, step.phase == .steps, let host = step.host, isTouched(host) else { return false }
        guard let resource = step.resource, let unit = units[host] else { return false }
        return unit.last { isAttemptedChange($0) && steps[$0]?.resource == resource } == id
    }

    mutating func observed(_ id: StepID, _ finding: Event.Finding) -> [Directive] {
        guard state(id) == .observing, mode == .observing else { return [] }
        findings[id] = finding
        states[id] = observedBefore[id] ?? .pending
        if case .notBegun = finding {} else if steps[id]?.phase == .steps { hasEverChangedANode = true }
        return isAnyStepInFlight ? [] : decide()
    }

    /// With all findings in, says for each of them what follows.
    private mutating func decide() -> [Directive] {
        var directives: [Directive] = []
        var drifted: [String] = []
        for id in plan.steps.map(\.id) {
            guard let finding = findings[id], let step = steps[id] else { continue }
            if observedBefore[id] == .done {
                guard finding != .done, let host = step.host else { continue }
                directives.append(.announce(host: host, text: driftText(step, finding)))
                if !drifted.contains(host) { drifted.append(host) }
            }
        }
        guard drifted.isEmpty || plan.onFailure == .restore else {
            let host = drifted.first
            return directives
                + finish(
                    .drifted(
                        Failure(
                            host: host,
                            "the node is not as this run left it",
                            remedy: "put it back by hand, or start a new run when it is in order"
                        )
                    )
                )
        }
        mode = wantsToStop ? .stopping : .forward
        if !drifted.isEmpty {
            // The unit is taken back whole and begun anew.
            return directives + beginUndo(of: drifted, then: .goOn)
        }
        return directives + resolveDoubts()
    }

    private mutating func resolveDoubts() -> [Directive] {
        var directives: [Directive] = []
        for id in plan.steps.map(\.id) {
            guard let finding = findings[id], let step = steps[id], observedBefore[id] != .done else { continue }
            switch finding {
            case .done:
                states[id] = .recordingOutcome(.succeeded)
                directives.append(.announce(host: step.host, text: "\(step.name): found done"))
                directives.append(.recordOutcome(id, attempt: attempts[id] ?? 1, .succeeded))
            case .notBegun(let why):
                states[id] = .pending
                standing.remove(id)
                directives.append(.announce(host: step.host, text: "\(step.name): not begun (\(why)); done now"))
            case .inDoubt(let why):
                directives.append(.announce(host: step.host, text: "\(step.name): in doubt (\(why))"))
                switch (step.effect, step.hasUndo) {
                case (.once, true):
                    undoQueues[step.host ?? ""] = [id]
                    mode = .undoing(.goOn)
                case (.once, false):
                    let failure = Failure(
                        step: id,
                        host: step.host,
                        "\(step.name) is in doubt and must not be done twice: \(why)",
                        remedy: "find out on the node whether it was done; it has no undo"
                    )
                    return directives + finish(.halted(failure))
                default: states[id] = .pending
                }
            }
        }
        if mode == .undoing(.goOn) { return directives + continueUndo() }
        return isAnyStepInFlight ? directives : directives + advance()
    }

    private func driftText(_ step: PlannedStep, _ finding: Event.Finding) -> String {
        switch finding {
        case .done: ""
        case .notBegun(let what), .inDoubt(let what):
            "\(step.name) was done in this run and is not in place any more: \(what)"
        }
    }
}
