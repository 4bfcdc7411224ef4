// SPDX-License-Identifier: Apache-2.0

// Going through the stages: what is begun next, and when.
extension RolloutMachine {
    /// Begins whatever may be begun now, stage after stage.
    mutating func advance() -> [Directive] {
        var directives: [Directive] = []
        while stageIndex < plan.stages.count {
            let stage = plan.stages[stageIndex]
            if mode == .stopping, !isPassed(stage), !mayGoOnStopping(stage) {
                if touchedHosts.isEmpty { return directives + stopIfQuiet() }
                enterNextStage()
                continue
            }
            if !hasEnteredStage {
                hasEnteredStage = true
                if stage.work == .undo || !isFinished(stage) { directives.append(.enterStage(stage)) }
                if stage.work == .undo {
                    directives += beginUndoStage(stage)
                    if case .undoing = mode { return directives }
                }
            }
            directives += beginSteps(of: stage)
            if stage.work == .perform, !isFinished(stage) {
                return directives + (mode == .stopping ? stopIfQuiet() : [])
            }
            enterNextStage()
        }
        return directives + (mode == .stopping && !isReadyToThaw ? stopIfQuiet() : finish(.done))
    }

    private mutating func enterNextStage() {
        stageIndex += 1
        hasEnteredStage = false
    }

    /// While stopping, a barrier waits for touched units only: what was not begun is not going to be.
    private func isFinished(_ stage: Stage) -> Bool {
        let lanes = mode == .stopping ? stage.lanes.filter { $0.host.map(isUnderWay) ?? false } : stage.lanes
        return lanes.allSatisfy { lane in lane.steps.allSatisfy { state($0) == .done } }
    }

    private func isPassed(_ stage: Stage) -> Bool {
        stage.work == .perform && stage.lanes.allSatisfy { lane in lane.steps.allSatisfy { state($0) == .done } }
    }

    private mutating func beginSteps(of stage: Stage) -> [Directive] {
        guard stage.work == .perform else { return [] }
        var directives: [Directive] = []
        for lane in stage.lanes {
            guard let next = lane.steps.first(where: { state($0) != .done }), state(next) == .pending else { continue }
            if mode == .stopping, !(lane.host.map(isUnderWay) ?? false) { continue }
            directives += begin(next)
        }
        return directives
    }

    mutating func begin(_ id: StepID) -> [Directive] {
        guard let step = steps[id] else { return [] }
        if let refusal = refusalOfSpent(before: id) { return fail(refusal) }
        let stops = step.availability == .takesOut || step.availability == .bounces
        if plan.needsQuorum, stops, step.phase == .steps {
            states[id] = .awaitingQuorum
            return [.observeQuorum(id)]
        }
        return recordIntent(id)
    }

    mutating func recordIntent(_ id: StepID) -> [Directive] {
        states[id] = .recordingIntent
        let attempt = (attempts[id] ?? 0) + 1
        attempts[id] = attempt
        return [.recordIntent(id, attempt: attempt)]
    }

    mutating func quorumObserved(_ id: StepID, _ quorum: Quorum) -> [Directive] {
        guard let host = steps[id]?.host else { return [] }
        if state(id) == .awaitingUndoQuorum { return undoQuorumObserved(id, on: host, quorum) }
        guard state(id) == .awaitingQuorum else { return [] }
        if mode == .draining {
            states[id] = .pending
            return settle()
        }
        if mode == .stopping, !isUnderWay(host) {
            states[id] = .pending
            return advance()
        }
        var out = hostsOut(except: host)
        // A stop that is done again: the member may be down by our own doing, or by that of the run that is rolled back.
        if standing.contains(id) || plan.down.contains(host) { out.insert(host) }
        let proof = quorum.proof(stopping: host, alreadyOut: out)
        if quorum.allows(stopping: host, alreadyOut: out) {
            return [.announce(host: host, text: proof)] + recordIntent(id)
        }
        states[id] = .pending
        if let objection = quorum.objection {
            return fail(Failure(step: id, host: host, objection, remedy: RolloutMachine.lockLost, isFenced: true))
        }
        let complaints = quorum.complaints.isEmpty ? "" : ": " + quorum.complaints.joined(separator: "; ")
        return fail(
            Failure(
                step: id,
                host: host,
                proof + complaints,
                remedy: quorum.voters == 2
                    ? "two voters cannot lose one; use a playbook with `serial: all`, or add a member first"
                    : RolloutMachine.mendFirst
            )
        )
    }

