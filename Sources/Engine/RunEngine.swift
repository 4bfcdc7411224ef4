// SPDX-License-Identifier: Apache-2.0

import Actions
import Foundation
import Journal
import Playbooks
import Rollout

/// The shell around ``RolloutMachine``: performs its directives and tells it what came of them.
///
/// ## Concurrency
/// One task owns the machine and the journal: events reach it through one mailbox, in order. Steps, observations and
/// undos run in child tasks of the run, and answer into the mailbox.
package struct RunEngine: Sendable {
    /// What a signal asks for.
    package enum Signal: Sendable {
        /// Come to a safe point and stop.
        case interrupt
        /// Stop waiting.
        case abandon
    }

    /// Longer than a member takes to be backed up, migrated and proven, in most clusters.
    package static let defaultGrace = Duration.seconds(600)

    /// How a run ended, with the machine's last state for the reports.
    package struct Result: Sendable {
        package var verdict: Verdict
        package var machine: RolloutMachine
        /// Whether anything was begun by this process; where not, all proofs are of before.
        package var hasPerformed: Bool
        package var elapsed: Duration

        /// Whether the run is over with all that it did taken back, so that nothing of it is needed on the nodes.
        var isTakenBack: Bool {
            guard case .refused(let failure) = verdict else { return false }
            return machine.hasBegunChange && !failure.isFenced
        }
    }

    let run: String
    let plan: Plan
    let runner: StepRunner
    let quorum: QuorumObserver
    let journal: RunJournal
    let observer: any RunObserver
    let facts: any FactLedger
    /// How long after the first signal a safe point is waited for.
    let grace: Duration
    private var outages: OutageClock { OutageClock(facts: facts) }
    /// News from running steps, on its way to the observer.
    let progress: AsyncStream<(PlannedStep, String)>.Continuation
    private let news: AsyncStream<(PlannedStep, String)>

    init(
        run: String,
        plan: Plan,
        runner: StepRunner,
        quorum: QuorumObserver,
        journal: RunJournal,
        observer: any RunObserver,
        facts: any FactLedger,
        grace: Duration = Self.defaultGrace
    ) {
        self.run = run
        self.plan = plan
        self.runner = runner
        self.quorum = quorum
        self.journal = journal
        self.observer = observer
        self.facts = facts
        self.grace = grace
        (news, progress) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(256))
    }

    /// Performs the plan to its verdict.
    ///
    /// - Parameters:
    ///   - history: what the journal holds of this run; empty for a new one.
    ///   - signals: SIGINT and SIGTERM as they come; the first asks for a safe point, the second to stop waiting.
    /// - Returns: the verdict, and where the machine stood.
    package func perform(history: [HistoryEntry], signals: AsyncStream<Signal>) async -> Result {
        let started = ContinuousClock.now
        let (mailbox, sender) = AsyncStream.makeStream(of: Event.self)
        var loop = Loop(
            engine: self,
            machine: RolloutMachine(plan: plan, history: history),
            mailbox: sender
        )
        // Before any signal, which may have come while the lock was taken: a resumed run looks at the nodes first.
        sender.yield(.begin)
        let verdict = await withTaskGroup(of: Void.self) { group in
            group.addTask { await heed(signals, sender) }
            group.addTask {
                for await (step, text) in news { await tell(.stepProgress(step, text)) }
            }
            var verdict = Verdict.interrupted
            for await event in mailbox {
                if let end = await loop.take(event, in: &group) {
                    verdict = end
                    break
                }
            }
            group.cancelAll()
            return verdict
        }
        return Result(
            verdict: verdict,
            machine: loop.machine,
            hasPerformed: loop.hasPerformed,
            elapsed: ContinuousClock.now - started
        )
    }

    /// Passes signals on; when the grace time of the first is over, it is as if the second had come.
    private func heed(_ signals: AsyncStream<Signal>, _ sender: AsyncStream<Event>.Continuation) async {
        await withTaskGroup(of: Void.self) { group in
            var isStopping = false
            for await signal in signals {
                sender.yield(signal == .interrupt ? .interrupted : .abandoned)
                guard signal == .interrupt, !isStopping else { continue }
                isStopping = true
                group.addTask {
                    guard (try? await Task.sleep(for: grace)) != nil else { return }
                    await tell(
                        .notice(
                            Notice(
                                .warning,
                                "no safe point within the grace time of \(DurationText.of(grace)): no longer waiting; "
                                    + "what runs on the node is in doubt until `pawl resume` looks at it"
                            )
                        )
                    )
                    sender.yield(.abandoned)
                }
            }
        }
    }

    /// What the summary shows at the end: when a member served again, and what the gates said last.
    private func noteSuccess(of step: PlannedStep, _ evidence: Evidence?) async {
        await outages.stepSucceeded(step)
        guard step.phase == .gate || step.phase == .postflight, let evidence, evidence.isProof else { return }
        try? await facts.record("proof:\(step.action)", evidence.summary)
    }

    /// Something that is told and goes on record.
    func announce(_ text: String) async {
        await tell(.notice(Notice(.warning, text)))
        try? await journal.note(text, host: nil)
    }

    func tell(_ kind: RunEvent.Kind) async {
        await observer.receive(RunEvent(at: Date().timeIntervalSince1970, run: run, kind: kind))
    }
}

extension RunEngine {
    /// The one task's state: the machine, and what the journal and the views still have to be told of steps that ended.
    struct Loop {
        let engine: RunEngine
        var machine: RolloutMachine
        var hasPerformed = false
        let mailbox: AsyncStream<Event>.Continuation
        let endings = EndingBox()

