// SPDX-License-Identifier: Apache-2.0

// Halting: the first failure stops everything, and what was touched is put back where the plan says so.
extension RolloutMachine {
    /// The first failure of a run; later ones, from lanes that were in flight, do not replace it.
    mutating func fail(_ failure: Failure) -> [Directive] {
        if self.failure == nil { self.failure = failure }
        mode = .draining
        return settle()
    }

    /// When the last step in flight has ended, decides what is undone.
    mutating func settle() -> [Directive] {
        guard mode == .draining, !isAnyStepInFlight else { return [] }
        let failure = failure ?? Failure("halted")
        if failure.isFenced { return finish(isAnythingChanged ? .halted(failure) : .refused(failure)) }
        let failedPhase = failure.step.flatMap { steps[$0]?.phase }
        guard isAnyMemberChanged else {
            // What one member was prepared by may have failed for want of something that can be mended: the run can be
            // gone on with, though all that it did is taken back.
            return undoFreezeIfUnchanged(then: failedPhase == .prepare ? .halted(failure) : .refused(failure))
        }
        guard plan.onFailure == .restore, failedPhase == .steps, !touchedHosts.isEmpty else {
            return finish(.halted(failure))
        }
        return beginUndo(of: hostsToTakeBack, then: .finish(.halted(failure)))
    }

    /// Nothing may be recorded, so nothing may be changed: what runs is left to end, and nothing follows.
    mutating func journalFailed(_ reason: String) -> [Directive] {
        let failure = Failure(
            "the journal cannot be written: \(reason)",
            remedy: "make room or repair the state directory, then `pawl resume`"
        )
        return finish(isAnythingChanged ? .halted(failure) : .refused(failure))
    }

    // MARK: - Undo

    /// Writers are let go again, and tools and what was prepared are thrown away, when no member was changed; once one was, both
    /// stay.
    mutating func undoFreezeIfUnchanged(then verdict: Verdict) -> [Directive] {
        let begun = plan.stages.filter { [.tools, .freeze, .prepare].contains($0.phase) }.flatMap(\.lanes).flatMap(
            \.steps
        )
        .filter(isAttemptedChange)
        guard !isAnyMemberChanged, !begun.isEmpty else { return finish(verdict) }
        let frozen = begun.filter { steps[$0]?.hasUndo == true }
        // What stays frozen was changed, so that the run is not one that changed nothing.
        mode = .undoing(.finish(frozen.count == begun.count ? verdict : verdict.withChanges))
        // One after the other, as a person would take them back.
        undoQueues = ["": frozen.reversed()]
        return continueUndo()
    }

    mutating func beginUndoStage(_ stage: Stage) -> [Directive] {
        let queue = stage.lanes.flatMap(\.steps).filter(isAttemptedChange)
        guard !queue.isEmpty else { return [] }
        undoQueues = ["": queue]
        mode = .undoing(.goOn)
        return continueUndo()
    }

    /// Takes back what was attempted on these hosts, the newest step first, then proves each member by the read-only
    /// steps of its unit.
    mutating func beginUndo(of hosts: [String], then continuation: Continuation) -> [Directive] {
        // A unit that cannot be taken back has already decided how the run ends.
        if case .undoing = mode {} else { mode = .undoing(continuation) }
        var directives: [Directive] = []
        for host in hosts {
            let unit = units[host] ?? []
            directives += queueUndo(of: unit, on: host)
            if undoQueues[host] != nil { proofQueues[host] = unit.filter { !isChange($0) } }
        }
        return directives + continueUndo()
    }

