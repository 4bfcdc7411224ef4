// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Reports
import Rollout
import Synchronization

/// Fixed runs, as the engine would tell them.
enum Sequences {
    static let run = "20261121-031201-a3f9"
    /// The time 2026-11-21T03:12:01Z.
    static let start = 1_795_230_721.0

    static let ready = step("preflight.1/n1", .preflight, "n1", "Ready for the migration", "etcd_ready", .readOnly)
    static let stop = step("steps.1/n1", .steps, "n1", "Stop etcd", "service", .repeatable, .takesOut)
    static let migrate = step("steps.3/n1", .steps, "n1", "Migrate", "etcd_migrate", .once)
    static let gate = step("gate.1@n1/*", .gate, nil, "Members agree", "etcd_consistent", .readOnly)
    static let plan = [ready, stop, migrate, gate]

    static let header = RunHeader(
        playbook: "Migrate etcd",
        inventory: "inventories/prod.yaml",
        hosts: ["n1", "node-22"],
        stepCount: 4,
        stepsDone: 0,
        isResumed: false
    )

    static let summary = RunSummary(
        playbook: "Migrate etcd",
        members: [
            .init(
                host: "n1",
                keys: 10_000,
                revision: 10_003,
                hash: "1dc1f2c4",
                unavailableSeconds: 1.24,
                backupPath: "/var/backups/etcd/n1-20261121"
            ),
            .init(host: "node-22", keys: 10_000, revision: 10_003, hash: "1dc1f2c4", unavailableSeconds: 0.98),
        ],
        elapsedSeconds: 62.04,
        proofs: ["hashkv 1dc1f2c4 is equal on 2 members at revision 10003", "v2 and v3 agree on 10000 keys"]
    )

    static let halt = HaltReport(
        verdict: "halted",
        reason: "etcdctl migrate exited 1\nwaiting for etcd to close and release its lock",
        remedy: "stop the process that holds /var/lib/etcd",
        host: "n1",
        step: "Migrate",
        members: [
            .init(host: "n1", state: "v2", detail: "restored from /var/backups/etcd/n1-20261121, serving"),
            .init(host: "node-22", state: "v2", detail: "not touched"),
        ],
        nextCommands: [
            .init("pawl resume \(run)", "goes on at Migrate on n1"),
            .init("pawl status \(run)", "shows this again"),
        ],
        exitCode: 3
    )

    /// A run that does all its work.
    static let success: [RunEvent] = [
        event(0, .runStarted(header)),
        event(0.1, .stageStarted(phase: .preflight, host: nil, title: "preflight")),
        event(0.2, .stepStarted(ready, attempt: 1)),
        event(0.9, .stepProgress(ready, "asking 3 members")),
        event(1.1, .stepFinished(ready, report(.done, "3.4.23, 10000 keys, no TTL", ["keys": "10000"], 0.9))),
        event(1.2, .stageStarted(phase: .steps, host: "n1", title: "")),
        event(1.3, .notice(Notice(.info, host: "n1", "quorum: 3 of 3 healthy, 2 remain, 2 needed"))),
        event(1.4, .stepStarted(stop, attempt: 1)),
        event(2.5, .stepFinished(stop, report(.skipped, "inactive, no process", [:], 1.1))),
        event(60, .stepStarted(gate, attempt: 2)),
        event(61.5, .stepFinished(gate, report(.done, "hashkv equal\nn1 1dc1f2c4\nnode-22 1dc1f2c4", [:], 1.5))),
        event(62, .finished(summary)),
    ]

    /// A run in which a step fails and the member is restored.
    static let halted: [RunEvent] = [
        event(0, .runStarted(header)),
        event(1, .stepStarted(migrate, attempt: 1)),
        event(
            64,
            .stepFinished(
                migrate,
                StepReport(
                    status: .inDoubt,
                    message: halt.reason,
                    remedy: "the backup is put back",
                    elapsedSeconds: 63
                )
            )
        ),
        event(64.1, .undoStarted(migrate)),
        event(66, .undoFinished(migrate, report(.done, "db restored, sha256 equal", [:], 1.9))),
        event(66.5, .notice(Notice(.warning, "the freeze is lifted"))),
        event(67, .halted(halt)),
    ]

