// SPDX-License-Identifier: Apache-2.0

import Rollout
import Testing

/// What a run does when it learns that it has lost the lock: nothing more.
@Suite struct LostLockTests {
    /// Drives a machine whose steps succeed, with an answer of the test's own where it has one.
    private func drive(
        _ machine: inout RolloutMachine,
        quorum: (StepID) -> Quorum?,
        outcome: (StepID) -> Outcome?
    ) -> (verdict: Verdict?, performed: [String], undone: [String]) {
        var performed: [String] = []
        var undone: [String] = []
        var open = machine.handle(.begin)
        while !open.isEmpty {
            let directive = open.removeFirst()
            switch directive {
            case .enterStage, .announce: break
            case .observeQuorum(let id):
                let answer = quorum(id) ?? Quorum(voters: 3, healthy: ["n1", "n2", "n3"])
                open += machine.handle(.quorumObserved(id, answer))
            case .recordIntent(let id, _): open += machine.handle(.intentRecorded(id))
            case .perform(let id, _):
                performed.append(id.text)
                open += machine.handle(.ended(id, outcome(id) ?? .succeeded))
            case .recordOutcome(let id, _, _): open += machine.handle(.outcomeRecorded(id))
            case .observe(let id): open += machine.handle(.observed(id, .done))
            case .recordUndoIntent(let id): open += machine.handle(.undoIntentRecorded(id))
            case .undo(let id):
                undone.append(id.text)
                open += machine.handle(.undoEnded(id, .succeeded))
            case .recordUndoOutcome(let id, _): open += machine.handle(.undoOutcomeRecorded(id))
            case .finish(let verdict): return (verdict, performed, undone)
            }
        }
        return (nil, performed, undone)
    }

    private func lost(_ id: StepID) -> Quorum {
        Quorum(voters: 3, healthy: ["n1", "n2", "n3"], objection: "the lock is lost")
    }

    @Test func `an objection stops the run before the next member, however healthy all are`() {
        var machine = RolloutMachine(plan: SamplePlan().make())
        let end = drive(&machine, quorum: { $0 == "steps.1/n2" ? lost($0) : nil }, outcome: { _ in nil })
        guard case .halted(let failure) = end.verdict else {
            Issue.record("\(String(describing: end.verdict))")
            return
        }
        #expect(failure.message == "the lock is lost")
        #expect(failure.host == "n2")
        #expect(failure.isFenced)
        #expect(!end.performed.contains("steps.1/n2"))
        #expect(end.undone == [])
    }

    @Test func `an objection before the first member leaves the freeze as it is`() {
        var machine = RolloutMachine(plan: SamplePlan().make())
        let end = drive(&machine, quorum: { lost($0) }, outcome: { _ in nil })
        guard case .halted = end.verdict else {
            Issue.record("\(String(describing: end.verdict))")
            return
        }
        #expect(end.undone == [], "to thaw is a change too, and the freeze was one")
    }

    @Test(arguments: ["steps.2/n2", "steps.3/n2", "steps.4/n2"])
    func `a change that a node refused is not undone, although the plan restores`(step: String) {
        var machine = RolloutMachine(plan: SamplePlan().make())
        let fenced = Failure("the node refused it", isFenced: true)
        let end = drive(&machine, quorum: { _ in nil }, outcome: { $0.text == step ? .failed(fenced) : nil })
        guard case .halted(let failure) = end.verdict else {
            Issue.record("\(String(describing: end.verdict))")
            return
        }
        #expect(failure.isFenced)
        #expect(end.performed.last == step)
        #expect(end.undone == [])
    }

    @Test func `a failure in doubt that is not the fence's is undone as ever`() {
        var machine = RolloutMachine(plan: SamplePlan().make())
        let end = drive(
            &machine,
            quorum: { _ in nil },
            outcome: { $0 == "steps.2/n2" ? .failed(Failure("no room")) : nil }
        )
        #expect(end.undone == ["steps.1/n2"])
    }
}
