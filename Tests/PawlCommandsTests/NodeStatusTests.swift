// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Journal
import Remote
import Rollout
import Testing

@testable import PawlCommands

@Suite struct NodeStatusTests {
    private static let writer = RunReplica.Writer(host: "ctl1", pid: 42, version: "1")
    private static let time = Date(timeIntervalSince1970: 1_795_000_000)

    private static func plan() -> Plan {
        let step = PlannedStep(
            id: StepID("steps.3/n1"),
            phase: .steps,
            host: "n1",
            name: "Migrate",
            action: "etcd_migrate",
            effect: .once,
            digest: "d"
        )
        return Plan(
            name: "P",
            hosts: ["n1"],
            serial: .hosts(1),
            onFailure: .halt,
            needsQuorum: false,
            stages: [],
            steps: [step],
            inputs: Plan.Inputs(inventory: "", playbook: "", variables: "", members: [:])
        )
    }

    private static func replica(_ run: String, _ entry: RunReplica.Entry, exitCode: Int? = nil) throws -> RunReplica {
        RunReplica(
            run: RunRecord(
                id: run,
                createdAt: time,
                playbookPath: "p.yaml",
                inventoryPaths: ["i.yaml"],
                planJSON: String(decoding: try JSONEncoder().encode(plan()), as: UTF8.self),
                planDigest: try plan().digest(),
                controllerHost: "ctl1",
                controllerPID: 42,
                version: "1"
            ),
            playbook: "x",
            records: [StepRecord(run: run, step: "steps.3/n1", host: "n1", kind: .intent, at: time)],
            facts: [],
            entry: entry,
            exitCode: exitCode
        )
    }

    private static func status(name: String? = nil) throws -> NodeStatus {
        let begun = RunReplica.Entry(.performing, step: "steps.3/n1", attempt: 2, at: time, writer: writer)
        let marker = RunMarker(
            run: "r0",
            state: .abandoned,
            playbook: "P",
            planDigest: "d",
            at: time,
            writer: writer,
            extent: ReplicaExtent(records: 1, facts: 0),
            reason: "superseded by run r1"
        )
        func finding(_ host: String, _ content: ReplicaRound.Content) -> ReplicaRound.Finding {
            ReplicaRound.Finding(host: host, path: "/s/run", content: content)
        }
        return NodeStatus(
            round: ReplicaRound(
                findings: [
                    finding("n1", .replica(try replica("r1", begun))),
                    finding("n2", .replica(try replica("r0", begun, exitCode: 1))),
                    finding("n3", .marker(marker)),
                    finding("n4", .unreadable(JournalError(.corrupt, "it is cut short"))),
                ],
                unreachable: [RemoteError(.unreachable, host: "n5", "no route")]
            ),
            nodes: ["n1", "n2", "n3", "n4", "n5", "n6"],
            name: name
        )
    }

    @Test func `every node has a row, whatever it says`() throws {
        let text = try Self.status().text(width: nil)
        let rows = text.split(separator: "\n").map(String.init)
        for (row, words) in [
            (1, ["n1", "r1", "begun, no end seen", "Migrate (steps.3/n1)", "2026-11-18T", "process 42 on ctl1"]),
            (2, ["n2", "r0", "abandoned, not told here"]), (3, ["n3", "r0", "abandoned: superseded by run r1"]),
            (4, ["n4", "unreadable: /s/run: it is cut short"]), (5, ["n5", "unreachable: no route"]),
            (6, ["n6", "in no run"]),
        ] {
            for word in words { #expect(rows[row].contains(word), "\(word): \(rows[row])") }
        }
        #expect(text.contains("Run r1, as the newest of the nodes knows it:"))
        #expect(text.contains("in doubt"))
        #expect(try Self.status().openRuns == ["r1"])
    }

    @Test func `only the run that was named is shown`() throws {
        let status = try Self.status(name: "r0")
        #expect(status.openRuns.isEmpty)
        let text = try status.text(width: nil)
        #expect(!text.contains("r1,"))
        #expect(text.contains("r0"))
    }

    @Test func `each row is an object in JSON`() throws {
        let lines = try Self.status().lines()
        #expect(lines.count == 6)
        let first = try #require(
            try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: Any]
        )
        #expect(first["step_name"] as? String == "Migrate")
        #expect(first["attempt"] as? Int == 2)
        #expect(first["controller"] as? String == "process 42 on ctl1")
        #expect(first["exit_code"] == nil)
        #expect(lines.allSatisfy { $0.hasSuffix("}\n") })
    }
}
