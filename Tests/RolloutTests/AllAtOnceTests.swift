// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Rollout

/// `serial: all`: the members stand and fall together, behind barriers on the way there and back.
struct AllAtOnceTests {
    typealias World = RolloutWorld

    private static func world(onFailure: Plan.OnFailure = .restore) -> World {
        World.orderly(SamplePlan(serial: .all, onFailure: onFailure, needsQuorum: false))
    }

    @Test(arguments: 1...5, World.Extent.allCases)
    func `whichever step fails or is in doubt on one member, all go back together, and can be gone on with`(
        step: Int,
        extent: World.Extent
    ) {
        for fault in [World.Fault.fails(extent), .inDoubt(extent)] {
            for host in ["n1", "n2", "n3"] {
                var world = Self.world()
                world.faults[StepID("steps.\(step)/\(host)")] = [fault]
                let verdict = world.run()
                #expect(verdict?.failure?.host == host)
                #expect(world.violations == [])
                #expect(world.plan.hosts.allSatisfy(world.isAsBefore))
                #expect(world.isFrozen)
                #expect(world.resumeUndisturbed() == .done)
                #expect(world.violations == [])
            }
        }
    }

    /// Whichever member is ready first, and although not all had come to the step that failed.
    @Test(arguments: 0..<20)
    func `members go back behind the barriers that they came through`(seed: UInt64) {
        var world = Self.world()
        (world.isOrderly, world.random) = (seed == 0, SplitMix64(seed: seed))
        world.faults["steps.4/n2"] = [.fails(.fully)]
        #expect(world.run()?.word == "halted")
        let undone = world.changes.filter { $0.hasPrefix("undo steps.") }.compactMap { $0.dropFirst(11).first }
        #expect(String(undone).wholeMatch(of: /4{1,3}333111/) != nil, "\(String(undone))")
    }

    @Test func `a member that is complete goes back with one that fails at the last barrier`() {
        var world = Self.world()
        world.faults["steps.5/n3"] = [.fails(.none)]
        #expect(world.run()?.word == "halted")
        #expect(world.plan.hosts.allSatisfy(world.isAsBefore))
        #expect(world.changes.contains("undo steps.3/n1"))
        #expect(world.violations == [])
        #expect(world.resumeUndisturbed() == .done)
    }

    @Test func `a member that cannot be put back stays down, and the others go back without it`() {
        var world = Self.world()
        world.faults["steps.3/n2"] = [.fails(.partly)]
        world.undoFaults["steps.3/n2"] = [.fails(.none)]
        #expect(world.run()?.word == "halted")
        #expect(world.isAsBefore("n1") && world.isAsBefore("n3"))
        #expect(world.nodes["n2"]?.service == .down)
        #expect(world.machine.restoreFailures.keys.sorted() == ["n2"])
        #expect(world.resumeUndisturbed() == .done)
        #expect(world.violations == [])
    }

    @Test func `with on_failure halt everything stays, and is gone on with at the barrier`() {
        var world = Self.world(onFailure: .halt)
        world.faults["steps.3/n2"] = [.fails(.none)]
        #expect(world.run()?.word == "halted")
        #expect(world.plan.hosts.allSatisfy { world.nodes[$0]?.service == .down })
        #expect(world.resumeUndisturbed() == .done)
        #expect(!world.changes.contains { $0.hasPrefix("perform steps.1/") })
        #expect(world.violations == [])
    }

    @Test(arguments: 1...4, World.Extent.allCases)
    func `a controller that dies at a barrier is resumed from there`(step: Int, extent: World.Extent) {
        for isRecorded in [true, false] {
            var world = Self.world()
            world.incidents["perform steps.\(step)/n2"] = .crash(extent, isRecorded: isRecorded)
            #expect(world.run() == nil)
            #expect(world.run() == .done)
            #expect(world.violations == [])
        }
    }

    @Test func `a stop that nobody saw the end of is taken back on all, because one alone would not serve`() {
        var world = Self.world()
        world.incidents["perform steps.1/n2"] = .crash(.partly, isRecorded: false)
        #expect(world.run() == nil)
        #expect(world.run() == .done)
        #expect(world.changes.prefix(3).allSatisfy { $0.hasPrefix("undo steps.1/") })
        #expect(world.violations == [])
    }

    @Test(arguments: 1...4)
    func `a signal at any barrier brings all members to their end`(step: Int) {
        var world = Self.world()
        world.incidents["perform steps.\(step)/n3"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(world.plan.hosts.allSatisfy(world.isMigrated))
        #expect(world.violations == [])
        #expect(world.resumeUndisturbed() == .done)
    }

    @Test func `a signal before the first member is stopped lets the writers go`() {
        var world = Self.world()
        world.incidents["perform gate.1@start/*"] = .interrupt
        #expect(world.run() == .interrupted)
        #expect(!world.isFrozen)
        #expect(world.plan.hosts.allSatisfy(world.isAsBefore))
    }
}
