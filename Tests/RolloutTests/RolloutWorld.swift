// SPDX-License-Identifier: Apache-2.0

import TestSupport

@testable import Rollout

/// Everything around the rollout machine: hosts with their true state, a journal, faults, signals and crashes.
///
/// The world carries out directives one at a time, in an order of its own choosing, and checks after each event that
/// no promise was broken. What it holds is the truth; what the machine knows is only what the world tells it.
struct RolloutWorld {
    /// How far an effect came.
    enum Extent: CaseIterable {
        case none, partly, fully
    }

    enum Fault {
        case fails(Extent)
        case inDoubt(Extent)
    }

    /// What happens before a directive is carried out.
    enum Incident {
        case interrupt
        case abandon
        case journalFails
        /// The controller is gone: what was in flight came so far, and records were written or not.
        case crash(Extent, isRecorded: Bool)
    }

    enum Note {
        case event(Event)
        case directive(Directive)
        case remark(String)
    }

    /// How often things go wrong, out of a thousand; all zero for a world without faults.
    struct Odds {
        var fault = 0
        var undoFault = 0
        var quorum = 0
        var interrupt = 0
        var crash = 0
        var journal = 0
        var vagueFinding = 0
    }

    let plan: Plan
    let steps: [StepID: PlannedStep]
    var random: SplitMix64
    var odds = Odds()
    /// Directives are answered in the order in which they were given, not in a random one.
    var isOrderly = false
    var faults: [StepID: [Fault]] = [:]
    var undoFaults: [StepID: [Fault]] = [:]
    /// Steps whose next quorum observation shows another member as unhealthy.
    var unhealthyAt: Set<StepID> = []
    var incidents: [String: Incident] = [:]

    // The truth.
    var nodes: [String: Node] = [:]
    var writers: [String: Writers] = [:]
    var journal: [HistoryEntry] = []

    // What the invariants remember; see RolloutWorld+Invariants.
    var machine: RolloutMachine
    var inFlight: [Directive] = []
    var verdict: Verdict?
    var notes: [Note] = []
    var violations: [String] = []
    var memory = Memory()

