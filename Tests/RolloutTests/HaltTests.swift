// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Rollout

struct HaltTests {
    typealias World = RolloutWorld

    @Test func `a preflight that says no refuses the run before anything is frozen`() {
        var world = World.orderly()
        world.faults["preflight.1/*"] = [.fails(.none)]
        #expect(world.run()?.word == "refused")
        #expect(world.changes == [])
    }

    @Test(arguments: ["preflight.1/*", "gate.1@start/*"])
    func `a refusal takes back the tools that were there for the preflight to look at`(step: String) {
        var world = World.orderly(SamplePlan(hasTools: true))
        world.faults[StepID(step)] = [.fails(.none)]
        #expect(world.run()?.word == "refused")
        #expect(world.violations == [])
        let tools = world.changes.filter { $0.contains("tools") }
        #expect(tools.filter { $0.hasPrefix("perform") }.count == 3)
        #expect(tools.suffix(3) == ["undo tools.1/n3", "undo tools.1/n2", "undo tools.1/n1"])
    }

    @Test(arguments: World.Extent.allCases)
    func `a tool that does not arrive on one host is taken back on all`(extent: World.Extent) {
        var world = World.orderly(SamplePlan(hasTools: true))
        world.faults["tools.1/n2"] = [.inDoubt(extent)]
        #expect(world.run()?.word == "refused")
        #expect(world.violations == [])
        #expect(Set(world.changes.filter { $0.hasPrefix("undo tools") }).count == 3)
        #expect(!world.changes.contains { $0.contains("freeze") })
    }

    @Test func `a gate that fails before the first host refuses the run and thaws`() {
        var world = World.orderly()
        world.faults["gate.1@start/*"] = [.fails(.none)]
        #expect(world.run()?.word == "refused")
        #expect(world.changes == ["perform freeze.1/api1", "undo freeze.1/api1"])
        #expect(world.violations == [])
    }

    @Test(arguments: World.Extent.allCases)
    func `a freeze that fails is taken back on every host it reached`(extent: World.Extent) {
        var world = World.orderly(SamplePlan(writers: ["api1", "api2"]))
        world.faults["freeze.1/api2"] = [.inDoubt(extent)]
        #expect(world.run()?.word == "refused")
        #expect(world.violations == [])
        #expect(!world.isFrozen)
    }

    @Test func `a freeze that cannot be taken back is not called a run that changed nothing`() {
        var failing = World.orderly()
        failing.faults["gate.1@start/*"] = [.fails(.none)]
        failing.undoFaults["freeze.1/api1"] = [.fails(.none)]
        #expect(failing.run()?.word == "halted")
        #expect(failing.resumeUndisturbed() == .done)

        var fixed = World.orderly(SamplePlan(freezeHasUndo: false))
        fixed.faults["gate.1@start/*"] = [.fails(.none)]
        #expect(fixed.run()?.word == "halted")
    }

    @Test(arguments: World.Extent.allCases)
    func `a preparation that fails is taken back on every host, thaws, and can be gone on with`(extent: World.Extent) {
        var world = World.orderly(SamplePlan(hasPrepare: true))
        world.faults["prepare.1/n2"] = [.fails(extent)]
        let verdict = world.run()
        #expect(verdict?.word == "halted")
        #expect(verdict?.failure?.step == "prepare.1/n2")
        #expect(world.violations == [])
        #expect(!world.isFrozen)
        #expect(!world.changes.contains { $0.hasPrefix("perform steps.") })
        #expect(Set(world.changes.filter { $0.hasPrefix("undo prepare") }).count == 3)
        #expect(world.resumeUndisturbed() == .done)
    }

    @Test func `a gate that fails behind a host halts, and restores nobody`() {
        var world = World.orderly()
        world.faults["gate.1@n1/*"] = [.fails(.none)]
        #expect(world.run()?.failure?.step == "gate.1@n1/*")
        #expect(world.violations == [])
        #expect(world.isMigrated("n1"))
        #expect(!world.acts.contains { $0.hasPrefix("undo") })
        #expect(world.isFrozen)
        #expect(world.resumeUndisturbed() == .done)
    }

    @Test(arguments: 1...5, World.Extent.allCases)
    func `whichever step fails or is in doubt, its member is restored and no other is touched`(
        step: Int,
        extent: World.Extent
    ) {
        let id = StepID("steps.\(step)/n2")
        for fault in [World.Fault.fails(extent), .inDoubt(extent)] {
            var world = World.orderly()
            world.faults[id] = [fault]
            let verdict = world.run()
            #expect(verdict?.word == "halted")
            #expect(verdict?.failure?.step == id)
            #expect(world.violations == [])
            #expect(world.isMigrated("n1") && world.isAsBefore("n2") && world.isAsBefore("n3"))
            #expect(world.machine.progress(of: "n2") == .restored)
            #expect(world.machine.progress(of: "n3") == .untouched)
            #expect(world.isFrozen)
            #expect(world.resumeUndisturbed() == .done)
            #expect(world.violations == [])
        }
    }

