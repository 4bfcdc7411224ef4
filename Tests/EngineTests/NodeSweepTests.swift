// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote
import Rollout
import TestSupport
import Testing

@testable import Engine

@Suite(.timeLimit(.minutes(1))) struct NodeSweepTests {
    private let desk: Desk
    private let sweep: NodeSweep
    private let plan: Plan

    init() throws {
        desk = try Desk(["hosts.ini": "n1\n", "play.yaml": "hosts: all\nsteps:\n  - command: 'true'\n"])
        let play = try PlayLoader.load(desk.request(extra: ["pawl_state_dir=\(desk.path)/state"]))
        plan = Planner.plan(play, Survey(order: play.hosts, memberIDs: [:]))
        sweep = NodeSweep(run: "r1", play: play, hosts: HostDirectory(play) { LocalHost(name: $0.name) })
    }

    private func job(_ run: String) -> JobHost {
        let id = JobID(run: run, step: "steps.1/n1", attempt: 1)
        return JobHost(LocalHost(name: "n1"), id: id, state: NodeState(directory: desk.file("state")))
    }

    private func begin(_ run: String, _ script: String) async throws {
        var command = RemoteCommand("work", script: script, effect: .mutating)
        command.isDetached = true
        _ = try await job(run).run(command)
    }

    private var left: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: desk.file("state/jobs"))) ?? []).sorted()
    }

    private func age(_ run: String, days: Int) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: Double(-days) * 86_400)],
            ofItemAtPath: desk.file("state/jobs/\(run).steps.1%2Fn1.1")
        )
    }

    @Test func `what earlier runs noted of services goes as well`() async throws {
        try FileManager.default.createDirectory(
            atPath: desk.file("state/service"),
            withIntermediateDirectories: true
        )
        try desk.write("state/service/n1.etcd.found", "r0 running\n")
        #expect(await sweep.sweep(plan, LeaveTaking(isDone: false)).isEmpty)
        #expect(!FileManager.default.fileExists(atPath: desk.file("state/service")))
    }

    @Test func `what a run that has begun since noted of services stays`() async throws {
        try FileManager.default.createDirectory(
            atPath: desk.file("state/service"),
            withIntermediateDirectories: true
        )
        try desk.write("state/run", "the replica of r2\n")
        try desk.write("state/service/n1.etcd.found", "r2 running\n")
        try desk.write("state/service/n2.etcd.found", "r1 running\n")
        #expect(await sweep.sweep(plan, LeaveTaking(isDone: false)).isEmpty)
        #expect(FileManager.default.fileExists(atPath: desk.file("state/service/n1.etcd.found")))
        #expect(!FileManager.default.fileExists(atPath: desk.file("state/service/n2.etcd.found")))
    }

    @Test func `what a run has left goes, and the directories with it`() async throws {
        try await begin("r1", "true")
        #expect(await sweep.sweep(plan, LeaveTaking(isDone: false)).isEmpty)
        #expect(!FileManager.default.fileExists(atPath: desk.file("state")))
        #expect(await sweep.sweep(plan, LeaveTaking(isDone: false)).isEmpty, "and again, where there is nothing")
    }

    @Test func `what was prepared by a run that was taken back goes, on hosts that it never came to, too`() async throws
    {
        let desk = try Desk(["hosts.ini": "n1\nn2\n", "play.yaml": "hosts: all\nsteps:\n  - command: 'true'\n"])
        let names = ["n1", "n2"].flatMap { [".pawl-r0-\($0)", ".pawl-r9-\($0)", "\($0)"] }
        for name in names {
            let path = desk.file("data/\(name)")
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        let play = try PlayLoader.load(
            desk.request(extra: [
                "pawl_state_dir=\(desk.path)/state", "etcd_data_dir=\(desk.path)/data/{{ inventory_hostname }}",
            ])
        )
        let plan = Planner.plan(play, Survey(order: ["n1"], memberIDs: [:]))
        var sweep = NodeSweep(run: "r1", play: play, hosts: HostDirectory(play) { LocalHost(name: $0.name) })
        #expect(await sweep.sweep(plan, LeaveTaking(isDone: false)).isEmpty)
        func left() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: desk.file("data")).sorted()
        }
        #expect(try left() == names.sorted(), "a run that is nobody's rollback knows nothing of them")
        sweep.origin = "r0"
        #expect(await sweep.sweep(plan, LeaveTaking(isDone: false)).isEmpty)
        #expect(try left() == [".pawl-r9-n1", ".pawl-r9-n2", "n1", "n2"])
    }

    @Test func `jobs of other runs stay for a week, and for as long as they run`() async throws {
        try await begin("r2", "true")
        try await begin("r3", "true")
        async let running: Void = begin("r4", "until [ -e \(desk.file("go")) ]; do sleep 0.05; done")
        while !left.contains(where: { $0.hasPrefix("r4") })
            || !FileManager.default.fileExists(
                atPath: desk.file("state/jobs/r4.steps.1%2Fn1.1/pid")
            )
        { try await Task.sleep(for: .milliseconds(20)) }
        for run in ["r2", "r3"] {
            while !FileManager.default.fileExists(atPath: desk.file("state/jobs/\(run).steps.1%2Fn1.1/flushed")) {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        try age("r2", days: 6)
        try age("r3", days: 9)
        try age("r4", days: 9)
        #expect(await sweep.sweep(plan, LeaveTaking(isDone: false)).isEmpty)
        #expect(left == ["r2.steps.1%2Fn1.1", "r4.steps.1%2Fn1.1", "swept"])
        try desk.write("go")
        try await running
        // That nothing is found of a run that was swept by age proves nothing.
        let found = try await job("r3").settle(within: .seconds(5))
        #expect(found == .inDoubt("old jobs of this run were cleaned up on the node"))
        let never = try await job("r5").settle(within: .seconds(5))
        #expect(never == .notBegun("it was called off before it began"))
    }

    @Test func `what cannot be removed is told`() async throws {
        let play = try PlayLoader.load(desk.request(extra: ["pawl_state_dir=\(desk.path)/state"]))
        let gone = NodeSweep(run: "r1", play: play, hosts: HostDirectory(play) { NamedHost(name: $0.name) })
        #expect(await gone.sweep(plan, LeaveTaking(isDone: false)).map(\.message) == ["not there"])
    }
}
