// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Rollout

struct InterruptTests {
    typealias World = RolloutWorld

    @Test(arguments: ["intent preflight.1/*", "perform preflight.1/*", "outcome preflight.1/*"])
    func `in the preflight it stops with nothing changed`(label: String) {
        var world = World.orderly()
        world.incidents[label] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.changes == [])
        #expect(world.resumeUndisturbed() == .done)
    }

    @Test(arguments: ["perform freeze.1/api1", "outcome freeze.1/api1", "perform gate.1@start/*", "quorum steps.1/n1"])
    func `before the first host it takes the freeze back`(label: String) {
        var world = World.orderly()
        world.incidents[label] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.changes == ["perform freeze.1/api1", "undo freeze.1/api1"])
        #expect(!world.isFrozen)
        #expect(world.resumeUndisturbed() == .done)
        #expect(world.violations == [])
    }

    @Test(arguments: ["freeze.1/api1", "steps.1/n1"])
    func `a change whose intent is on record is withdrawn, and counts as never begun`(id: String) {
        var world = World.orderly()
        world.incidents["intent \(id)"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(!world.changes.contains("perform \(id)"))
        #expect(!world.isFrozen)
        world.faults["preflight.1/*"] = [.fails(.none)]
        #expect(world.run()?.word == "refused")
        #expect(world.resumeUndisturbed() == .done)
        #expect(world.violations == [])
    }

    @Test(arguments: 1...5, ["intent", "perform", "outcome"])
    func `in a unit it brings the member to its end and begins no other`(step: Int, what: String) {
        guard !(step == 1 && what == "intent") else { return }
        var world = World.orderly()
        world.incidents["\(what) steps.\(step)/n2"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.violations == [])
        #expect(world.isMigrated("n1") && world.isMigrated("n2") && world.isAsBefore("n3"))
        #expect(world.isFrozen)
        #expect(world.resumeUndisturbed() == .done)
        #expect(world.violations == [])
    }

    @Test func `in a gate it stops behind the gate`() {
        var world = World.orderly()
        world.incidents["perform gate.1@n1/*"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.changes.last == "perform steps.4/n1")
        #expect(world.isFrozen)
    }

    @Test func `during an undo the undo is brought to its end`() {
        var world = World.orderly()
        world.faults["steps.3/n1"] = [.inDoubt(.fully)]
        world.incidents["undo steps.3/n1"] = .interrupt
        #expect(world.run()?.word == "halted")
        #expect(world.isAsBefore("n1"))
        #expect(world.violations == [])
    }

    @Test func `while a resumed run looks around, a unit in the middle is still brought to its end`() {
        var world = World.orderly()
        world.incidents["perform steps.3/n2"] = .crash(.fully, isRecorded: false)
        #expect(world.run() == nil)
        world.incidents["observe steps.3/n2"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.isMigrated("n2") && world.isAsBefore("n3"))
        #expect(world.violations == [])
    }

    @Test func `of a batch only what was begun goes on`() {
        var world = World.orderly(SamplePlan(hosts: ["n1", "n2", "n3", "n4", "n5"], serial: .hosts(2)))
        world.incidents["intent steps.1/n2"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.isMigrated("n1") && world.isAsBefore("n2"))
        #expect(world.violations == [])
        #expect(world.resumeUndisturbed() == .done)
    }

    @Test func `at the first barrier of serial all, all members are brought to their end once one is stopped`() {
        var world = World.orderly(SamplePlan(serial: .all, needsQuorum: false))
        world.incidents["intent steps.1/n2"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.plan.hosts.allSatisfy(world.isMigrated))
        #expect(world.violations == [])
        #expect(world.resumeUndisturbed() == .done)
        #expect(world.violations == [])
    }

    @Test func `a step that is done again after a doubt still holds the freeze`() {
        var world = World.orderly()
        world.incidents["perform steps.2/n1"] = .crash(.partly, isRecorded: false)
        #expect(world.run() == nil)
        world.incidents["perform steps.2/n1"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.isMigrated("n1"))
        #expect(world.isFrozen)
        #expect(world.violations == [])
    }

    @Test(arguments: 1...5)
    func `the second one abandons what runs, and the resumed run finds out`(step: Int) {
        var world = World.orderly()
        world.incidents["perform steps.\(step)/n1"] = .abandon
        #expect(world.run() == .interrupted)
        #expect(world.resumeUndisturbed() == .done)
        #expect(world.violations == [])
    }

    @Test func `a thaw that an interrupt asks for and that fails is said`() {
        var world = World.orderly()
        world.incidents["perform gate.1@start/*"] = .interrupt
        world.undoFaults["freeze.1/api1"] = [.fails(.none)]
        #expect(world.run()?.word == "halted")
        #expect(world.resumeUndisturbed() == .done)
    }
}