    init(_ plan: Plan, seed: UInt64 = 0) {
        self.plan = plan
        steps = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.id, $0) })
        random = SplitMix64(seed: seed)
        machine = RolloutMachine(plan: plan)
        for host in plan.hosts { nodes[host] = Node() }
        for step in plan.steps where step.phase == .freeze { writers[step.host ?? ""] = .open }
    }

    // MARK: - Running

    /// Runs, or resumes, until the run finishes or the controller crashes (`nil`).
    @discardableResult
    mutating func run() -> Verdict? {
        inFlight = []
        verdict = nil
        memory.beginSession()
        memory.openAtStart = Set(plan.hosts.filter(isOpen))
        machine = RolloutMachine(plan: plan, history: journal)
        notes.append(.remark(journal.isEmpty ? "-- run" : "-- resume"))
        deliver(.begin)
        while verdict == nil {
            guard !inFlight.isEmpty else {
                violate("stuck: nothing is in flight and the run has not finished")
                return nil
            }
            let index = isOrderly ? 0 : random.below(inFlight.count)
            if let incident = incident(before: inFlight[index]) {
                if !happen(incident) { return nil }
                continue
            }
            let directive = inFlight.remove(at: index)
            if let event = carryOut(directive) { deliver(event) }
        }
        checkEnd()
        return verdict
    }

    private mutating func incident(before directive: Directive) -> Incident? {
        if !incidents.isEmpty, let incident = incidents.removeValue(forKey: directive.label) { return incident }
        if random.chance(perMille: odds.crash) {
            return .crash(Extent.allCases[random.below(3)], isRecorded: random.chance(perMille: 500))
        }
        if random.chance(perMille: odds.interrupt) { return memory.isInterrupted ? .abandon : .interrupt }
        if random.chance(perMille: odds.journal) { return .journalFails }
        return nil
    }

    /// - Returns: whether the controller still lives.
    private mutating func happen(_ incident: Incident) -> Bool {
        switch incident {
        case .interrupt:
            memory.isInterrupted = true
            deliver(.interrupted)
        case .abandon:
            memory.isAbandoned = true
            leaveBehind(.fully, isRecorded: true)
            deliver(.abandoned)
        case .journalFails:
            memory.isAbandoned = true
            leaveBehind(.fully, isRecorded: false)
            deliver(.journalFailed("disk full"))
        case .crash(let extent, let isRecorded):
            notes.append(.remark("-- crash, in flight: \(extent), recorded: \(isRecorded)"))
            leaveBehind(extent, isRecorded: isRecorded)
            return false
        }
        return true
    }

    /// Nobody waits any more for what is in flight.
    private mutating func leaveBehind(_ extent: Extent, isRecorded: Bool) {
        for directive in inFlight {
            switch directive {
            case .perform(let id, _): _ = apply(id, extent)
            case .undo(let id, _): _ = takeBack(id, extent)
            default: if isRecorded { record(directive) }
            }
        }
        inFlight = []
    }

    private mutating func deliver(_ event: Event) {
        notes.append(.event(event))
        remember(event)
        for directive in machine.handle(event) {
            notes.append(.directive(directive))
            check(directive)
            switch directive {
            case .enterStage, .announce: break
            case .finish(let verdict): self.verdict = verdict
            default: inFlight.append(directive)
            }
        }
    }

    // MARK: - Carrying out

    private mutating func carryOut(_ directive: Directive) -> Event? {
        record(directive)
        switch directive {
        case .enterStage, .announce, .finish: return nil
        case .observeQuorum(let id): return .quorumObserved(id, quorum(for: id))
        case .recordIntent(let id, _): return .intentRecorded(id)
        case .perform(let id, _): return .ended(id, perform(id))
        case .recordOutcome(let id, _, _): return .outcomeRecorded(id)
        case .observe(let id): return .observed(id, finding(id))
        case .recordUndoIntent(let id, _): return .undoIntentRecorded(id)
        case .undo(let id, _): return .undoEnded(id, undo(id))
        case .recordUndoOutcome(let id, _, _): return .undoOutcomeRecorded(id)
        }
    }

    private mutating func record(_ directive: Directive) {
        switch directive {
        case .recordIntent(let id, let attempt): journal.append(.init(step: id, attempt: attempt, kind: .intent))
        case .recordOutcome(let id, let attempt, let outcome):
            journal.append(.init(step: id, attempt: attempt, kind: .outcome(outcome)))
        case .recordUndoIntent(let id, let attempt):
            journal.append(.init(step: id, attempt: attempt, kind: .undoIntent))
        case .recordUndoOutcome(let id, let attempt, let outcome):
            journal.append(.init(step: id, attempt: attempt, kind: .undoOutcome(outcome)))
        default: break
        }
    }

    private mutating func perform(_ id: StepID) -> Outcome {
        switch nextFault(\.faults, id, odds.fault) {
        case .fails(let extent):
            _ = apply(id, extent)
            return .failed(Failure(step: id, host: steps[id]?.host, "failed"))
        case .inDoubt(let extent):
            _ = apply(id, extent)
            return .inDoubt(Failure(step: id, host: steps[id]?.host, "connection lost"))
        case nil:
            guard let refusal = apply(id, .fully) else { return .succeeded }
            return .failed(Failure(step: id, host: steps[id]?.host, refusal))
        }
    }

    private mutating func undo(_ id: StepID) -> Outcome {
        switch nextFault(\.undoFaults, id, odds.undoFault) {
        case .fails(let extent):
            _ = takeBack(id, extent)
            return .failed(Failure(step: id, host: steps[id]?.host, "undo failed"))
        case .inDoubt(let extent):
            _ = takeBack(id, extent)
            return .inDoubt(Failure(step: id, host: steps[id]?.host, "connection lost in undo"))
        case nil:
            guard let refusal = takeBack(id, .fully) else { return .succeeded }
            return .failed(Failure(step: id, host: steps[id]?.host, refusal))
        }
    }

    private mutating func nextFault(
        _ planned: WritableKeyPath<RolloutWorld, [StepID: [Fault]]>,
        _ id: StepID,
        _ perMille: Int
    ) -> Fault? {
        if let first = self[keyPath: planned][id]?.first {
            self[keyPath: planned][id]?.removeFirst()
            return first
        }
        guard random.chance(perMille: perMille) else { return nil }
        let extent = Extent.allCases[random.below(3)]
        return random.chance(perMille: 500) ? .inDoubt(extent) : .fails(extent == .fully ? .partly : extent)
    }

    mutating func violate(_ text: String) {
        violations.append(text)
        notes.append(.remark("!! \(text)"))
    }
}
