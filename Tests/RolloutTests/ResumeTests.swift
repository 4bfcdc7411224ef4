// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Rollout

struct ResumeTests {
    typealias World = RolloutWorld

    static let steps: [StepID] = [
        "preflight.1/*", "freeze.1/api1", "gate.1@start/*", "steps.1/n2", "steps.2/n2", "steps.3/n2", "steps.4/n2",
        "steps.5/n2", "gate.1@n2/*", "postflight.1/*",
    ]

    @Test(arguments: steps, ["intent", "perform", "outcome"])
    func `a crash at any point is resumed to the end of an undisturbed run`(step: StepID, what: String) {
        for extent in World.Extent.allCases {
            for isRecorded in [false, true] {
                for onFailure in [Plan.OnFailure.restore, .halt] {
                    var world = World.orderly(SamplePlan(onFailure: onFailure))
                    world.incidents["\(what) \(step)"] = .crash(extent, isRecorded: isRecorded)
                    #expect(world.run() == nil)
                    #expect(world.resumeUndisturbed() == .done, "\(extent), recorded: \(isRecorded)")
                    #expect(world.violations == [])
                }
            }
        }
    }

    @Test(arguments: ["steps.4/n1", "steps.3/n1", "steps.1/n1"], ["undo-intent", "undo", "undo-outcome"])
    func `a crash in a restore is resumed to the end`(step: String, what: String) {
        for extent in World.Extent.allCases {
            for isRecorded in [false, true] {
                var world = World.orderly()
                world.faults["steps.5/n1"] = [.fails(.none)]
                world.incidents["\(what) \(step)"] = .crash(extent, isRecorded: isRecorded)
                #expect(world.run() == nil)
                #expect(world.resumeUndisturbed() == .done, "\(extent), recorded: \(isRecorded)")
                #expect(world.violations == [])
            }
        }
    }

    private func crashed(at id: StepID, _ extent: World.Extent, _ plan: SamplePlan = SamplePlan()) -> World {
        var world = World.orderly(plan)
        world.incidents["perform \(id)"] = .crash(extent, isRecorded: false)
        world.run()
        return world
    }

    @Test func `a step that must not repeat is skipped where it is found done`() {
        var world = crashed(at: "steps.3/n1", .fully)
        #expect(world.run() == .done)
        #expect(!world.changes.contains("perform steps.3/n1"))
        #expect(world.announcements.contains("migrate: found done"))
    }

    @Test func `it is performed where it is found not begun`() {
        var world = crashed(at: "steps.3/n1", .none)
        #expect(world.run() == .done)
        #expect(world.changes.first == "perform steps.3/n1")
    }

    @Test func `it is undone first where it is in doubt`() {
        var world = crashed(at: "steps.3/n1", .partly)
        #expect(world.run() == .done)
        #expect(world.changes.prefix(2) == ["undo steps.3/n1", "perform steps.3/n1"])
    }

    @Test func `it halts where it is in doubt and has no undo`() {
        var world = crashed(at: "steps.3/n1", .partly, SamplePlan(migrateHasUndo: false))
        let verdict = world.run()
        #expect(verdict?.word == "halted")
        #expect(verdict?.failure?.message.contains("must not be done twice") == true)
        #expect(world.acts == [])
    }

    @Test func `it halts where it is in doubt and is not to be done again after its undo`() {
        var world = crashed(at: "steps.3/n2", .partly, SamplePlan(mayRedoMigrate: false))
        guard case .halted(let failure) = world.run() else {
            Issue.record("not halted")
            return
        }
        #expect(failure.message.contains("must not be done twice"))
        #expect(world.acts == [])
    }

    @Test func `a unit with such a step behind it is not begun anew on drift`() {
        var world = crashed(at: "steps.3/n2", .fully, SamplePlan(mayRedoMigrate: false))
        world.startByHand("n2")
        #expect(world.run()?.word == "drifted")
        #expect(world.acts == [])
    }

    @Test func `its undo still puts a failed member back`() {
        var world = World.orderly(SamplePlan(mayRedoMigrate: false))
        world.faults["steps.4/n1"] = [.fails(.none)]
        #expect(world.run()?.word == "halted")
        #expect(world.acts.contains("undo steps.3/n1"))
    }

