// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote
import Testing

/// The pure decisions about a migration: is it right, what may resume conclude, which way back is safe.
struct MigrationDecisionTests {
    private static let good = [
        "restored=no", "index_before=no", "milliseconds=120", "code=0", "last=finished transforming keys",
        "owner=etcd 600", "owner_expected=etcd 600", #"after={"hash":1,"revision":9,"totalKey":10,"totalSize":20480}"#,
        #"before={"hash":2,"revision":0,"totalKey":3,"totalSize":20480}"#, "wal_same=yes", "snap_same=yes", "lock=free",
    ]

    private func report(_ lines: [String], exit code: Int = 0) -> NodeReport {
        let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
        return NodeReport(
            CommandResult(exitCode: code, standardOutput: bytes, standardError: [], duration: .zero)
        )
    }

    private func replacing(_ changes: [String]) -> NodeReport {
        let names = Set(changes.map { $0.prefix { $0 != "=" } })
        return report(Self.good.filter { line in !names.contains(line.prefix { $0 != "=" }) } + changes)
    }

    @Test func `a migration with all its proofs counts`() throws {
        let outcome = try MigrationOutcome.judge(report(Self.good), baseline: MigrationBaseline(maxIndex: 9, keys: 6))
        #expect(outcome.revision == 9 && outcome.keys == 6 && outcome.seconds == 0.12 && outcome.remark == nil)
    }

