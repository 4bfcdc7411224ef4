// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Rollout

struct QuorumTests {
    struct Case: CustomTestStringConvertible {
        var testDescription: String
        var voters: Int
        var healthy: Set<String>
        var out: Set<String> = []
        var isAllowed: Bool
    }

    static let cases = [
        Case(testDescription: "three of three", voters: 3, healthy: ["n1", "n2", "n3"], isAllowed: true),
        Case(testDescription: "another is unhealthy", voters: 3, healthy: ["n1", "n2"], isAllowed: false),
        Case(testDescription: "itself is unhealthy", voters: 3, healthy: ["n2", "n3"], isAllowed: false),
        Case(
            testDescription: "five, another is unhealthy",
            voters: 5,
            healthy: ["n1", "n2", "n3", "n4"],
            isAllowed: false
        ),
        Case(testDescription: "two voters", voters: 2, healthy: ["n1", "n2"], isAllowed: false),
        Case(testDescription: "one voter", voters: 1, healthy: ["n1"], isAllowed: true),
        Case(testDescription: "one voter, unhealthy", voters: 1, healthy: [], isAllowed: false),
        Case(testDescription: "one voter, and it is another host", voters: 1, healthy: ["n2"], isAllowed: false),
        Case(
            testDescription: "five, one out by us",
            voters: 5,
            healthy: ["n1", "n3", "n4", "n5"],
            out: ["n2"],
            isAllowed: true
        ),
        Case(
            testDescription: "five, two out by us",
            voters: 5,
            healthy: ["n1", "n4", "n5"],
            out: ["n2", "n3"],
            isAllowed: false
        ),
        Case(
            testDescription: "about to be stopped, and still healthy",
            voters: 3,
            healthy: ["n1", "n2", "n3"],
            out: ["n2"],
            isAllowed: false
        ),
        Case(testDescription: "no answer at all", voters: 3, healthy: [], isAllowed: false),
    ]

    @Test(arguments: cases)
    func `a stop needs all others healthy and a majority of them`(_ one: Case) {
        let quorum = Quorum(voters: one.voters, healthy: one.healthy)
        #expect(quorum.allows(stopping: "n1", alreadyOut: one.out) == one.isAllowed)
        let proof = quorum.proof(stopping: "n1", alreadyOut: one.out)
        if one.voters > 1 { #expect(proof.contains(one.isAllowed ? "quorum kept" : "not allowed")) }
    }

    @Test func `the stop of the only voter is announced as an outage`() {
        let quorum = Quorum(voters: 1, healthy: ["n1"])
        #expect(
            quorum.proof(stopping: "n1") == "quorum: 1 voter, 1 healthy; stopping n1 is an outage until it is back"
        )
    }

    @Test func `a run of one voter goes through`() {
        var world = RolloutWorld.orderly(SamplePlan(hosts: ["n1"]))
        #expect(world.run() == .done)
        #expect(world.announcements.first?.contains("outage") == true)
    }

    @Test func `a run of two voters is refused, unfrozen, and told what to do`() {
        var world = RolloutWorld.orderly(SamplePlan(hosts: ["n1", "n2"]))
        let verdict = world.run()
        #expect(verdict?.word == "refused")
        #expect(verdict?.failure?.remedy?.contains("serial: all") == true)
        #expect(world.violations == [])
        #expect(!world.isFrozen)
    }

    @Test func `an unhealthy member before the first stop refuses the run`() {
        var world = RolloutWorld.orderly()
        world.unhealthyAt = ["steps.1/n1"]
        let verdict = world.run()
        #expect(verdict?.word == "refused")
        #expect(verdict?.failure?.message.contains("no answer") == true)
        #expect(world.changes == ["perform freeze.1/api1", "undo freeze.1/api1"])
    }

    @Test func `an unhealthy member before a later stop halts the run and keeps the freeze`() {
        var world = RolloutWorld.orderly()
        world.unhealthyAt = ["steps.1/n2"]
        #expect(world.run()?.word == "halted")
        #expect(world.violations == [])
        #expect(world.isFrozen)
        #expect(world.isMigrated("n1"))
        #expect(world.isAsBefore("n2"))
        #expect(world.resumeUndisturbed() == .done)
    }

    @Test(arguments: 0..<20)
    func `two of three are never out at a time, whatever the batch says`(seed: Int) {
        var world = RolloutWorld(SamplePlan(serial: .hosts(2)).make(), seed: UInt64(seed))
        #expect(world.run()?.word != "done")
        #expect(world.violations == [])
        #expect(world.plan.hosts.allSatisfy { world.isAsBefore($0) })
    }

    @Test(
        arguments: [(["n1"], ["n2", "n3"], true), ([], ["n2", "n3"], false), (["n1"], ["n2"], false)]
            as [(Set<String>, Set<String>, Bool)]
    )
    func `a member that an earlier run left down may be held down, and only with all others healthy`(
        down: Set<String>,
        healthy: Set<String>,
        isAllowed: Bool
    ) {
        var plan = SamplePlan(writers: []).make()
        plan.stages = plan.stages.filter { $0.phase == .steps }
        plan.down = down
        var machine = RolloutMachine(plan: plan)
        let stop = StepID("steps.1/n1")
        #expect(machine.handle(.begin).contains(.observeQuorum(stop)))
        let directives = machine.handle(.quorumObserved(stop, Quorum(voters: 3, healthy: healthy)))
        #expect(directives.contains(.recordIntent(stop, attempt: 1)) == isAllowed, "\(directives)")
    }
}