    @Test(arguments: ["steps.4/n1", "steps.3/n1"])
    func `a step that was taken back and is not to be done again keeps its host from being begun anew`(
        failing: StepID
    ) {
        var world = World.orderly(SamplePlan(mayRedoMigrate: false))
        world.faults[failing] = [.fails(.none)]
        #expect(world.run()?.word == "halted")
        #expect(world.acts.contains("undo steps.3/n1"))
        for _ in 1...2 {
            let verdict = world.run()
            #expect(verdict?.word == "halted")
            #expect(verdict?.failure?.message.contains("must not be done again") == true)
            #expect(world.changes == [])
            #expect(world.violations == [])
        }
    }

    @Test func `its taking back is brought to an end before that`() {
        var world = World.orderly(SamplePlan(mayRedoMigrate: false))
        world.faults["steps.4/n1"] = [.fails(.none)]
        world.incidents["undo-intent steps.1/n1"] = .crash(.none, isRecorded: true)
        #expect(world.run() == nil)
        let verdict = world.run()
        #expect(verdict?.failure?.message.contains("must not be done again") == true)
        #expect(world.changes == ["undo steps.1/n1"])
        #expect(world.violations == [])
    }

    @Test func `a step of an older journal may be redone`() throws {
        let plan = SamplePlan().make()
        let step = try #require(plan.steps.first)
        var fields = try #require(
            JSONSerialization.jsonObject(with: JSONEncoder().encode(step)) as? [String: Any]
        )
        #expect(fields.removeValue(forKey: "mayRedoAfterUndo") as? Bool == true)
        let old = try JSONDecoder().decode(PlannedStep.self, from: JSONSerialization.data(withJSONObject: fields))
        #expect(old == step)
        var single = step
        single.mayRedoAfterUndo = false
        #expect(try JSONDecoder().decode(PlannedStep.self, from: JSONEncoder().encode(single)) == single)
    }

    @Test func `an undo that fails there halts`() {
        var world = crashed(at: "steps.3/n1", .partly)
        world.undoFaults["steps.3/n1"] = [.fails(.none)]
        #expect(world.run()?.word == "halted")
        #expect(world.violations == [])
    }

    @Test(arguments: ["steps.2/n1", "steps.4/n1"])
    func `a step that may repeat is done again where it is in doubt`(id: String) {
        var world = crashed(at: StepID(id), .partly)
        #expect(world.run() == .done)
        #expect(world.changes.first == "perform \(id)")
        #expect(world.violations == [])
    }

    @Test func `a stop in doubt is taken back first, so that the member is stopped in sight`() {
        var world = crashed(at: "steps.1/n1", .partly)
        #expect(world.run() == .done)
        #expect(world.changes.prefix(2) == ["undo steps.1/n1", "perform steps.1/n1"])
        #expect(world.violations == [])
    }

    @Test func `a unit that is taken back whole is begun anew with its backup`() {
        let plan = SamplePlan().make()
        let done: [StepID] = ["preflight.1/*", "freeze.1/api1", "gate.1@start/*", "steps.1/n1", "steps.2/n1"]
        let history = done.flatMap { id in
            [
                HistoryEntry(step: id, attempt: 1, kind: .intent),
                HistoryEntry(step: id, attempt: 1, kind: .outcome(.succeeded)),
            ]
        }
        var machine = RolloutMachine(
            plan: plan,
            history: history + [.init(step: "steps.1/n1", attempt: 1, kind: .undoIntent)]
        )
        #expect(machine.handle(.begin).contains(.observe("steps.2/n1")))
        _ = machine.handle(.observed("steps.1/n1", .notBegun("etcd runs")))
        _ = machine.handle(.observed("steps.2/n1", .notBegun("etcd was started since")))
        // The proof that the member is as before.
        _ = machine.handle(.intentRecorded("steps.5/n1"))
        _ = machine.handle(.ended("steps.5/n1", .succeeded))
        _ = machine.handle(.outcomeRecorded("steps.5/n1"))
        #expect(!machine.isDone("steps.2/n1"))
    }

    @Test func `each undo of a step has a number of its own, also after a resume`() {
        let plan = SamplePlan().make()
        let entry = { (kind: HistoryEntry.Kind) in HistoryEntry(step: "steps.3/n1", attempt: 1, kind: kind) }
        let failure = Failure("killed")
        let history = [
            entry(.intent), entry(.outcome(.inDoubt(failure))), entry(.undoIntent), entry(.undoOutcome(.succeeded)),
            entry(.intent), entry(.outcome(.inDoubt(failure))),
        ]
        var machine = RolloutMachine(plan: plan, history: history)
        _ = machine.handle(.begin)
        #expect(
            machine.handle(.observed("steps.3/n1", .inDoubt("half written"))).contains(
                .recordUndoIntent("steps.3/n1", attempt: 2)
            )
        )
        #expect(machine.handle(.undoIntentRecorded("steps.3/n1")) == [.undo("steps.3/n1", attempt: 2)])
    }

    @Test func `what cannot be looked at halts, and nothing is taken back`() {
        let plan = SamplePlan().make()
        let done: [StepID] = ["preflight.1/*", "freeze.1/api1", "gate.1@start/*", "steps.1/n1", "steps.2/n1"]
        let history = done.flatMap { id in
            [
                HistoryEntry(step: id, attempt: 1, kind: .intent),
                HistoryEntry(step: id, attempt: 1, kind: .outcome(.succeeded)),
            ]
        }
        var machine = RolloutMachine(
            plan: plan,
            history: history + [.init(step: "steps.3/n1", attempt: 1, kind: .intent)]
        )
        var open = machine.handle(.begin).compactMap { directive -> StepID? in
            if case .observe(let id) = directive { id } else { nil }
        }
        let last = open.removeLast()
        for id in open { #expect(machine.handle(.observed(id, .inDoubt("half written"))) == []) }
        let end = machine.handle(.observed(last, .unseen("no route to n1")))
        guard case .finish(.halted(let failure)) = end.first, end.count == 1 else {
            Issue.record("\(end)")
            return
        }
        #expect(failure.host == "n1")
        #expect(failure.message.hasSuffix("cannot be looked at: no route to n1"))
    }

    @Test func `a freeze in doubt is undone and done again before the first host`() {
        var world = crashed(at: "freeze.1/api1", .partly)
        #expect(world.run() == .done)
        #expect(world.changes.prefix(2) == ["undo freeze.1/api1", "perform freeze.1/api1"])
        #expect(world.violations == [])
    }

    @Test func `a member started by hand is drift, is taken back and begun anew behind a new gate`() {
        var world = crashed(at: "steps.2/n2", .none)
        world.startByHand("n2")
        #expect(world.run() == .done)
        #expect(world.announcements.first?.contains("not in place any more") == true)
        #expect(
            world.acts.prefix(4) == [
                "undo steps.1/n2", "perform steps.5/n2", "perform gate.1@n1/*", "perform steps.1/n2",
            ]
        )
        #expect(world.violations == [])
    }

    @Test func `drift that cannot be taken back ends as drifted`() {
        var world = crashed(at: "steps.3/n2", .fully)
        world.startByHand("n2")
        #expect(world.run()?.word == "drifted")
        #expect(world.violations == [])
        world.nodes["n2"]?.service = .down
        #expect(world.run() == .done)
        #expect(world.violations == [])
    }

    @Test func `with on_failure halt drift is left to a person`() {
        var world = crashed(at: "steps.2/n2", .none, SamplePlan(onFailure: .halt))
        world.startByHand("n2")
        #expect(world.run()?.word == "drifted")
        #expect(world.acts == [])
    }

    @Test func `drift on one host of a batch leaves no doubt open on the other`() {
        let plan = SamplePlan(hosts: ["n1", "n2", "n3", "n4", "n5"], serial: .hosts(2))
        var world = World.orderly(plan)
        world.faults["steps.2/n1"] = [.inDoubt(.none)]
        world.incidents["outcome steps.2/n1"] = .crash(.partly, isRecorded: true)
        world.run()
        world.startByHand("n1")
        #expect(world.run() == .done)
        #expect(world.violations == [])
    }

    @Test func `drift on one host does not keep another from undoing what must not repeat`() {
        var world = World.orderly(SamplePlan(serial: .all, needsQuorum: false))
        world.incidents["perform steps.3/n2"] = .crash(.partly, isRecorded: false)
        world.run()
        world.nodes["n1"]?.contents = .v2
        world.startByHand("n1")
        #expect(world.run() == .done)
        #expect(world.changes.contains("undo steps.3/n2"))
    }

    @Test func `a step that was found not begun is not undone with the rest of its unit`() {
        var world = crashed(at: "steps.3/n2", .none)
        world.startByHand("n2")
        #expect(world.run() == .done)
        #expect(!world.acts.contains("undo steps.3/n2"))
    }

    @Test func `writers that came back are stopped again before the run goes on`() {
        var world = crashed(at: "steps.3/n2", .none, SamplePlan(freezeEffect: .repeatable))
        world.writers["api1"] = .open
        #expect(world.run() == .done)
        #expect(world.changes.first == "perform freeze.1/api1")
        #expect(world.violations == [])
    }

    @Test func `between two hosts the gate is passed again before the next is touched`() {
        var world = crashed(at: "steps.1/n2", .none)
        #expect(world.run() == .done)
        #expect(world.acts.prefix(2) == ["perform gate.1@n1/*", "perform steps.1/n2"])
        #expect(world.violations == [])
    }

    @Test func `in the middle of a unit the gate is not asked, for it cannot hold`() {
        var world = crashed(at: "steps.2/n2", .none)
        #expect(world.run() == .done)
        #expect(world.acts.first == "perform steps.2/n2")
    }

    @Test func `the preflight is not run again once a member is changed`() {
        var world = crashed(at: "gate.1@n1/*", .none)
        #expect(world.run() == .done)
        #expect(!world.acts.contains("perform preflight.1/*"))
    }

    @Test func `a proof of a restored member does not count on the way forward`() {
        var world = World.orderly()
        world.faults["steps.4/n1"] = [.fails(.none)]
        #expect(world.run()?.word == "halted")
        #expect(world.resumeUndisturbed() == .done)
        #expect(world.acts.contains("perform steps.5/n1"))
        #expect(world.violations == [])
    }

    @Test func `nor does it after a crash behind the last change`() {
        var world = World.orderly()
        world.faults["steps.4/n1"] = [.fails(.none)]
        world.run()
        world.incidents["intent steps.5/n1"] = .crash(.none, isRecorded: false)
        #expect(world.run() == nil)
        #expect(world.run() == .done)
        #expect(world.acts.first == "perform steps.5/n1")
        #expect(world.violations == [])
    }

    @Test func `a withdrawn attempt leaves the doubt of the one before it`() {
        let entries = ["steps.1/n1"].flatMap { id in
            [
                HistoryEntry(step: StepID(id), attempt: 1, kind: .intent),
                HistoryEntry(step: StepID(id), attempt: 2, kind: .intent),
                HistoryEntry(step: StepID(id), attempt: 2, kind: .outcome(.failed(Failure(RolloutMachine.withdrawn)))),
            ]
        }
        var machine = RolloutMachine(plan: SamplePlan().make(), history: entries)
        #expect(machine.handle(.begin).contains(.observe("steps.1/n1")))
    }

    @Test func `a journal with more members in the middle than the plan allows is not trusted`() {
        let entries = ["steps.1/n1", "steps.1/n2"].map { HistoryEntry(step: StepID($0), attempt: 1, kind: .intent) }
        var machine = RolloutMachine(plan: SamplePlan().make(), history: entries)
        guard case .finish(.drifted) = machine.handle(.begin).first else {
            Issue.record("not refused")
            return
        }
    }

    @Test func `a batch of no hosts counts as one`() {
        var world = World.orderly(SamplePlan(serial: .hosts(0)))
        #expect(world.run() == .done)
    }

    @Test func `a run that was done is done when it is resumed`() {
        var world = World.orderly()
        world.run()
        #expect(world.run() == .done)
        #expect(world.changes == [])
        #expect(world.violations == [])
    }
}
