// SPDX-License-Identifier: Apache-2.0

/// Decides what a run does next.
///
/// A pure value: no clock, no I/O, no waiting.
///
/// Events go in, directives come out; the engine performs them. Everything that must be right under every
/// interleaving is decided here and nowhere else: the order, the quorum before a stop, when to halt, what to undo,
/// what a resumed run may do with a step whose end nobody saw.
///
/// A host's steps of the phase `steps` are its **unit**. A unit is touched from its first mutating step until it is
/// complete or undone; at most as many units are touched at a time as the plan allows hosts in a batch.
///
/// Where all hosts go at once (`serial: all`) their units stand and fall together: a member alone is not healthy until
/// others are, and one that was left behind would go its own way. So a signal lets all of them come to their end, and
/// what is taken back is taken back on all of them, behind barriers as on the way there.
package struct RolloutMachine: Sendable {
    enum Mode: Hashable, Sendable {
        case forward
        /// A signal came: touched units are brought to their end, nothing else is begun.
        case stopping
        /// A resumed run waits for what the nodes show.
        case observing
        /// A step failed: steps in flight end, nothing is begun.
        case draining
        case undoing(Continuation)
        case finished
    }

    /// What follows when all undoing has ended.
    enum Continuation: Hashable, Sendable {
        case goOn
        case finish(Verdict)
    }

    package let plan: Plan
    package let steps: [StepID: PlannedStep]
    /// The steps of each host's unit, in order.
    let units: [String: [StepID]]
    /// The place of each step's stage in the plan.
    let ranks: [StepID: Int]

    var states: [StepID: StepState]
    var attempts: [StepID: Int]
    /// How often the undoing of a step was begun.
    var undoAttempts: [StepID: Int] = [:]
    var mode = Mode.forward
    var stageIndex = 0
    var hasEnteredStage = false
    var failure: Failure?
    /// Steps to be undone, by host, the next one first.
    var undoQueues: [String: [StepID]] = [:]
    /// Read-only steps that prove a restored member, by host.
    var proofQueues: [String: [StepID]] = [:]
    var findings: [StepID: Event.Finding] = [:]
    /// The states, before they were looked at, of the steps that a resumed run asks about.
    var observedBefore: [StepID: StepState] = [:]
    /// Hosts that a resumed run found otherwise than it had left them.
    var driftedHosts: Set<String> = []
    /// Steps whose undo was begun and did not end well, as a journal shows.
    var halfUndone: Set<StepID> = []
    /// Steps that were taken back in this run and must not be done a second time all the same.
    var spent: Set<StepID> = []
    /// A resumed run has not yet decided what to go on with.
    var isSettling = false
    /// A signal came while the run could not stop at once.
    var wantsToStop = false
    package internal(set) var restored: Set<String> = []
    package internal(set) var restoreFailures: [String: Failure] = [:]
    /// Whether a change of a unit is known to have been begun in this run, also when it was undone later.
    var hasEverChangedANode = false
    /// Changes that were begun and that nothing has shown to be taken back or not begun.
    ///
    /// One that is in doubt and is
    /// to be done again waits like any other, and still counts.
    var standing: Set<StepID> = []
    let isResumed: Bool

    /// A machine at the start of a run, or at the point that a journal shows.
    ///
    /// - Parameters:
    ///   - plan: what is to be done.
    ///   - history: what the journal holds of this run, oldest first; empty for a new run.
    package init(plan: Plan, history: [HistoryEntry] = []) {
        self.plan = plan
        steps = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.id, $0) })
        units = Dictionary(
            grouping: plan.stages.filter { $0.phase == .steps }.flatMap(\.lanes),
            by: { $0.host ?? "" }
        ).mapValues { lanes in lanes.flatMap(\.steps) }
        ranks = Dictionary(
            plan.stages.enumerated().flatMap { rank, stage in stage.lanes.flatMap(\.steps).map { ($0, rank) } },
            uniquingKeysWith: { first, _ in first }
        )
        states = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.id, .pending) })
        attempts = [:]
        isResumed = !history.isEmpty
        replay(history)
    }

    /// Takes one event and says what is to be done now.
    ///
    /// After ``Directive/finish(_:)`` nothing follows.
    package mutating func handle(_ event: Event) -> [Directive] {
        guard mode != .finished else { return [] }
        if isResumed, !isWithinLimit { return finish(.drifted(tooManyTouched)) }
        let directives =
            switch event {
            case .begin: isResumed ? beginResumed() : advance()
            case .quorumObserved(let id, let quorum): quorumObserved(id, quorum)
            case .intentRecorded(let id): intentRecorded(id)
            case .ended(let id, let outcome): ended(id, outcome)
            case .outcomeRecorded(let id): outcomeRecorded(id)
            case .observed(let id, let finding): observed(id, finding)
            case .undoIntentRecorded(let id): undoIntentRecorded(id)
            case .undoEnded(let id, let outcome): undoEnded(id, outcome)
            case .undoOutcomeRecorded(let id): undoOutcomeRecorded(id)
            case .interrupted: interrupted()
            case .abandoned: finish(.interrupted)
            case .journalFailed(let reason): journalFailed(reason)
            }
        assertInvariants()
        return directives
    }

    // MARK: - What the reports ask

    /// How far a host has come.
    package func progress(of host: String) -> HostProgress {
        let unit = units[host] ?? []
        if !unit.isEmpty, unit.allSatisfy({ states[$0] == .done }) { return .complete }
        if let failure = restoreFailures[host] { return .restoreFailed(failure) }
        if restored.contains(host) { return .restored }
        guard let last = unit.last(where: { isAttemptedChange($0) }) else { return .untouched }
        return .touched(last)
    }

    /// Hosts whose unit is complete.
    package var completedHosts: Set<String> {
        Set(units.keys.filter { isComplete($0) })
    }

    package func isDone(_ step: StepID) -> Bool { state(step) == .done }

    /// What the journal shows of a step that is looked at.
    package func past(of step: StepID) -> StepPast {
        StepPast(
            attempts: attempts[step] ?? 0,
            wasDone: observedBefore[step] == .done,
            isHalfUndone: halfUndone.contains(step),
            undoAttempts: undoAttempts[step] ?? 0
        )
    }

    // MARK: - Shared questions

    func state(_ id: StepID) -> StepState { states[id] ?? .pending }

    func isChange(_ id: StepID) -> Bool {
        guard let step = steps[id] else { return false }
        return step.effect != .readOnly
    }

    func isAttemptedChange(_ id: StepID) -> Bool {
        isChange(id) && (state(id).isAttempted || standing.contains(id))
    }

    /// Whether a member was, or may have been, changed in this run.
    var isAnyMemberChanged: Bool {
        hasEverChangedANode || units.values.contains { unit in unit.contains(where: isAttemptedChange) }
    }

    /// Whether any host was, or may have been, changed and not put back: members, or writers that are frozen.
    package var isAnythingChanged: Bool {
        isAnyMemberChanged || plan.steps.contains { isAttemptedChange($0.id) }
    }

    /// Whether a change was ever begun in this run, also when it was taken back.
    package var hasBegunChange: Bool { attempts.keys.contains(where: isChange) }

    func isComplete(_ host: String) -> Bool {
        guard let unit = units[host], !unit.isEmpty else { return false }
        return unit.allSatisfy { state($0) == .done }
    }

    func isTouched(_ host: String) -> Bool {
        guard let unit = units[host], !isComplete(host) else { return false }
        return unit.contains { isAttemptedChange($0) }
    }

    var touchedHosts: [String] { plan.hosts.filter(isTouched) }

    /// Whether units stand and fall together.
    var isAllAtOnce: Bool { plan.serial == .all }

    /// Whether a host's unit is brought to its end although a signal came.
    func isUnderWay(_ host: String) -> Bool { isAllAtOnce ? !touchedHosts.isEmpty : isTouched(host) }

    /// The hosts that are taken back when one of them has to be.
    var hostsToTakeBack: [String] {
        isAllAtOnce ? plan.hosts.filter { isTouched($0) || isComplete($0) } : touchedHosts
    }

    /// Whether a step was left at work: by a second signal, or when the journal could not be written.
    package var isAnyStepInFlight: Bool { states.values.contains(where: \.isInFlight) }

    /// Hosts that this run has stopped, or has decided to stop, and not brought back.
    func hostsOut(except host: String) -> Set<String> {
        Set(units.keys.filter { $0 != host && isOut($0) })
    }

    func isOut(_ host: String) -> Bool {
        var isOut = false
        for id in units[host] ?? [] {
            guard let step = steps[id] else { continue }
            switch step.availability {
            case .unchanged: break
            case .takesOut:
                let isBegun = state(id) != .pending && state(id) != .awaitingQuorum
                if isBegun || standing.contains(id) { isOut = true }
            case .bounces: if state(id).isInFlight, state(id) != .awaitingQuorum { isOut = true }
            case .bringsBack: if state(id) == .done { isOut = false }
            }
        }
        return isOut
    }

    mutating func finish(_ verdict: Verdict) -> [Directive] {
        mode = .finished
        return [.finish(verdict)]
    }

    /// Promise 3: no more members are touched at a time than the plan allows.
    private func assertInvariants() {
        precondition(isWithinLimit, "more members touched than the plan allows: \(touchedHosts), \(plan.serial)")
    }

    private var isWithinLimit: Bool {
        guard case .hosts(let limit) = plan.serial else { return true }
        return touchedHosts.count <= max(limit, 1)
    }

    /// No run leaves such a journal behind; one that was written otherwise must not be trusted.
    private var tooManyTouched: Failure {
        Failure(
            "the journal shows more members in the middle of their steps than the plan allows at a time: "
                + touchedHosts.joined(separator: ", "),
            remedy: "look at each of them with `pawl status`, and roll back those that are changed"
        )
    }
}

/// What a journal holds of one step, for whoever looks at it on its node.
package struct StepPast: Hashable, Sendable {
    package var attempts: Int
    /// Its end was seen, and it was a success.
    package var wasDone: Bool
    /// Taking it back was begun and did not end well.
    package var isHalfUndone: Bool
    /// How often taking it back was begun in this run.
    package var undoAttempts: Int

    package init(attempts: Int, wasDone: Bool = false, isHalfUndone: Bool = false, undoAttempts: Int = 0) {
        self.undoAttempts = undoAttempts
        self.attempts = attempts
        self.wasDone = wasDone
        self.isHalfUndone = isHalfUndone
    }
}

/// How far a host has come in a run.
package enum HostProgress: Hashable, Sendable {
    case untouched
    /// Changed and not complete; the last step that was begun.
    case touched(StepID)
    case complete
    /// Changed, then taken back to its state before.
    case restored
    case restoreFailed(Failure)
}
