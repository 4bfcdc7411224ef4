// SPDX-License-Identifier: Apache-2.0

import Actions
import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal
import Playbooks
import Reports
import Rollout
import Testing

@testable import PawlCommands

@Suite struct ScreensTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test func `the reference of the actions is what the program prints`() throws {
        let file = Self.root.appending(path: "docs/reference/actions.md")
        let written = try String(contentsOf: file, encoding: .utf8)
        let printed = ActionReference.markdown(for: ActionRegistry.schemas)
        #expect(written == printed, "run: swift run pawl actions >docs/reference/actions.md")
    }

    private static func step(
        _ id: String,
        _ name: String,
        _ effect: StepEffect = .readOnly,
        _ availability: Availability = .unchanged,
        hasUndo: Bool = false
    ) -> PlannedStep {
        let parts = id.split(separator: "/")
        return PlannedStep(
            id: StepID(id),
            phase: Phase(rawValue: String(parts[0].prefix { $0 != "." })) ?? .steps,
            host: parts[1] == "*" ? nil : String(parts[1]),
            name: name,
            action: "service",
            effect: effect,
            availability: availability,
            hasUndo: hasUndo,
            digest: "d"
        )
    }

    private static let plan = Plan(
        name: "Restart",
        hosts: ["n2", "n1"],
        serial: .hosts(1),
        onFailure: .restore,
        needsQuorum: true,
        stages: [
            Stage(id: "preflight.1", phase: .preflight, lanes: [.init(host: nil, steps: [StepID("preflight.1/*")])]),
            Stage(
                id: "steps@n2",
                phase: .steps,
                lanes: [.init(host: "n2", steps: [StepID("steps.1/n2"), StepID("steps.2/n2")])]
            ),
            Stage(
                id: "thaw",
                phase: .thaw,
                work: .undo,
                lanes: [.init(host: "n2", steps: [StepID("steps.1/n2")])]
            ),
        ],
        steps: [
            step("preflight.1/*", "Ready"), step("steps.1/n2", "Stop", .repeatable, .takesOut, hasUndo: true),
            step("steps.2/n2", "Migrate", .once, .bringsBack),
        ],
        inputs: Plan.Inputs(inventory: "i", playbook: "p", variables: "v", members: [:])
    )

    private func rows(_ text: String) -> [String] {
        text.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    }

    @Test func `a plan shows the order, the proof of the quorum, and each step with its effect`() {
        let rows = rows(PlanScreen.render(Self.plan, width: nil))
        for row in [
            "Restart", "hosts, in this order: n2, n1", "at a time: 1 host; on failure: restore",
            "each stop is preceded by a quorum proof", "preflight all Ready service looks only",
            "steps n2 Stop service changes, member out, can be undone",
            "steps n2 Migrate service changes, once, member back",
            "thaw n2 undo: Stop service changes, member out, can be undone", "3 steps, 2 of them change a node",
        ] { #expect(rows.contains(row), "\(row) is not in \(rows)") }
    }

    @Test func `a plan file is demanded to be what the inputs give now`() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "pawl-plan-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try PlanFile.write(Self.plan, to: file.path)
        try PlanFile.demand(Self.plan, matches: file.path)

        var changed = Self.plan
        changed.inputs.playbook = "q"
        changed.hosts = ["n1", "n2"]
        let drift = #expect(throws: RunControllerError.self) { try PlanFile.demand(changed, matches: file.path) }
        #expect(drift?.code == .drift)
        #expect(drift?.message.contains("the playbook has changed; the order was n2, n1, now n1, n2") == true)

        changed = Self.plan
        changed.steps[0].digest = "e"
        let steps = #expect(throws: RunControllerError.self) { try PlanFile.demand(changed, matches: file.path) }
        #expect(steps?.message.contains("its steps have changed") == true)

        try Data("{}".utf8).write(to: file)
        #expect(throws: DiagnosticsError.self) { try PlanFile.demand(changed, matches: file.path) }
        #expect(throws: DiagnosticsError.self) { try PlanFile.demand(changed, matches: file.path + ".gone") }
    }

    private func record() throws -> RunRecord {
        RunRecord(
            id: "20261121-040000-abcd",
            createdAt: Date(timeIntervalSince1970: 1_795_233_600),
            playbookPath: "p.yaml",
            inventoryPaths: ["a.ini", "b.ini"],
            planJSON: String(decoding: try JSONEncoder().encode(Self.plan), as: UTF8.self),
            planDigest: "digest",
            state: .halted,
            exitCode: 3,
            endedAt: Date(timeIntervalSince1970: 1_795_233_660),
            controllerHost: "ops",
            controllerPID: 7,
            version: "1"
        )
    }

    @Test func `runs are listed with state, exit code and inputs`() throws {
        let record = try record()
        let rows = rows(RunListing.table([record]).render(width: nil))
        #expect(rows.contains("20261121-040000-abcd halted 3 2026-11-21T04:00:00Z p.yaml a.ini, b.ini"), "\(rows)")
        let line = try RunListing.line(record)
        #expect(line.hasSuffix("}\n"))
        let fields = try JSONDecoder().decode([String: String].self, from: Data(line.utf8))
        #expect(
            fields == [
                "run": record.id, "state": "halted", "began": "2026-11-21T04:00:00Z", "ended": "2026-11-21T04:01:00Z",
                "exit_code": "3", "playbook": "p.yaml", "inventory": "a.ini, b.ini", "plan_digest": "digest",
                "controller": "ops:7",
            ]
        )
    }

    @Test func `a run's details show the newest word on each step that was begun`() throws {
        func entry(
            _ step: String,
            _ kind: StepRecord.Kind,
            _ status: StepRecord.Status?,
            _ message: String
        ) -> StepRecord {
            StepRecord(
                run: "r",
                step: step,
                kind: kind,
                status: status,
                message: message,
                at: Date(timeIntervalSince1970: 0)
            )
        }
        let records = [
            entry("preflight.1/*", .intent, nil, ""), entry("preflight.1/*", .outcome, .done, "all well\nmore"),
            entry("steps.1/n2", .intent, nil, ""), entry("steps.1/n2", .outcome, .failed, "no"),
            entry("steps.1/n2", .undoIntent, nil, ""),
        ]
        let rows = rows(try RunDetails.text(try record(), records, width: nil))
        #expect(rows.contains("* Ready done 1970-01-01T00:00:00Z all well"), "\(rows)")
        #expect(rows.contains("n2 Stop in doubt 1970-01-01T00:00:00Z"), "\(rows)")
        #expect(!rows.contains { $0.contains("Migrate") })
        #expect(rows.last == "2 of 3 steps begun")
        let fields = try JSONDecoder().decode([String: String].self, from: Data(try RunDetails.line(records[3]).utf8))
        #expect(
            fields == [
                "step": "steps.1/n2", "kind": "outcome", "status": "failed", "message": "no", "attempt": "1",
                "at": "1970-01-01T00:00:00Z",
            ]
        )
    }

    @Test func `every kind of error has its exit code`() async throws {
        struct Strange: Error {}
        let expected: [(any Error, Int32)] = [
            (DiagnosticsError([Diagnostic(at: nil, "x")]), 65), (RunControllerError(.drift, "x"), 6),
            (RunControllerError(.unreachable, "x"), 4), (RunControllerError(.unknownRun, "x"), 64),
            (JournalError(.locked, "x"), 5), (JournalError(.unknownRun, "x"), 64), (JournalError(.corrupt, "x"), 1),
            (ExitCode(3), 3), (Strange(), 1),
        ]
        for (error, code) in expected {
            let thrown = await #expect(throws: ExitCode.self) { try await ExitReason.reporting { throw error } }
            #expect(thrown?.rawValue == code, "\(error)")
        }
        await #expect(throws: ValidationError.self) { try await ExitReason.reporting { throw ValidationError("x") } }
    }
}
