// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Journal
import Rollout
import Testing

@Suite struct ResumeTests {
    @Test func `the first signal brings the current host to its end and stops there`() async throws {
        let bench = try Bench()
        let (signals, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        await bench.events.onStart(of: "steps.1/b") { sender.yield(.interrupt) }
        let stopped = try await bench.run(signals)
        #expect(stopped.exitCode == 130)
        #expect(bench.log == ["freeze", "one a", "two a", "look a", "one b", "two b", "look b"])
        #expect(stopped.states == ["a": "done", "b": "done", "c": "unchanged"])
        #expect(try await bench.record().state == .interrupted)

        await bench.events.onEvent { _ in }
        #expect(try await bench.resume().exitCode == 0)
        #expect(bench.log.filter { $0 != "freeze" } == Array(Bench.fullLog.dropFirst()))
    }

    @Test func `a signal before the first change takes the freeze back`() async throws {
        let bench = try Bench()
        let (signals, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        await bench.events.onStart(of: "freeze.1/a") { sender.yield(.interrupt) }
        #expect(try await bench.run(signals).exitCode == 130)
        #expect(bench.log == ["freeze", "thaw"])
    }

    @Test func `after the second signal the step is in doubt, and resume takes it back first`() async throws {
        let bench = try Bench(["one-b": "sleep 60"])
        let (signals, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        let log = bench.desk.file("log")
        await bench.events.onStart(of: "steps.1/b") {
            sender.yield(.interrupt)
            // Not before the line has had its effect.
            Task {
                while !((try? String(contentsOfFile: log, encoding: .utf8)) ?? "").contains("one b") {
                    await Task.yield()
                }
                sender.yield(.abandon)
            }
        }
        let stopped = try await bench.run(signals)
        #expect(stopped.exitCode == 130)
        #expect(stopped.states["b"] == "in doubt")
        let id = try await bench.record().id
        #expect(try await bench.store.records(of: id).last { $0.step == "steps.1/b" }?.kind == .intent)

        await bench.events.onEvent { _ in }
        try bench.desk.write("one-b", "")
        #expect(try await bench.resume().exitCode == 0)
        let mine = bench.log.filter { $0.hasSuffix(" b") }
        #expect(mine == ["one b", "undo-one b", "one b", "two b", "look b"])
    }

    @Test func `a line that is not to be run again halts the resumed run where its end was not seen`() async throws {
        let playbook = Bench.playbook.replacing("redo: after-undo", with: "redo: never")
        let bench = try Bench(["play.yaml": playbook, "one-b": "sleep 60"])
        let (signals, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        await bench.events.onStart(of: "steps.1/b") {
            sender.yield(.interrupt)
            sender.yield(.abandon)
        }
        #expect(try await bench.run(signals).exitCode == 130)
        await bench.events.onEvent { _ in }
        let before = bench.log
        let halted = try await bench.resume()
        #expect(halted.exitCode == 3)
        #expect(halted.report?.reason.contains("must not be done twice") == true)
        #expect(bench.log == before)
    }

    @Test func `a changed step is drift`() async throws {
        let bench = try Bench(["broken-b": ""])
        try await bench.run()
        try bench.desk.write("play.yaml", Bench.playbook.replacing("echo two", with: "echo deux"))
        let error = await #expect(throws: RunControllerError.self) { try await bench.resume() }
        #expect(error?.code == .drift)
        #expect(error?.exitCode == 6)
        #expect(error?.message.contains("steps.2/a (Two)") == true)
    }

    @Test func `an added step or host is drift`() async throws {
        let bench = try Bench(["broken-b": ""])
        try await bench.run()
        try bench.desk.write("play.yaml", Bench.playbook + "postflight:\n  - pause: 1s\n")
        #expect(await #expect(throws: RunControllerError.self) { try await bench.resume() }?.code == .drift)
        try bench.desk.write("play.yaml", Bench.playbook)
        try bench.desk.write("hosts.ini", "a\nb\nc\nd\n")
        #expect(await #expect(throws: RunControllerError.self) { try await bench.resume() }?.code == .drift)
        try bench.desk.write("hosts.ini", "a\nb\nd\n")
        #expect(await #expect(throws: RunControllerError.self) { try await bench.resume() }?.code == .drift)
    }

    @Test func `another way to a host is no drift`() async throws {
        let bench = try Bench(["broken-b": ""])
        try await bench.run()
        try bench.desk.remove("broken-b")
        try bench.desk.write("hosts.ini", "a\nb ansible_host=10.9.8.7 ansible_port=2222\nc\n")
        #expect(try await bench.resume().exitCode == 0)
    }

    @Test func `a playbook that became invalid is said with its place`() async throws {
        let bench = try Bench(["broken-b": ""])
        try await bench.run()
        try bench.desk.write("play.yaml", Bench.playbook.replacing("order:", with: "oder:"))
        let error = await #expect(throws: DiagnosticsError.self) { try await bench.resume() }
        #expect(error?.diagnostics.first?.location?.line == 3)
    }

    @Test func `an unknown run, an empty journal and a run that is done are refused`() async throws {
        let bench = try Bench()
        let none = await #expect(throws: RunControllerError.self) { try await bench.resume() }
        #expect(none?.code == .unknownRun)
        #expect(none?.exitCode == 64)
        try await bench.run()
        #expect(await #expect(throws: JournalError.self) { try await bench.resume("zzz") }?.code == .unknownRun)
        let id = try await bench.record().id
        let done = await #expect(throws: RunControllerError.self) { try await bench.resume(id) }
        #expect(done?.code == .nothingToDo)
        #expect(done?.exitCode == 64)
    }

    @Test func `a run is found by the beginning of its id, and knows what is done`() async throws {
        let bench = try Bench(["broken-b": ""])
        try await bench.run()
        let id = try await bench.record().id
        let open = try await bench.controller.open(String(id.prefix(12)))
        #expect(open.id == id)
        #expect(open.request == bench.request)
        #expect(open.doneSteps.isSuperset(of: ["steps.1/a", "steps.2/a", "steps.3/a"].map { StepID($0) }))
        #expect(open.doneSteps.isDisjoint(with: ["steps.1/b", "steps.2/b"].map { StepID($0) }))
    }
}
