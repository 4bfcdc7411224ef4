// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Testing

/// Both kinds of store, for one suite.
enum StoreKind: String, CaseIterable, Sendable {
    case sqlite, inMemory

    /// A store, and a way to open the same journal a second time.
    func withStore(
        _ body: (any RunStore, _ again: () async throws -> any RunStore) async throws -> Void
    ) async throws {
        switch self {
        case .inMemory:
            let store = InMemoryRunStore()
            try await body(store) { InMemoryRunStore(sharing: store) }
        case .sqlite:
            try await withScratch { directory in
                let store = try await SQLiteRunStore.open(directory, for: .writing)
                try await body(store) { try await SQLiteRunStore.open(directory, for: .reading) }
            }
        }
    }
}

/// What every ``RunStore`` must do.
@Suite struct RunStoreConformanceTests {
    @Test(arguments: StoreKind.allCases)
    func `a run is given back as it was created`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, again in
            let run = sampleRun("k3m9")
            try await store.create(run)
            #expect(try await store.run("k3m9") == run)
            #expect(try await again().run("k3m9") == run)
            #expect(await journalError { try await store.create(run) }?.code == .duplicateRun)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `records come back in order, complete, and with growing sequences`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, again in
            try await store.create(sampleRun("a1"))
            try await store.create(sampleRun("b1"))
            let first = try await store.append(sampleStep("a1"))
            try await store.append(sampleStep("b1"))
            let last = try await store.append(
                sampleStep("a1", "steps.1/n1", .outcome, .failed, message: "no\u{0} room")
            )
            #expect(last > first)
            let records = try await again().records(of: "a1")
            #expect(records.map(\.sequence) == [first, last])
            #expect(records.map(\.kind) == [.intent, .outcome])
            #expect(records[1].status == .failed)
            #expect(records[1].message == "no\u{FFFD} room")
            #expect(records[1].remedy == "look at the log")
            #expect(records[0].values == ["revision": "20", "päth": "/var/lib/etcd\n\u{0}\""])
            // Times are kept to the millisecond.
            #expect(abs(records[0].at.timeIntervalSince1970 - 1_795_000_000.123) < 0.000_5)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `a run's state and controller change, and a resumed run has no end`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            try await store.create(sampleRun("a1"))
            let end = Date(timeIntervalSince1970: 1_795_000_100.5)
            try await store.setState(of: "a1", .halted, exitCode: 3, at: end)
            var run = try await store.run("a1")
            #expect(run.state == .halted)
            #expect(run.exitCode == 3)
            #expect(run.endedAt == end)
            try await store.setState(of: "a1", .running)
            try await store.setController(of: "a1", host: "other", pid: 12, version: "1.1.0")
            run = try await store.run("a1")
            #expect(run.state == .running)
            #expect(run.exitCode == nil)
            #expect(run.endedAt == nil)
            #expect(run.controllerHost == "other")
            #expect(run.controllerPID == 12)
            #expect(run.version == "1.1.0")
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `runs are listed newest first and found by the beginning of their id`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            try await store.create(sampleRun("ab_1", at: 100, state: .done))
            try await store.create(sampleRun("abc2", at: 300, state: .halted))
            try await store.create(sampleRun("abcd", at: 200))
            try await store.create(sampleRun("abc", at: 300, state: .interrupted))
            #expect(try await store.runs().map(\.id) == ["abc", "abc2", "abcd", "ab_1"])
            #expect(try await store.run("ab_").id == "ab_1")
            #expect(try await store.run("abc").id == "abc")
            #expect(try await store.run("abcd").id == "abcd")
            let ambiguous = await journalError { try await store.run("ab") }
            #expect(ambiguous?.code == .ambiguousRun)
            #expect(ambiguous?.message.contains("ab_1, abc, abc2, abcd") == true)
            for text in ["x", "", "ab%", "a_"] {
                #expect(await journalError { try await store.run(text) }?.code != nil)
            }
            #expect(try await store.latestRun(in: [.halted, .running])?.id == "abc2")
            #expect(try await store.latestRun(in: [.refused]) == nil)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `the last fact of a name counts and earlier ones are kept`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, again in
            try await store.create(sampleRun("a1"))
            try await store.create(sampleRun("b1"))
            try await store.recordFact("baseline", "one", of: "a1")
            try await store.recordFact("n1:backup", "/b", of: "a1")
            try await store.recordFact("baseline", "two", of: "a1")
            try await store.recordFact("baseline", "other", of: "b1")
            let second = try await again()
            #expect(try await second.fact("baseline", of: "a1") == "two")
            #expect(try await second.fact("nothing", of: "a1") == nil)
            #expect(try await second.facts(of: "a1") == ["baseline": "two", "n1:backup": "/b"])
            #expect(try await second.factHistory(of: "a1").map(\.value) == ["one", "/b", "two"])
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `a run's log goes on behind what is known of it`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            for run in ["a1", "b1"] {
                try await store.create(sampleRun(run))
                for step in 1...3 { try await store.append(sampleStep(run, "steps.\(step)/n1")) }
                for value in ["x", "y"] { try await store.recordFact("name", run + value, of: run) }
            }
            for known in [(0, 0), (1, 0), (0, 2), (2, 1), (3, 2)] {
                let log = try await store.log(of: "b1", beyond: ReplicaExtent(records: known.0, facts: known.1))
                #expect(log.records == Array(try await store.records(of: "b1").dropFirst(known.0)))
                #expect(log.facts == Array(try await store.factHistory(of: "b1").dropFirst(known.1)))
                #expect(log.end == ReplicaExtent(records: 3, facts: 2))
            }
            let nothing = ReplicaExtent(records: 0, facts: 0)
            #expect(await journalError { try await store.log(of: "none", beyond: nothing) }?.code == .unknownRun)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `what belongs to no run is refused`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            #expect(await journalError { try await store.append(sampleStep("none")) }?.code == .unknownRun)
            #expect(await journalError { try await store.recordFact("a", "b", of: "none") }?.code == .unknownRun)
            #expect(await journalError { try await store.records(of: "none") }?.code == .unknownRun)
            #expect(await journalError { try await store.factHistory(of: "none") }?.code == .unknownRun)
            #expect(
                await journalError { try await store.setState(of: "none", .done, exitCode: 0) }?.code == .unknownRun
            )
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `a record that makes no sense is refused and leaves nothing`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            try await store.create(sampleRun("a1"))
            let changes: [(inout RunRecord) -> Void] = [
                { $0.id = "" }, { $0.id = "-x" }, { $0.id = "a b" }, { $0.planJSON = "{" }, { $0.planDigest = "" },
                { $0.extraVariablesJSON = "[]" }, { $0.state = .done }, { $0.exitCode = 0 }, { $0.controllerPID = 0 },
                { $0.playbookPath = "a\u{0}b" }, { $0.createdAt = .distantFuture + 1e12 },
            ]
            for change in changes {
                var run = sampleRun("c1")
                change(&run)
                #expect(await journalError { try await store.create(run) }?.code == .invalid)
            }
            let stepChanges: [(inout StepRecord) -> Void] = [
                { $0.step = "" }, { $0.host = "" }, { $0.attempt = 0 }, { $0.status = .done },
                { $0.kind = .outcome }, { $0.step = "a\u{0}" },
            ]
            for change in stepChanges {
                var step = sampleStep("a1")
                step.values = [:]
                change(&step)
                #expect(await journalError { try await store.append(step) }?.code == .invalid)
            }
            #expect(await journalError { try await store.recordFact("x", "a\u{0}b", of: "a1") }?.code == .invalid)
            #expect(await journalError { try await store.recordFact("", "b", of: "a1") }?.code == .invalid)
            #expect(await journalError { try await store.setState(of: "a1", .done, exitCode: 999) }?.code == .invalid)
            #expect(try await store.runs().map(\.id) == ["a1"])
            #expect(try await store.records(of: "a1").isEmpty)
            #expect(try await store.run("a1").state == .running)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `an endless message is cut and does not halt the run`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            try await store.create(sampleRun("a1"))
            try await store.append(sampleStep("a1", message: String(repeating: "é", count: 100_000)))
            let message = try await store.records(of: "a1").first?.message ?? ""
            #expect(message.utf8.count <= 64 << 10)
            #expect(message.hasSuffix("more bytes)"))
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `only one controller at a time has the journal, and the second is told who`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, again in
            let second = try await again()
            #expect(try await second.controller() == nil)
            let lock = try await store.acquireController(run: "a1")
            #expect(lock.holder.run == "a1")
            #expect(lock.holder.pid == ProcessInfo.processInfo.processIdentifier)
            let refused = await journalError { try await second.acquireController(run: "b1") }
            #expect(refused?.code == .locked)
            #expect(refused?.holder == lock.holder)
            #expect(refused?.message.contains("run a1, process \(lock.holder.pid)") == true)
            #expect(try await second.controller() == lock.holder)
            lock.release()
            lock.release()
            #expect(try await second.controller() == nil)
            let next = try await second.acquireController(run: "b1")
            #expect(try await store.controller()?.run == "b1")
            next.release()
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `a lock that is forgotten is given back`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            do { _ = try await store.acquireController(run: "a1") }
            #expect(try await store.controller() == nil)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `a write is finished although its task was cancelled`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, again in
            try await store.create(sampleRun("a1"))
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                #expect(Task.isCancelled)
                try await store.append(sampleStep("a1"))
                try await store.setState(of: "a1", .interrupted, exitCode: 130)
                return try await store.records(of: "a1").count
            }
            #expect(try await task.value == 1)
            #expect(try await again().run("a1").state == .interrupted)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `an export can be read back and restored`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            try await store.create(sampleRun("a1"))
            try await store.create(sampleRun("b1"))
            for number in 1...20 { try await store.append(sampleStep("a1", "steps.\(number)/n1")) }
            try await store.recordFact("baseline", "one", of: "a1")
            try await store.recordFact("baseline", "two", of: "a1")
            try await store.setState(of: "a1", .halted, exitCode: 3)
            let export = try await JournalExport("a1", from: store)
            let json = try export.json()
            #expect(try JournalExport(json: json) == export)
            #expect(try JournalExport(json: json).json() == json)
            let copy = InMemoryRunStore()
            try await export.restore(into: copy)
            #expect(try await JournalExport("a1", from: copy) == export)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `a run that was begun elsewhere is adopted whole, with its records and facts in order`(
        _ kind: StoreKind
    ) async throws {
        try await kind.withStore { store, again in
            try await store.create(sampleRun("b1"))
            try await store.append(sampleStep("b1"))
            var run = sampleRun("a1", state: .halted)
            run.exitCode = 3
            let records = (1...4).map { sampleStep("a1", "steps.\($0)/n1") }
            let facts = ["one", "two"].map { FactRecord(run: "a1", name: "baseline", value: $0, at: Date()) }
            try await store.adopt(run, records: records, facts: facts)
            let second = try await again()
            #expect(try await second.run("a1") == run)
            let kept = try await second.records(of: "a1")
            #expect(kept.map(\.step) == records.map(\.step))
            #expect(kept.map(\.sequence) == [2, 3, 4, 5])
            #expect(RunReplica.renumbered(kept) == RunReplica.renumbered(records))
            #expect(try await second.factHistory(of: "a1").map(\.value) == ["one", "two"])
            #expect(try await second.fact("baseline", of: "a1") == "two")
            #expect(try await store.append(sampleStep("a1")) == 6)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func `a run is adopted as a whole or not at all`(_ kind: StoreKind) async throws {
        try await kind.withStore { store, _ in
            try await store.create(sampleRun("a1"))
            let again = await journalError {
                try await store.adopt(sampleRun("a1"), records: [sampleStep("a1")], facts: [])
            }
            #expect(again?.code == .duplicateRun)
            #expect(try await store.records(of: "a1").isEmpty)
            let mixed = await journalError {
                try await store.adopt(sampleRun("c1"), records: [sampleStep("c1"), sampleStep("a1")], facts: [])
            }
            #expect(mixed?.code == .invalid)
            var bad = sampleStep("c1")
            bad.attempt = 0
            let senseless = await journalError {
                try await store.adopt(sampleRun("c1"), records: [sampleStep("c1"), bad], facts: [])
            }
            #expect(senseless?.code == .invalid)
            #expect(try await store.runs().map(\.id) == ["a1"])
        }
    }

    @Test func `an export of something else is refused`() async throws {
        let store = InMemoryRunStore()
        try await store.create(sampleRun("a1"))
        var export = try await JournalExport("a1", from: store)
        #expect(await journalError { try JournalExport(json: Data("{}".utf8)) }?.code == .corrupt)
        export.formatVersion = 2
        #expect(await journalError { try JournalExport(json: export.json()) }?.code == .newer)
        export.formatVersion = 1
        export.records = [sampleStep("other")]
        #expect(await journalError { try JournalExport(json: export.json()) }?.code == .corrupt)
        export.records = []
        export.run.planJSON = "{"
        #expect(await journalError { try JournalExport(json: export.json()) }?.code == .corrupt)
    }
}
