// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Rollout

struct PlanLayoutTests {
    @Test func `serial 1 gives each host a stage with a gate before it`() {
        #expect(
            SamplePlan(hosts: ["n1", "n2"]).make().stages.map(\.id) == [
                "preflight.1", "freeze.1", "gate.1@start", "steps@n1", "gate.1@n1", "steps@n2", "postflight.1",
                "thaw",
            ]
        )
    }

    @Test func `serial 2 puts two hosts in a stage, and the rest in the last one`() throws {
        let plan = SamplePlan(serial: .hosts(2)).make()
        let batches = plan.stages.filter { $0.phase == .steps }
        #expect(batches.map(\.id) == ["steps@n1+n2", "steps@n3"])
        #expect(try #require(batches.first).lanes.map(\.host) == ["n1", "n2"])
        #expect(plan.stages.filter { $0.phase == .gate }.map(\.id) == ["gate.1@start", "gate.1@n1+n2"])
    }

    @Test func `a batch larger than the play is one batch`() {
        let plan = SamplePlan(serial: .hosts(9)).make()
        #expect(plan.stages.filter { $0.phase == .steps }.map(\.id) == ["steps@n1+n2+n3"])
    }

    @Test func `serial all gives each step a stage over all hosts`() {
        let plan = SamplePlan(serial: .all).make()
        #expect(
            plan.stages.map(\.id) == [
                "preflight.1", "freeze.1", "gate.1@start", "steps.1@all", "steps.2@all", "steps.3@all", "steps.4@all",
                "steps.5@all", "postflight.1", "thaw",
            ]
        )
        #expect(plan.stages.filter { $0.phase == .steps }.allSatisfy { $0.lanes.map(\.host) == ["n1", "n2", "n3"] })
    }

    @Test func `with serial all, a step may be for the last host, or for the others one by one`() {
        func entry(_ number: Int, _ place: PlanLayout.Place, oneByOne: Bool = false) -> PlanLayout.Entry {
            var entry = PlanLayout.Entry(phase: .steps, number: number, isClusterWide: false, hosts: []) { id, host in
                PlannedStep(id: id, phase: .steps, host: host, name: "", action: "", effect: .once, digest: "")
            }
            (entry.place, entry.isOneByOne) = (place, oneByOne)
            return entry
        }
        let entries = [entry(1, .everyone), entry(2, .last), entry(3, .others), entry(4, .others, oneByOne: true)]
        let stages = PlanLayout.lay(entries, over: ["n1", "n2", "n3"], serial: .all).stages
        #expect(
            stages.map(\.id) == ["steps.1@all", "steps.2@all", "steps.3@all", "steps.4@n1", "steps.4@n2"]
        )
        #expect(
            stages.map { $0.lanes.map(\.host) } == [["n1", "n2", "n3"], ["n3"], ["n1", "n2"], ["n1"], ["n2"]]
        )
        // A cluster of one has no others.
        let alone = PlanLayout.lay(entries, over: ["n1"], serial: .all).stages
        #expect(alone.map(\.id) == ["steps.1@all", "steps.2@all"])
    }

    @Test func `step ids say phase, number and host, and are unique`() {
        let plan = SamplePlan().make()
        let ids = plan.steps.map(\.id.text)
        #expect(ids.prefix(4) == ["preflight.1/*", "freeze.1/api1", "gate.1@start/*", "steps.1/n1"])
        #expect(ids.contains("gate.1@n2/*"))
        #expect(ids.last == "postflight.1/*")
        #expect(Set(ids).count == ids.count)
    }

    @Test func `the same inputs give the same plan`() {
        #expect(SamplePlan().make() == SamplePlan().make())
    }

    @Test func `the id of a unit's step does not depend on the batch`() {
        func unitSteps(_ serial: Plan.Serial) -> Set<StepID> {
            Set(SamplePlan(serial: serial).make().steps.filter { $0.phase == .steps }.map(\.id))
        }
        #expect(unitSteps(.hosts(1)) == unitSteps(.hosts(2)))
        #expect(unitSteps(.hosts(1)) == unitSteps(.all))
    }

    @Test func `every step of a stage is in the plan, and every step of the plan is in one stage`() {
        for serial in [Plan.Serial.hosts(1), .hosts(2), .all] {
            let plan = SamplePlan(serial: serial).make()
            let laid = plan.stages.filter { $0.work == .perform }.flatMap(\.lanes).flatMap(\.steps)
            #expect(laid.sorted() == plan.steps.map(\.id).sorted())
        }
    }

    @Test func `a freeze may be for hosts that are not in the play`() throws {
        let plan = SamplePlan(writers: ["api1", "api2"]).make()
        let freeze = try #require(plan.stages.first { $0.phase == .freeze })
        #expect(freeze.lanes.map(\.host) == ["api1", "api2"])
        #expect(freeze.lanes.map(\.steps) == [["freeze.1/api1"], ["freeze.1/api2"]])
    }

    @Test func `the thaw takes freeze steps back last one first, and leaves out what has no undo`() throws {
        let entries = [("controllers", true), ("note", false), ("apiserver", true)].enumerated().map { index, freeze in
            PlanLayout.Entry(phase: .freeze, number: index + 1, isClusterWide: false, hosts: ["api1"]) { id, host in
                PlannedStep(
                    id: id,
                    phase: .freeze,
                    host: host,
                    name: freeze.0,
                    action: "command",
                    effect: .once,
                    hasUndo: freeze.1,
                    digest: ""
                )
            }
        }
        let layout = PlanLayout.lay(entries, over: ["n1"], serial: .hosts(1))
        let thaw = try #require(layout.stages.last)
        #expect(thaw.work == .undo)
        #expect(thaw.lanes.flatMap(\.steps) == ["freeze.3/api1", "freeze.1/api1"])
    }

    @Test func `a thaw of the playbook takes the place of the undo`() {
        let stages = SamplePlan(hasExplicitThaw: true).make().stages
        #expect(stages.suffix(2).map(\.id) == ["postflight.1", "thaw.1"])
        #expect(stages.allSatisfy { $0.work == .perform })
    }

    @Test func `the preflight is one stage, in which hosts do not wait for each other`() {
        let entries = [false, false, true, false].enumerated().map { index, isClusterWide in
            PlanLayout.Entry(
                phase: .preflight,
                number: index + 1,
                isClusterWide: isClusterWide,
                hosts: ["n1", "n2"]
            ) { id, host in
                PlannedStep(id: id, phase: .preflight, host: host, name: "", action: "", effect: .readOnly, digest: "")
            }
        }
        let stages = PlanLayout.lay(entries, over: ["n1", "n2"], serial: .hosts(1)).stages
        #expect(stages.map(\.id) == ["preflight.1"])
        #expect(
            stages.first?.lanes.map(\.steps) == [
                ["preflight.3/*"], ["preflight.1/n1", "preflight.2/n1", "preflight.4/n1"],
                ["preflight.1/n2", "preflight.2/n2", "preflight.4/n2"],
            ]
        )
    }

    @Test func `what is prepared is prepared on all hosts behind the first gate`() throws {
        let plan = SamplePlan(hasPrepare: true).make()
        #expect(
            plan.stages.prefix(5).map(\.id) == ["preflight.1", "freeze.1", "gate.1@start", "prepare.1", "steps@n1"]
        )
        let prepare = try #require(plan.stages.first { $0.phase == .prepare })
        #expect(prepare.lanes.map(\.steps) == [["prepare.1/n1"], ["prepare.1/n2"], ["prepare.1/n3"]])
    }

    @Test func `tools come before the preflight, which looks at them, on all hosts`() throws {
        let plan = SamplePlan(hasTools: true).make()
        #expect(plan.stages.prefix(3).map(\.id) == ["tools.1", "preflight.1", "freeze.1"])
        #expect(plan.stages.first?.lanes.map(\.steps) == [["tools.1/n1"], ["tools.1/n2"], ["tools.1/n3"]])
    }

    @Test func `a playbook without steps has no gate`() {
        let entries = SamplePlan().entries.filter { $0.phase != .steps }
        let layout = PlanLayout.lay(entries.filter { $0.phase != .gate }, over: ["n1"], serial: .hosts(1))
        #expect(layout.stages.map(\.id) == ["preflight.1", "freeze.1", "postflight.1", "thaw"])
    }

    @Test func `a plan comes back from JSON as it was`() throws {
        let plan = SamplePlan(serial: .hosts(2), writers: ["api1", "api2"]).make()
        let data = try JSONEncoder().encode(plan)
        #expect(try JSONDecoder().decode(Plan.self, from: data) == plan)
    }
}