    @Test func `the undo goes from the newest step to the oldest and ends with the proof of the member`() {
        var world = World.orderly()
        world.faults["steps.5/n1"] = [.fails(.none)]
        world.run()
        #expect(
            world.acts.suffix(4) == ["undo steps.4/n1", "undo steps.3/n1", "undo steps.1/n1", "perform steps.5/n1"]
        )
    }

    @Test func `a failure that does not name its step is still a failure of that step`() {
        var machine = RolloutMachine(
            plan: SamplePlan(needsQuorum: false).make(),
            history: ["preflight.1/*", "freeze.1/api1", "gate.1@start/*"].flatMap { id in
                [
                    HistoryEntry(step: StepID(id), attempt: 1, kind: .intent),
                    HistoryEntry(step: StepID(id), attempt: 1, kind: .outcome(.succeeded)),
                ]
            }
        )
        for event in [Event.begin, .intentRecorded("preflight.1/*"), .ended("preflight.1/*", .succeeded)] {
            _ = machine.handle(event)
        }
        _ = machine.handle(.outcomeRecorded("preflight.1/*"))
        for event in [Event.intentRecorded("gate.1@start/*"), .ended("gate.1@start/*", .succeeded)] {
            _ = machine.handle(event)
        }
        #expect(machine.handle(.outcomeRecorded("gate.1@start/*")).contains(.recordIntent("steps.1/n1", attempt: 1)))
        _ = machine.handle(.intentRecorded("steps.1/n1"))
        _ = machine.handle(.ended("steps.1/n1", .failed(Failure("no word of where"))))
        #expect(machine.handle(.outcomeRecorded("steps.1/n1")) == [.recordUndoIntent("steps.1/n1", attempt: 1)])
    }

    @Test func `with on_failure halt the member stays as it is`() {
        var world = World.orderly(SamplePlan(onFailure: .halt))
        world.faults["steps.3/n1"] = [.inDoubt(.partly)]
        #expect(world.run()?.word == "halted")
        #expect(!world.acts.contains { $0.hasPrefix("undo") })
        #expect(world.nodes["n1"]?.contents == .partial)
        #expect(world.machine.progress(of: "n1") == .touched("steps.3/n1"))
        #expect(world.resumeUndisturbed() == .done)
        #expect(world.violations == [])
    }

    @Test(arguments: World.Extent.allCases)
    func `an undo that fails leaves the steps before it alone`(extent: World.Extent) {
        for fault in [World.Fault.fails(extent), .inDoubt(extent)] {
            var world = World.orderly()
            world.faults["steps.5/n1"] = [.fails(.none)]
            world.undoFaults["steps.3/n1"] = [fault]
            #expect(world.run()?.word == "halted")
            #expect(world.acts.last == "undo steps.3/n1")
            #expect(world.machine.restoreFailures.keys.sorted() == ["n1"])
            #expect(world.announcements.contains { $0.hasPrefix("could not be put back") })
            #expect(world.nodes["n1"]?.service == .down)
            #expect(world.resumeUndisturbed() == .done)
            #expect(world.violations == [])
        }
    }

    @Test func `a step that must not repeat and has no undo is not gone back behind`() {
        var world = World.orderly(SamplePlan(migrateHasUndo: false))
        world.faults["steps.3/n1"] = [.fails(.partly)]
        #expect(world.run()?.word == "halted")
        #expect(world.violations == [])
        #expect(!world.acts.contains { $0.hasPrefix("undo") })
        #expect(world.machine.restoreFailures["n1"]?.message.contains("no undo") == true)
    }

    @Test func `an undo that stops a member needs a quorum proof of its own`() {
        var world = World.orderly()
        world.faults["steps.5/n1"] = [.fails(.none)]
        world.unhealthyAt = ["steps.4/n1"]
        #expect(world.run()?.word == "halted")
        #expect(world.violations == [])
        #expect(world.isMigrated("n1"))
        #expect(world.machine.restoreFailures["n1"]?.message.contains("not allowed") == true)
    }

    @Test(arguments: 0..<60)
    func `nothing is begun elsewhere while a failure is being recorded`(seed: Int) {
        let hosts = ["n1", "n2", "n3", "n4", "n5"]
        var world = World(SamplePlan(hosts: hosts, serial: .hosts(2)).make(), seed: UInt64(seed))
        world.faults["steps.3/n1"] = [.inDoubt(.fully)]
        #expect(world.run()?.word == "halted")
        #expect(world.violations == [])
        #expect(hosts.allSatisfy { world.isAsBefore($0) || $0 == "n2" && world.isMigrated($0) })
    }

    @Test func `when the journal cannot be written the run ends at once, and says what was changed`() {
        var early = World.orderly()
        early.incidents["intent preflight.1/*"] = .journalFails
        #expect(early.run()?.word == "refused")

        var frozen = World.orderly()
        frozen.incidents["intent gate.1@start/*"] = .journalFails
        #expect(frozen.run()?.word == "halted")

        var late = World.orderly()
        late.incidents["outcome steps.3/n1"] = .journalFails
        #expect(late.run()?.word == "halted")
        #expect(late.violations == [])
        #expect(late.resumeUndisturbed() == .done)
        #expect(late.violations == [])
    }

    @Test func `a thaw that fails halts, and the resumed run thaws the rest`() {
        var world = World.orderly(SamplePlan(writers: ["api1", "api2"]))
        world.undoFaults["freeze.1/api1"] = [.inDoubt(.partly)]
        #expect(world.run()?.word == "halted")
        #expect(world.resumeUndisturbed() == .done)
        #expect(!world.isFrozen)
        #expect(world.violations == [])
    }
}
