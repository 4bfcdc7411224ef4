// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Journal
import Rollout
import Testing

@Suite(.timeLimit(.minutes(2))) struct ResumeTests {
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

    /// A run that is given up in the middle of `steps.1/b`, whose line then waits for the file `go` and does what
    /// that says.
    private func abandoned(_ playbook: String = Bench.playbook) async throws -> Bench {
        let bench = try Bench(["play.yaml": playbook])
        let go = bench.desk.file("go")
        try bench.desk.write("one-b", "until grep -q end \(go); do sleep 0.05; done; . \(go)")
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
        return bench
    }

    private func log(of host: String, _ bench: Bench) -> [String] { bench.log.filter { $0.hasSuffix(" \(host)") } }

    @Test(arguments: ["after-undo", "never"])
    func `after the second signal the step goes on, and resume waits for its end`(redo: String) async throws {
        let bench = try await abandoned(Bench.playbook.replacing("redo: after-undo", with: "redo: \(redo)"))
        async let resumed = bench.resume()
        try await Task.sleep(for: .milliseconds(300))
        #expect(log(of: "b", bench) == ["one b"])
        try bench.desk.write("go", ": # end")
        #expect(try await resumed.exitCode == 0)
        #expect(bench.log == Bench.fullLog)
        let left = (try? FileManager.default.contentsOfDirectory(atPath: bench.nodeState("b"))) ?? []
        #expect(!left.contains("jobs"))
    }

    @Test func `a step that was killed meanwhile is in doubt, and resume takes it back first`() async throws {
        let bench = try await abandoned()
        try bench.desk.write("go", "rm \(bench.desk.file("one-b")); : >\(bench.desk.file("one-b")); kill -9 $$ # end")
        #expect(try await bench.resume().exitCode == 0)
        #expect(log(of: "b", bench) == ["one b", "undo-one b", "one b", "two b", "look b"])
    }

    @Test func `a line that is not to be run again halts the resumed run where it did not end well`() async throws {
        for (end, reason) in [("kill -9 $$", "ended by signal 9"), ("exit 7", "exit code 7")] {
            let bench = try await abandoned(Bench.playbook.replacing("redo: after-undo", with: "redo: never"))
            try bench.desk.write("go", end + " # end")
            let before = bench.log
            let halted = try await bench.resume()
            #expect(halted.exitCode == 3)
            #expect(halted.report?.reason.contains("must not be done twice") == true)
            #expect(halted.report?.reason.contains(reason) == true, "\(halted.report?.reason ?? "")")
            #expect(bench.log == before)
        }
    }

    @Test func `a step that was never begun is begun, also one that must not be done twice`() async throws {
        let bench = try await abandoned(Bench.playbook.replacing("redo: after-undo", with: "redo: never"))
        let id = try await bench.record().id
        // As if the controller had died between the intent and the command.
        let job = bench.nodeState("b") + "/jobs/\(id).steps.1%2Fb.1"
        try bench.desk.write("go", ": # end")
        while !FileManager.default.fileExists(atPath: job + "/flushed") { try await Task.sleep(for: .milliseconds(20)) }
        try FileManager.default.removeItem(atPath: job)
        #expect(try await bench.resume().exitCode == 0)
        #expect(log(of: "b", bench) == ["one b", "one b", "two b", "look b"])
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