    /// Queues what was attempted of these steps of a host, the newest first; all of it or nothing.
    mutating func queueUndo(of unit: [StepID], on host: String) -> [Directive] {
        let attempted = unit.filter(isAttemptedChange)
        if let fixed = attempted.compactMap({ steps[$0] }).first(where: { $0.effect == .once && !$0.hasUndo }) {
            // Going back behind it would start etcd on data that it changed.
            undoQueues[host] = nil
            return undoFailed(on: host, Failure(step: fixed.id, host: host, "\(fixed.name) was begun and has no undo"))
        }
        if case .undoing(.goOn) = mode, let single = attempted.compactMap({ steps[$0] }).first(where: isSingle) {
            // The unit would be begun anew, and this step done a second time.
            undoQueues[host] = nil
            return undoFailed(
                on: host,
                Failure(step: single.id, host: host, "\(single.name) was begun and must not be done twice")
            )
        }
        undoQueues[host] = attempted.filter { steps[$0]?.hasUndo == true }.reversed()
        return []
    }

    /// A step of `redo: never` that was done and taken back is not done again, not even in a resumed run.
    mutating func markSpent(_ id: StepID) {
        if let step = steps[id], isSingle(step) { spent.insert(id) }
    }

    /// Why a step may not be begun that leads to one that is spent: its host's unit would come to it.
    func refusalOfSpent(before id: StepID) -> Failure? {
        let unit = steps[id].flatMap { step in step.phase == .steps ? step.host.flatMap { units[$0] } : nil } ?? [id]
        guard isChange(id),
            let step = unit.first(where: { spent.contains($0) && state($0) != .done }).flatMap({ steps[$0] })
        else { return nil }
        return Failure(
            step: step.id,
            host: step.host,
            "\(step.name) was done and taken back in this run, and must not be done again",
            remedy: "when it may be done again after all, start a new run"
        )
    }

    private func isSingle(_ step: PlannedStep) -> Bool { step.effect == .once && !step.mayRedoAfterUndo }

    /// Begins the next piece of undoing or proving on every host where none is in flight.
    mutating func continueUndo() -> [Directive] {
        guard case .undoing(let continuation) = mode else { return [] }
        var directives: [Directive] = []
        let rank = isAllAtOnce ? undoQueues.values.compactMap(\.first).compactMap { ranks[$0] }.max() : nil
        for host in undoQueues.keys.sorted() + proofQueues.keys.filter({ undoQueues[$0] == nil }).sorted() {
            // A member is started when all can be: by itself it would wait for the others, and not for long.
            if let rank, undoQueues[host]?.first.flatMap({ ranks[$0] }) != rank { continue }
            directives += continueUndo(on: host)
        }
        guard directives.isEmpty, !isAnyStepInFlight else { return directives }
        switch continuation {
        case .finish(let verdict): return finish(verdict)
        case .goOn:
            mode = wantsToStop ? .stopping : .forward
            if isSettling { lookAgain() }
            return advance()
        }
    }

    private mutating func continueUndo(on host: String) -> [Directive] {
        let mine = (undoQueues[host] ?? []) + (proofQueues[host] ?? [])
        guard !mine.contains(where: { state($0).isInFlight }) else { return [] }
        if let next = undoQueues[host]?.first {
            return beginUndo(next)
        }
        if let next = proofQueues[host]?.first { return recordIntent(next) }
        undoQueues[host] = nil
        if proofQueues.removeValue(forKey: host) != nil, restoreFailures[host] == nil {
            restored.insert(host)
            forgetUnit(of: host)
        }
        return []
    }

    /// A unit that was taken back whole is begun anew with all its steps, also those that have nothing to undo: a
    /// backup is one of the state that it was taken of.
    private mutating func forgetUnit(of host: String) {
        for id in units[host] ?? [] where !state(id).isInFlight {
            states[id] = .pending
            standing.remove(id)
        }
    }

    private mutating func beginUndo(_ id: StepID) -> [Directive] {
        guard let step = steps[id] else { return [] }
        let stops = step.availability == .bringsBack || step.availability == .bounces
        if plan.needsQuorum, stops, step.phase == .steps {
            states[id] = .awaitingUndoQuorum
            return [.observeQuorum(id)]
        }
        return [recordUndoIntent(id)]
    }