    /// A run that preflight does not let begin.
    static let refused: [RunEvent] = [
        event(0, .runStarted(header)),
        event(0.2, .stepStarted(ready, attempt: 1)),
        event(1, .stepFinished(ready, report(.failed, "2 keys have a TTL: /a, /b", [:], 0.8))),
        event(
            1.1,
            .halted(
                HaltReport(
                    verdict: "refused",
                    reason: "2 keys have a TTL: /a, /b",
                    remedy: nil,
                    host: "n1",
                    step: nil,
                    members: [],
                    nextCommands: [],
                    exitCode: 4
                )
            )
        ),
    ]

    /// The rest of a run that was interrupted.
    static let resumed: [RunEvent] = [
        event(86_400, .runStarted(resumedHeader)),
        event(86_401, .stepStarted(gate, attempt: 1)),
        event(86_402, .stepFinished(gate, report(.done, "hashkv equal", [:], 1))),
        event(
            86_403,
            .finished(RunSummary(playbook: "Migrate etcd", members: [], elapsedSeconds: 3723, proofs: []))
        ),
    ]

    /// What a node that means ill could print.
    static let hostile = "a\u{1B}[2Jb\rc\0d\u{202E}e\u{9B}f\u{7F}g\th\u{2028}i\r\nj"

    /// A run in which every text is hostile.
    static let hostileRun: [RunEvent] = {
        let step = Self.step("steps.1/x", .steps, hostile, hostile, hostile, .once)
        var header = Sequences.header
        header.playbook = hostile
        header.inventory = hostile
        header.hosts = [hostile]
        var halt = Sequences.halt
        halt.verdict = hostile
        halt.reason = hostile
        halt.remedy = hostile
        halt.host = hostile
        halt.step = hostile
        halt.members = [.init(host: hostile, state: hostile, detail: hostile)]
        halt.nextCommands = [.init(hostile, hostile)]
        let member = RunSummary.Member(
            host: hostile,
            keys: 1,
            hash: hostile,
            unavailableSeconds: 1,
            backupPath: hostile
        )
        let summary = RunSummary(playbook: hostile, members: [member], elapsedSeconds: 1, proofs: [hostile])
        let report = StepReport(status: .failed, message: hostile, remedy: hostile, elapsedSeconds: 1)
        let kinds: [RunEvent.Kind] = [
            .runStarted(header), .stageStarted(phase: .steps, host: hostile, title: hostile),
            .stepStarted(step, attempt: 1), .stepProgress(step, hostile), .stepFinished(step, report),
            .undoStarted(step), .undoFinished(step, report), .notice(Notice(.warning, host: hostile, hostile)),
            .halted(halt), .finished(summary),
        ]
        return kinds.map { RunEvent(at: start, run: hostile, kind: $0) }
    }()

    private static var resumedHeader: RunHeader {
        var header = Sequences.header
        header.stepsDone = 3
        header.isResumed = true
        return header
    }

    static func event(_ offset: Double, _ kind: RunEvent.Kind) -> RunEvent {
        RunEvent(at: start + offset, run: run, kind: kind)
    }

    static func report(
        _ status: StepReport.Status,
        _ message: String,
        _ values: [String: String],
        _ elapsed: Double
    ) -> StepReport {
        StepReport(status: status, message: message, values: values, elapsedSeconds: elapsed)
    }

    static func step(
        _ id: String,
        _ phase: Phase,
        _ host: String?,
        _ name: String,
        _ action: String,
        _ effect: StepEffect,
        _ availability: Availability = .unchanged
    ) -> PlannedStep {
        PlannedStep(
            id: StepID(id),
            phase: phase,
            host: host,
            name: name,
            action: action,
            effect: effect,
            availability: availability,
            digest: "0"
        )
    }
}

/// Collects what a view writes.
final class Output: Sendable {
    private let pieces = Mutex<[String]>([])

    var sink: TextSink { { piece in self.pieces.withLock { $0.append(piece) } } }
    var all: [String] { pieces.withLock { $0 } }
    var text: String { all.joined() }

    /// What was written since the last call.
    func take() -> String {
        pieces.withLock { pieces in
            defer { pieces = [] }
            return pieces.joined()
        }
    }
}

extension TimeZone {
    static let utc = TimeZone(secondsFromGMT: 0) ?? .current
}
