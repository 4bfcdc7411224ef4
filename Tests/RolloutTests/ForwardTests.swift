// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Rollout

struct ForwardTests {
    @Test func `a run goes through its phases in order, with a gate before each host`() {
        var world = RolloutWorld.orderly()
        #expect(world.run() == .done)
        #expect(world.violations == [])
        #expect(
            world.stagesEntered == [
                "preflight.1", "freeze.1", "gate.1@start", "steps@n1", "gate.1@n1", "steps@n2", "gate.1@n2",
                "steps@n3", "postflight.1", "thaw",
            ]
        )
        #expect(!world.isFrozen)
    }

    @Test func `the steps of a host follow each other as the playbook has them`() {
        var world = RolloutWorld.orderly(SamplePlan(hosts: ["n1"]))
        #expect(world.run() == .done)
        #expect(
            world.acts == [
                "perform preflight.1/*", "perform freeze.1/api1", "perform gate.1@start/*", "perform steps.1/n1",
                "perform steps.2/n1", "perform steps.3/n1", "perform steps.4/n1", "perform steps.5/n1",
                "perform postflight.1/*", "undo freeze.1/api1",
            ]
        )
    }

    @Test func `hosts are changed in the order of the plan, so that its last one is the leader`() {
        var world = RolloutWorld.orderly(SamplePlan(hosts: ["n2", "n3", "n1"]))
        #expect(world.run() == .done)
        let stops = world.acts.filter { $0.contains("steps.1/") }
        #expect(stops == ["perform steps.1/n2", "perform steps.1/n3", "perform steps.1/n1"])
    }

    @Test func `each stop is preceded by its quorum proof and its intent`() throws {
        var world = RolloutWorld.orderly()
        world.run()
        let labels = world.notes.compactMap { if case .directive(let directive) = $0 { directive.label } else { nil } }
        let stop = try #require(labels.firstIndex(of: "perform steps.1/n2"))
        #expect(
            labels[(stop - 3)..<stop] == [
                "quorum steps.1/n2",
                "announce n2: quorum: 3 voters, 3 healthy, 2 needed; after stopping n2: 2 healthy, quorum kept",
                "intent steps.1/n2",
            ]
        )
    }

    @Test func `a batch of two goes side by side and the next waits for its gate`() {
        let hosts = ["n1", "n2", "n3", "n4", "n5"]
        var world = RolloutWorld.orderly(SamplePlan(hosts: hosts, serial: .hosts(2)))
        #expect(world.run() == .done)
        #expect(world.violations == [])
        #expect(
            world.stagesEntered.filter { $0.hasPrefix("steps") } == ["steps@n1+n2", "steps@n3+n4", "steps@n5"]
        )
        let stops = world.acts.filter { $0.contains("steps.1/") || $0.contains("gate") }
        #expect(
            stops == [
                "perform gate.1@start/*", "perform steps.1/n1", "perform steps.1/n2", "perform gate.1@n1+n2/*",
                "perform steps.1/n3", "perform steps.1/n4", "perform gate.1@n3+n4/*", "perform steps.1/n5",
            ]
        )
    }

    @Test func `serial all makes each step a barrier`() {
        var world = RolloutWorld(SamplePlan(serial: .all, needsQuorum: false).make(), seed: 7)
        #expect(world.run() == .done)
        let numbers = world.changes.compactMap { label in
            label.hasPrefix("perform steps.") ? label.dropFirst(14).first : nil
        }
        #expect(numbers == numbers.sorted())
        #expect(world.changes.count == 12 + 2)
    }

    @Test(arguments: 0..<40)
    func `whatever order the answers come in, the run is done and no promise is broken`(seed: Int) {
        let hosts = ["n1", "n2", "n3", "n4", "n5"]
        var world = RolloutWorld(SamplePlan(hosts: hosts, serial: .hosts(2)).make(), seed: UInt64(seed))
        #expect(world.run() == .done)
        #expect(world.violations == [])
    }

    @Test func `a thaw of the playbook is performed in place of the undo`() {
        var world = RolloutWorld.orderly(SamplePlan(hosts: ["n1"], hasExplicitThaw: true))
        #expect(world.run() == .done)
        #expect(world.acts.suffix(2) == ["perform postflight.1/*", "perform thaw.1/api1"])
        #expect(!world.isFrozen)
    }

    @Test func `a freeze that cannot be undone stays where the playbook has no thaw`() {
        var world = RolloutWorld.orderly(SamplePlan(freezeHasUndo: false))
        #expect(world.run() == .done)
        #expect(world.isFrozen)
        #expect(!world.stagesEntered.contains("thaw"))
    }

    @Test func `events that nobody asked for change nothing`() {
        var machine = RolloutMachine(plan: SamplePlan().make())
        _ = machine.handle(.begin)
        let events: [Event] = [
            .intentRecorded("steps.1/n1"), .ended("steps.1/n1", .succeeded), .outcomeRecorded("steps.1/n1"),
            .observed("steps.1/n1", .done), .undoIntentRecorded("steps.1/n1"), .undoEnded("steps.1/n1", .succeeded),
            .undoOutcomeRecorded("steps.1/n1"), .intentRecorded("no such step"),
            .quorumObserved("steps.1/n1", Quorum(voters: 3, healthy: ["n1", "n2", "n3"])),
        ]
        for event in events { #expect(machine.handle(event) == []) }
        #expect(machine.progress(of: "n1") == .untouched)
        #expect(!machine.plan.steps.contains { machine.isDone($0.id) })
    }

    @Test func `nothing follows the end`() {
        var world = RolloutWorld.orderly()
        world.run()
        #expect(world.machine.handle(.begin) == [])
        #expect(world.machine.handle(.interrupted) == [])
        #expect(world.machine.completedHosts == ["n1", "n2", "n3"])
        #expect(world.machine.progress(of: "n2") == .complete)
    }
}