    /// A member that is being put back counts as out, whether it serves or not: the others must do without it.
    mutating func undoQuorumObserved(_ id: StepID, on host: String, _ quorum: Quorum) -> [Directive] {
        let out = hostsOut(except: host).union([host])
        let proof = quorum.proof(stopping: host, alreadyOut: out)
        if quorum.allows(stopping: host, alreadyOut: out) {
            return [.announce(host: host, text: proof), recordUndoIntent(id)]
        }
        let complaints = quorum.complaints.isEmpty ? "" : ": " + quorum.complaints.joined(separator: "; ")
        return stopUndoing(id, Failure(step: id, host: host, proof + complaints, remedy: RolloutMachine.mendFirst))
    }

    private mutating func recordUndoIntent(_ id: StepID) -> Directive {
        states[id] = .recordingUndoIntent
        let attempt = (undoAttempts[id] ?? 0) + 1
        undoAttempts[id] = attempt
        return .recordUndoIntent(id, attempt: attempt)
    }

    mutating func undoIntentRecorded(_ id: StepID) -> [Directive] {
        guard state(id) == .recordingUndoIntent else { return [] }
        states[id] = .undoing
        return [.undo(id, attempt: undoAttempts[id] ?? 1)]
    }

    mutating func undoEnded(_ id: StepID, _ outcome: Outcome) -> [Directive] {
        guard state(id) == .undoing else { return [] }
        states[id] = .recordingUndoOutcome(outcome)
        return [.recordUndoOutcome(id, attempt: undoAttempts[id] ?? 1, outcome)]
    }

    mutating func undoOutcomeRecorded(_ id: StepID) -> [Directive] {
        guard case .recordingUndoOutcome(let outcome) = state(id) else { return [] }
        if let failure = outcome.failure { return stopUndoing(id, failure) }
        markUndone(id)
        markSpent(id)
        if let owner = undoOwner(of: id) { undoQueues[owner]?.removeFirst() }
        return continueUndo()
    }

    private func undoOwner(of id: StepID) -> String? {
        undoQueues.first { $0.value.first == id }?.key
    }

    /// What comes before this step must not be undone either: etcd is not started on data in doubt.
    private mutating func stopUndoing(_ id: StepID, _ failure: Failure) -> [Directive] {
        states[id] = .inDoubt(failure)
        let owner = undoOwner(of: id) ?? ""
        undoQueues[owner] = []
        proofQueues[owner] = nil
        return undoFailed(on: steps[id]?.host ?? owner, failure) + continueUndo()
    }

    private mutating func undoFailed(on host: String, _ failure: Failure) -> [Directive] {
        restoreFailures[host] = failure
        switch mode {
        case .undoing(.goOn):
            mode = .undoing(.finish(driftedHosts.contains(host) ? .drifted(failure) : .halted(failure)))
        case .undoing(.finish(.interrupted)): mode = .undoing(.finish(.halted(failure)))
        case .undoing(.finish(let verdict)): mode = .undoing(.finish(verdict.withChanges))
        default: break
        }
        let text = "could not be put back: \(failure.message)"
        return [.announce(host: host, text: text)]
    }

    /// An undone step, and every step of its unit after it, must be done again.
    mutating func markUndone(_ id: StepID) {
        states[id] = .pending
        standing.remove(id)
        guard let host = steps[id]?.host, let unit = units[host], let index = unit.firstIndex(of: id) else { return }
        for later in unit[index...] where !state(later).isInFlight {
            states[later] = .pending
            standing.remove(later)
        }
    }

    /// A read-only step of a restored unit ended.
    ///
    /// It proves the restore and is not part of the way forward.
    mutating func proofRecorded(_ id: StepID, _ outcome: Outcome) -> [Directive] {
        states[id] = .pending
        guard let host = steps[id]?.host else { return continueUndo() }
        if let failure = outcome.failure {
            proofQueues[host] = nil
            return undoFailed(on: host, failure) + continueUndo()
        }
        proofQueues[host]?.removeFirst()
        return continueUndo()
    }
}
