// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Journal
import Remote
import Rollout
import TestSupport

/// Runs of one playbook over three hosts that are this machine, with a journal in memory.
///
/// Every effect adds a line to the file `log`, so that a test sees what was done, how often and in which order.
struct Bench: Sendable {
    static let playbook = """
        name: Three hosts
        hosts: all
        order: inventory
        on_failure: restore
        preflight:
          - name: Ready
            wait_for: { run: "test ! -e {{ dir }}/not-ready-{{ inventory_hostname }}", within: 1s, every: 100ms }
        freeze:
          - name: Freeze
            command: { hosts: a, run: "echo freeze >>{{ dir }}/log", undo: "echo thaw >>{{ dir }}/log", redo: safe }
        steps:
          - name: One
            command:
              run: "echo one {{ inventory_hostname }} >>{{ dir }}/log; . {{ dir }}/one-{{ inventory_hostname }}"
              undo: "echo undo-one {{ inventory_hostname }} >>{{ dir }}/log"
              redo: after-undo
          - name: Two
            command:
              run: "echo two {{ inventory_hostname }} >>{{ dir }}/log; test ! -e {{ dir }}/broken-{{ inventory_hostname }}"
              undo: "echo undo-two {{ inventory_hostname }} >>{{ dir }}/log"
              redo: after-undo
          - name: Look
            wait_for: { run: "echo look {{ inventory_hostname }} >>{{ dir }}/log", within: 1s }
        gate:
          - name: Gate
            wait_for: { run: "echo gate >>{{ dir }}/gates; test ! -e {{ dir }}/shut", within: 1s, every: 100ms }

        """

    /// What an undisturbed run leaves in `log`.
    static let fullLog =
        ["freeze"] + ["a", "b", "c"].flatMap { ["one \($0)", "two \($0)", "look \($0)"] } + ["thaw"]

    let desk: Desk
    let store = InMemoryRunStore()
    let events = EventLog()
    var connector: HostDirectory.Connector = { LocalHost(name: $0.name) }

    /// Writes the playbook and the inventory, and files beside or in place of them.
    init(_ files: [String: String] = [:]) throws {
        let standard = [
            "play.yaml": Bench.playbook, "hosts.ini": "a\nb\nc\n", "one-a": "", "one-b": "", "one-c": "",
        ]
        desk = try Desk(standard.merging(files) { _, new in new })
        guard files["hosts.ini"] == nil else { return }
        // All are this machine, and each has a state directory of its own.
        try desk.write("hosts.ini", ["a", "b", "c"].map { "\($0) pawl_state_dir=\(nodeState($0))\n" }.joined())
    }

    /// The state directory of a node.
    func nodeState(_ host: String) -> String { desk.file(host) }

    var log: [String] { desk.lines(of: "log") }

    var request: RunRequest {
        desk.request(extra: ["dir=\(desk.path)", "pawl_state_dir=\(desk.path)/{{ inventory_hostname }}"])
    }

    var controller: RunController { controller(store) }

    func controller(_ store: any RunStore, grace: Duration = RunEngine.defaultGrace) -> RunController {
        RunController(
            store: store,
            connector: connector,
            stateArguments: "--state /s",
            version: "test",
            grace: grace
        )
    }

    @discardableResult
    func run(
        _ signals: AsyncStream<RunEngine.Signal> = .init { _ in },
        on store: (any RunStore)? = nil,
        superseding: Supersession = .nothing,
        limit: String? = nil,
        grace: Duration = RunEngine.defaultGrace
    ) async throws -> RunConclusion {
        var request = request
        request.limit = limit
        let play = try PlayLoader.load(request)
        let hosts = HostDirectory(play, connector: connector)
        let survey = try await Surveyor.survey(play, hosts.readOnly())
        return try await controller(store ?? self.store, grace: grace).run(
            Planner.plan(play, survey),
            of: play,
            request: request,
            over: hosts,
            superseding: superseding,
            observer: events,
            signals: signals
        )
    }

    @discardableResult
    func resume(
        _ name: String? = nil,
        _ signals: AsyncStream<RunEngine.Signal> = .init { _ in }
    ) async throws -> RunConclusion {
        let controller = controller
        return try await controller.resume(try await controller.open(name), observer: events, signals: signals)
    }

    /// Goes on with what the nodes are in the middle of, on a machine that knows nothing of it.
    @discardableResult
    func resumeElsewhere(
        _ name: String? = nil,
        on store: InMemoryRunStore = InMemoryRunStore()
    ) async throws -> RunConclusion {
        let controller = controller(store)
        let open = try await controller.open(
            name,
            from: [desk.file("hosts.ini")],
            limit: nil,
            keepingPlaybooksIn: URL(filePath: desk.file("playbooks"))
        )
        return try await controller.resume(open, observer: events, signals: .init { _ in })
    }

    /// The one run of the journal.
    func record() async throws -> RunRecord {
        guard let record = try await store.runs().first else { throw JournalError(.unknownRun, "no run") }
        return record
    }
}

/// The events of a run as they come; a test may act on one.
actor EventLog: RunObserver {
    private(set) var kinds: [RunEvent.Kind] = []
    private var reaction: @Sendable (RunEvent.Kind) -> Void = { _ in }

    func receive(_ event: RunEvent) {
        kinds.append(event.kind)
        reaction(event.kind)
    }

    func onEvent(_ reaction: @escaping @Sendable (RunEvent.Kind) -> Void) { self.reaction = reaction }

    /// Sends signals when a step begins.
    func onStart(of step: String, _ act: @escaping @Sendable () -> Void) {
        onEvent { kind in
            if case .stepStarted(let started, _) = kind, started.id.text == step { act() }
        }
    }

    var notices: [String] {
        kinds.compactMap { if case .notice(let notice) = $0 { notice.text } else { nil } }
    }
}

extension RunConclusion {
    var report: HaltReport? { if case .halted(let report) = kind { report } else { nil } }
    var summary: RunSummary? { if case .finished(let summary) = kind { summary } else { nil } }

    /// The members' states by host.
    var states: [String: String] {
        Dictionary(uniqueKeysWithValues: (report?.members ?? []).map { ($0.host, $0.state) })
    }
}
