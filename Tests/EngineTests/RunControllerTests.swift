// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Journal
import Remote
import Rollout
import TestSupport
import Testing

@Suite struct RunControllerTests {
    @Test func `hosts are changed one after the other with a gate between them`() async throws {
        let bench = try Bench()
        let conclusion = try await bench.run()
        #expect(conclusion.exitCode == 0)
        #expect(conclusion.verdict == .done)
        #expect(bench.log == Bench.fullLog)
        // Before the first, and behind each: on each of the three hosts.
        #expect(bench.desk.lines(of: "gates").count == 12)
        let record = try await bench.record()
        #expect(record.state == .done)
        #expect(record.exitCode == 0)
        #expect(conclusion.summary?.members.map(\.host) == ["a", "b", "c"])
        #expect(conclusion.summary?.playbook == "Three hosts")
    }

    @Test func `a failure in the middle undoes that host in reverse and touches no further one`() async throws {
        let bench = try Bench(["broken-b": ""])
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(
            bench.log == [
                "freeze", "one a", "two a", "look a", "one b", "two b", "undo-two b", "undo-one b", "look b",
            ]
        )
        #expect(halted.states == ["a": "done", "b": "restored", "c": "unchanged"])
        let report = try #require(halted.report)
        #expect(report.verdict == "halted")
        #expect(report.host == "b")
        #expect(report.step == "Two")
        #expect(report.reason.contains("exit code 1, where success is 0"))
        let run = try await bench.record()
        #expect(report.nextCommands.first?.command == "pawl resume \(run.id) --state /s")
        #expect(run.state == .halted)
        #expect(run.exitCode == 3)
    }

    @Test func `a resumed run goes on where the halted one was mended`() async throws {
        let bench = try Bench(["broken-b": ""])
        try await bench.run()
        try bench.desk.remove("broken-b")
        let before = bench.log.count
        let conclusion = try await bench.resume()
        #expect(conclusion.exitCode == 0)
        // The writers are frozen since the first part; host a is complete and not touched again.
        let rest = bench.log.dropFirst(before).filter { $0 != "freeze" }
        #expect(Array(rest) == ["one b", "two b", "look b", "one c", "two c", "look c", "thaw"])
        #expect(try await bench.record().state == .done)
    }

    @Test func `on_failure halt leaves the host as it is`() async throws {
        let playbook = Bench.playbook.replacing("on_failure: restore", with: "on_failure: halt")
        let bench = try Bench(["play.yaml": playbook, "broken-a": ""])
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(bench.log == ["freeze", "one a", "two a"])
        #expect(halted.states["a"] == "in doubt")
    }

    @Test func `a preflight that says no refuses the run before anything is changed`() async throws {
        let bench = try Bench(["not-ready-b": ""])
        let refused = try await bench.run()
        #expect(refused.exitCode == 4)
        #expect(bench.log == [])
        #expect(refused.report?.verdict == "refused")
        #expect(try await bench.record().state == .refused)
    }

    @Test func `the freeze is undone when the first gate is shut`() async throws {
        let bench = try Bench(["shut": ""])
        let refused = try await bench.run()
        #expect(refused.exitCode == 4)
        #expect(bench.log == ["freeze", "thaw"])
        #expect(refused.states == ["a": "unchanged", "b": "unchanged", "c": "unchanged"])
    }

    @Test func `a shut gate behind a host halts and keeps the freeze`() async throws {
        let playbook = Bench.playbook.replacing("test ! -e {{ dir }}/shut", with: "! grep -q 'look b' {{ dir }}/log")
        let bench = try Bench(["play.yaml": playbook])
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(bench.log == ["freeze", "one a", "two a", "look a", "one b", "two b", "look b"])
        #expect(halted.states == ["a": "done", "b": "done", "c": "unchanged"])
    }

    @Test func `a thaw of its own takes the place of the undone freeze`() async throws {
        let thaw = "thaw:\n  - command: { hosts: a, run: \"echo own >>{{ dir }}/log\", redo: safe }\n"
        let bench = try Bench(["play.yaml": Bench.playbook + thaw])
        #expect(try await bench.run().exitCode == 0)
        #expect(bench.log == Bench.fullLog.dropLast() + ["own"])
    }

    @Test func `serial all makes every step a barrier`() async throws {
        let bench = try Bench(["play.yaml": Bench.playbook.replacing("hosts: all\n", with: "hosts: all\nserial: all\n")]
        )
        #expect(try await bench.run().exitCode == 0)
        let log = bench.log
        #expect(log.count == Bench.fullLog.count)
        #expect(Set(log[1...3]) == ["one a", "one b", "one c"])
        #expect(Set(log[4...6]) == ["two a", "two b", "two c"])
    }

    @Test func `every change has its intent on record before it is sent`() async throws {
        var bench = try Bench(["broken-b": ""])
        let witness = Witness(store: bench.store)
        bench.connector = { WitnessedHost(inner: LocalHost(name: $0.name), witness: witness) }
        try await bench.run()
        #expect(await witness.unannounced == [])
        // The freeze, two steps on a and on b, and what was undone on b.
        #expect(await witness.announced == 7)
        let kinds = try await bench.store.records(of: try await bench.record().id)
            .filter { $0.step == "steps.2/b" }.map(\.kind)
        #expect(kinds == [.intent, .outcome, .undoIntent, .undoOutcome])
    }

    @Test func `a second controller is locked out`() async throws {
        let bench = try Bench()
        let lock = try await bench.store.acquireController(run: "other")
        let error = await #expect(throws: JournalError.self) { try await bench.run() }
        #expect(error?.code == .locked)
        #expect(bench.log == [])
        lock.release()
        #expect(try await bench.run().exitCode == 0)
    }

    @Test func `the lock is given back when a run ends`() async throws {
        let bench = try Bench(["broken-a": ""])
        try await bench.run()
        #expect(try await bench.store.controller() == nil)
    }
}

/// Looks into the journal each time a node is about to be changed.
actor Witness {
    private let store: InMemoryRunStore
    private(set) var announced = 0
    private(set) var unannounced: [String] = []

    init(store: InMemoryRunStore) { self.store = store }

    /// What pawl keeps on a node for itself is no step.
    private let ownLabels: Set<String> = ["tell the node how the run ended"]

    func isAboutToChange(_ host: String, _ label: String) async {
        if ownLabels.contains(label) { return }
        let run = try? await store.runs().first
        let records = (try? await store.records(of: run?.id ?? "")) ?? []
        switch records.last(where: { $0.host == host })?.kind {
        case .intent?, .undoIntent?: announced += 1
        default: unannounced.append("\(host): \(label)")
        }
    }
}

struct WitnessedHost: ForwardingHost {
    let inner: any RemoteHost
    let witness: Witness

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        // The lock is taken before anything is intended.
        if command.effect == .mutating, !command.label.hasPrefix("lock:") {
            await witness.isAboutToChange(name, command.label)
        }
        return try await inner.run(command)
    }
}