        /// Hands one event to the machine and performs what it wants.
        ///
        /// - Returns: the verdict, when the run has ended.
        mutating func take(_ event: Event, in group: inout TaskGroup<Void>) async -> Verdict? {
            for directive in machine.handle(event) {
                if case .finish(let verdict) = directive { return verdict }
                await perform(directive, in: &group)
            }
            return nil
        }

        private mutating func perform(_ directive: Directive, in group: inout TaskGroup<Void>) async {
            switch directive {
            case .enterStage(let stage): await enter(stage)
            case .announce(let host, let text):
                await engine.tell(.notice(Notice(.info, host: host, text)))
                await record { try await $0.note(text, host: host) }
            case .observeQuorum(let id): observeQuorum(id, in: &group)
            case .recordIntent(let id, let attempt):
                let changes = machine.steps[id]?.effect != .readOnly
                await record(then: .intentRecorded(id)) { try await $0.intent(id, attempt: attempt, changes: changes) }
            case .perform(let id, let attempt): await begin(id, attempt: attempt, in: &group)
            case .recordOutcome(let id, let attempt, let outcome):
                let report = await endings.take(id) ?? .found(outcome)
                await record(then: .outcomeRecorded(id)) {
                    try await $0.outcome(id, attempt: attempt, outcome, report)
                }
                if let step = machine.steps[id] { await engine.tell(.stepFinished(step, report)) }
            case .observe(let id): observe(id, in: &group)
            case .recordUndoIntent(let id, let attempt):
                await record(then: .undoIntentRecorded(id)) { try await $0.undoIntent(id, attempt: attempt) }
            case .undo(let id, let attempt): await beginUndo(id, attempt: attempt, in: &group)
            case .recordUndoOutcome(let id, let attempt, let outcome):
                let report = await endings.take(id) ?? .found(outcome)
                await record(then: .undoOutcomeRecorded(id)) {
                    try await $0.undoOutcome(id, attempt: attempt, outcome, report)
                }
                if let step = machine.steps[id] { await engine.tell(.undoFinished(step, report)) }
            case .finish: break
            }
        }

        private func enter(_ stage: Stage) async {
            let hosts = stage.lanes.compactMap(\.host)
            let host = hosts.count == 1 ? hosts.first : nil
            await engine.tell(.stageStarted(phase: stage.phase, host: host, title: stage.id))
        }

        /// Writes to the journal; when that fails, the machine is told and no answer follows.
        private func record(then event: Event? = nil, _ write: (RunJournal) async throws -> Void) async {
            do {
                try await write(engine.journal)
                if let event { mailbox.yield(event) }
            } catch {
                await engine.tell(.notice(Notice(.warning, "journal: \(error)")))
                mailbox.yield(.journalFailed("\(error)"))
            }
        }

        // MARK: - Child tasks

        private func observeQuorum(_ id: StepID, in group: inout TaskGroup<Void>) {
            group.addTask { [engine, mailbox] in
                mailbox.yield(.quorumObserved(id, await engine.quorum.observe()))
            }
        }

        private mutating func begin(_ id: StepID, attempt: Int, in group: inout TaskGroup<Void>) async {
            guard let step = machine.steps[id] else { return }
            hasPerformed = true
            await engine.tell(.stepStarted(step, attempt: attempt))
            let call = call(step, attempt: attempt)
            group.addTask { [engine, mailbox, endings] in
                await engine.outages.stepBegins(step)
                let started = ContinuousClock.now
                let ending = await engine.runner.perform(call)
                if ending.outcome == .succeeded { await engine.noteSuccess(of: step, ending.evidence) }
                await endings.put(id, StepReport(ending, elapsed: ContinuousClock.now - started))
                mailbox.yield(.ended(id, ending.outcome))
            }
        }

        private func beginUndo(_ id: StepID, attempt: Int, in group: inout TaskGroup<Void>) async {
            guard let step = machine.steps[id] else { return }
            await engine.tell(.undoStarted(step))
            let call = call(step, attempt: attempt)
            group.addTask { [engine, mailbox, endings] in
                let started = ContinuousClock.now
                let ending = await engine.runner.undo(call)
                await endings.put(id, StepReport(ending, elapsed: ContinuousClock.now - started))
                mailbox.yield(.undoEnded(id, ending.outcome))
            }
        }

        private func observe(_ id: StepID, in group: inout TaskGroup<Void>) {
            guard let step = machine.steps[id] else { return }
            let past = machine.past(of: id)
            let call = call(step, attempt: max(1, past.attempts))
            group.addTask { [engine, mailbox] in
                mailbox.yield(.observed(id, await engine.runner.observe(call, past)))
            }
        }

        private func call(_ step: PlannedStep, attempt: Int) -> StepRunner.Call {
            // Progress is shown in order, and the step does not wait for the view.
            let past = machine.past(of: step.id)
            return StepRunner.Call(
                step: step,
                attempt: attempt,
                completedHosts: machine.completedHosts,
                hasChangedAnything: machine.isAnythingChanged,
                progress: { [progress = engine.progress] text in progress.yield((step, text)) },
                turn: past.attempts + past.undoAttempts
            )
        }
    }

    /// Reports of ended steps, between the child task that saw the end and the record of it.
    actor EndingBox {
        private var reports: [StepID: StepReport] = [:]

        func put(_ id: StepID, _ report: StepReport) { reports[id] = report }
        func take(_ id: StepID) -> StepReport? { reports.removeValue(forKey: id) }
    }
}