    @Test(arguments: [
        ["code=1"], ["code=137"], ["code="], ["last=using default transformer"], ["last="], ["stderr=panic"],
        ["stderr=waiting for etcd to close and release its lock on \"db\""], ["wal_same=no"], ["lock=held"],
        ["snap_same=no"], ["owner=root 600"], ["after="], ["before="],
        [#"after={"revision":8,"totalKey":10}"#], [#"after={"revision":9,"totalKey":9}"#],
        [#"after={"revision":9,"totalKey":11}"#], ["index_before=yes"], ["last=no v2 keys to migrate"],
    ])
    func `each missing proof alone fails a migration`(_ change: [String]) {
        #expect(throws: MigrationOutcome.Failure.self) {
            try MigrationOutcome.judge(replacing(change), baseline: MigrationBaseline(maxIndex: 9, keys: 6))
        }
    }

    @Test(arguments: [
        // keys, of them with a TTL, left out, may have expired; what went in and came out.
        (8, 0, false, false, 8, 6, true), (8, 0, false, false, 7, 6, false), (8, 0, false, false, 9, 6, false),
        (8, 0, false, false, 8, 5, false), (8, 2, true, false, 6, 6, true), (8, 2, true, false, 8, 6, false),
        (8, 2, false, true, 8, 6, true), (8, 2, false, true, 6, 6, true), (8, 2, false, true, 5, 6, false),
        (8, 2, false, false, 7, 6, false), (8, nil, true, false, 0, 6, true), (8, nil, true, false, 9, 6, false),
    ])
    func `what goes into a transformer is what is to be migrated, and what comes out is in the db`(
        keys: Int,
        expiring: Int?,
        noTTL: Bool,
        mayHaveExpired: Bool,
        input: Int,
        output: Int,
        isRight: Bool
    ) {
        var baseline = MigrationBaseline(
            maxIndex: 9,
            keys: keys,
            ttlKeys: expiring,
            noTTL: noTTL,
            transformer: "/opt/t"
        )
        baseline.mayHaveExpired = mayHaveExpired
        let told = report(Self.good + ["transformer_input=\(input)", "transformer_output=\(output)"])
        let outcome = Result { try MigrationOutcome.judge(told, baseline: baseline) }
        #expect(((try? outcome.get()) != nil) == isRight, "\(outcome)")
        if isRight {
            #expect((try? outcome.get())?.madeKeys == "6 keys, made of \(input) by the transformer,")
        }
    }

    @Test func `without a baseline only the presence of keys is checked, and it says so`() throws {
        let outcome = try MigrationOutcome.judge(report(Self.good), baseline: MigrationBaseline())
        #expect(outcome.remark?.contains("no baseline") == true)
        #expect(throws: MigrationOutcome.Failure.self) {
            try MigrationOutcome.judge(
                replacing([#"after={"revision":0,"totalKey":4}"#]),
                baseline: MigrationBaseline()
            )
        }
    }

    @Test(arguments: [
        (6, 9, 0, true), (7, 12, 1, true), (8, 12, 2, true), (8, 12, 1, false), (6, 12, 2, false), (5, 9, 1, false),
    ])
    func `keys that may have expired since the baseline are counted as such`(
        keys: Int,
        maxIndex: Int,
        ttl: Int,
        isRight: Bool
    ) {
        var baseline = MigrationBaseline(maxIndex: maxIndex, keys: keys, ttlKeys: ttl)
        baseline.mayHaveExpired = true
        let outcome = try? MigrationOutcome.judge(report(Self.good), baseline: baseline)
        #expect((outcome != nil) == isRight)
        #expect((outcome?.remark?.contains("have expired") == true) == (isRight && keys > 6))
        baseline.mayHaveExpired = false
        #expect(((try? MigrationOutcome.judge(report(Self.good), baseline: baseline)) != nil) == (keys == 6 && isRight))
    }

    @Test(arguments: [(1, true), (2, false), (nil, true)])
    func `left out keys are counted, or bounded where their number is not known`(_ ttl: Int?, isRight: Bool) {
        let baseline = MigrationBaseline(maxIndex: 12, keys: 7, ttlKeys: ttl, noTTL: true)
        let outcome = try? MigrationOutcome.judge(report(Self.good), baseline: baseline)
        #expect((outcome != nil) == isRight)
    }

    @Test func `a script that says why it stopped is heard, and one that dies is reported with its end`() {
        let refused = report(["error=no room", "remedy=make room"], exit: 65)
        #expect(refused.refusal?.message == "no room" && refused.refusal?.remedy == "make room")
        #expect(report([], exit: 2).refusal?.message == "the script ended with exit code 2")
        #expect(report(["x=a=b", "x=c"]).all("x") == ["a=b", "c"])
    }

    @Test func `an answer that is cut short is no state`() {
        let lines = ["busy=no", "running=no", "wal_same=yes", "snap_same=yes", "snap_names_same=yes", "db=equal"]
        #expect(MigrationState(report(lines)) == nil)
        #expect(MigrationState(report(lines + ["end=yes"])) == MigrationState(database: .equal))
    }

    private func kind(_ state: MigrationState) -> String {
        switch state.conclude(baseline: MigrationBaseline(maxIndex: 9, keys: 6), recorded: nil) {
        case .done: "done"
        case .notBegun: "not begun"
        case .inDoubt: "in doubt"
        }
    }

    @Test func `resume takes a migration for done only with every proof`() {
        var state = MigrationState(database: .differs)
        #expect(kind(state) == "not begun")
        state.hasBegun = true
        #expect(kind(state) == "in doubt")
        state.isAsMigrated = true
        #expect(kind(state) == "in doubt")
        state.before = MigrationDatabaseStatus(revision: 0, totalKey: 3)
        state.after = MigrationDatabaseStatus(revision: 9, totalKey: 10)
        #expect(kind(state) == "done")
        state.after?.totalKey = 9
        #expect(kind(state) == "in doubt")
        state.after?.totalKey = 10
        state.isBusy = true
        #expect(kind(state) == "in doubt")
        state.isBusy = false
        state.isRunning = true
        #expect(kind(state) == "in doubt")
        guard case .done = state.conclude(baseline: MigrationBaseline(), recorded: (9, 6)) else {
            Issue.record("a proven migration is forgotten once etcd runs")
            return
        }
        state.isRunning = false
        state.database = .equal
        #expect(kind(state) == "not begun")
    }

    @Test func `the way back is chosen by state`() {
        #expect(MigrationRestore.decide(MigrationState(database: .differs)).kind == "full")
        #expect(MigrationRestore.decide(MigrationState(database: .added)).kind == "full")
        #expect(MigrationRestore.decide(MigrationState(database: .missing)).kind == "full")
        #expect(MigrationRestore.decide(MigrationState(database: .equal)).kind == "nothing")
        let renamed = MigrationState(areSnapshotsUnchanged: false, areSnapshotNamesUnchanged: false, database: .differs)
        #expect(MigrationRestore.decide(renamed).kind == "full")
        let started = MigrationState(isWALUnchanged: false, database: .differs)
        #expect(MigrationRestore.decide(started).kind == "db-only")
        let snapped = MigrationState(
            isWALUnchanged: false,
            areSnapshotsUnchanged: false,
            areSnapshotNamesUnchanged: false,
            database: .differs
        )
        #expect(MigrationRestore.decide(snapped).kind == "refused")
        #expect(MigrationRestore.decide(MigrationState(isRunning: true, database: .differs)).kind == "refused")
        #expect(MigrationRestore.decide(MigrationState(isBusy: true, database: .differs)).kind == "refused")
    }

    @Test(
        arguments: [
            (MigrationState(database: .differs), false, "full"), (MigrationState(database: .equal), false, "nothing"),
            (MigrationState(isWALUnchanged: false, database: .differs), false, "db-only"),
            (MigrationState(isWALUnchanged: false, database: .differs), true, "db-indexed"),
            (MigrationState(isWALUnchanged: false, database: .equal), true, "db-indexed"),
            (
                MigrationState(
                    isWALUnchanged: false,
                    areSnapshotsUnchanged: false,
                    areSnapshotNamesUnchanged: false,
                    database: .differs
                ), false, "db-indexed"
            ),
            // Not started since: whoever wrote to v3 meanwhile wrote to others, which the caller has to rule out.
            (MigrationState(database: .differs), true, "full"),
            (MigrationState(isRunning: true, isWALUnchanged: false, database: .differs), true, "refused"),
            (MigrationState(isBusy: true, isWALUnchanged: false, database: .differs), false, "refused"),
        ]
    )
    func `a rollback takes the way that the state allows`(_ state: MigrationState, _ isV3Written: Bool, _ kind: String)
    {
        #expect(MigrationRestore.rollback(state, isV3Written: isV3Written).kind == kind)
    }
}