    static let lockLost =
        "nothing more is changed; find out who took the lock over and how the cluster stands, then `pawl resume`"

    static let mendFirst = "make every member healthy first, then `pawl resume`"

    mutating func intentRecorded(_ id: StepID) -> [Directive] {
        guard state(id) == .recordingIntent else { return [] }
        let attempt = attempts[id] ?? 1
        if shouldWithdraw(id) {
            states[id] = .withdrawing
            let failure = Failure(step: id, host: steps[id]?.host, RolloutMachine.withdrawn)
            return [.recordOutcome(id, attempt: attempt, .failed(failure))]
        }
        states[id] = .running
        if isChange(id) { standing.insert(id) }
        if isChange(id), steps[id]?.phase == .steps {
            hasEverChangedANode = true
            if let host = steps[id]?.host { restored.remove(host) }
        }
        return [.perform(id, attempt: attempt)]
    }

    /// What a step is recorded with whose intent was written and whose effect was not begun.
    static let withdrawn = "not begun: the run was stopping"

    /// Whether the run began to stop between the intent and the effect, so that the effect must not begin.
    private func shouldWithdraw(_ id: StepID) -> Bool {
        switch mode {
        case .draining: true
        case .stopping: isChange(id) && !(steps[id]?.host.map(isUnderWay) ?? false)
        default: false
        }
    }

    mutating func ended(_ id: StepID, _ outcome: Outcome) -> [Directive] {
        guard state(id) == .running else { return [] }
        // Nothing may be begun elsewhere while the failure is being recorded.
        if let failure = outcome.failure, mode == .forward || mode == .stopping {
            self.failure = self.failure ?? located(failure, at: id)
            mode = .draining
        }
        states[id] = .recordingOutcome(outcome)
        return [.recordOutcome(id, attempt: attempts[id] ?? 1, outcome)]
    }

    mutating func outcomeRecorded(_ id: StepID) -> [Directive] {
        if state(id) == .withdrawing {
            states[id] = .pending
            return mode == .draining ? settle() : advance()
        }
        guard case .recordingOutcome(let outcome) = state(id) else { return [] }
        if proofQueues.values.contains(where: { $0.first == id }) { return proofRecorded(id, outcome) }
        switch outcome {
        case .succeeded:
            states[id] = .done
            switch mode {
            case .draining: return settle()
            case .undoing: return continueUndo()
            default: return advance()
            }
        case .failed(let failure):
            states[id] = .failed(failure)
            return fail(located(failure, at: id))
        case .inDoubt(let failure):
            states[id] = .inDoubt(failure)
            return fail(located(failure, at: id))
        }
    }

    /// What is undone depends on the step that failed, also where the failure does not name it.
    private func located(_ failure: Failure, at id: StepID) -> Failure {
        var failure = failure
        failure.step = id
        failure.host = failure.host ?? steps[id]?.host
        return failure
    }

    // MARK: - Signals

    mutating func interrupted() -> [Directive] {
        guard mode == .forward else {
            wantsToStop = true
            return []
        }
        mode = .stopping
        return advance()
    }

    /// While stopping, a stage is entered only to bring touched units to their end.
    private func mayGoOnStopping(_ stage: Stage) -> Bool {
        stage.phase == .steps && stage.lanes.contains { lane in lane.host.map(isUnderWay) ?? false }
    }

    private mutating func stopIfQuiet() -> [Directive] {
        isAnyStepInFlight ? [] : undoFreezeIfUnchanged(then: .interrupted)
    }
}
