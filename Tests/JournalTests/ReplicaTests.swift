// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Journal

@Suite struct ReplicaTests {
    private static let writer = RunReplica.Writer(host: "ctl1", pid: 4_711, version: "1.0.0")

    private static func entry(_ step: String = "steps.1/n1") -> RunReplica.Entry {
        RunReplica.Entry(
            .performing,
            step: step,
            attempt: 1,
            at: Date(timeIntervalSince1970: 1_795_000_000.123_456),
            writer: writer
        )
    }

    private static let records = (1...5).map { sampleStep("a1", "steps.\($0)/n1") }
    private static let facts = (1...3).map {
        FactRecord(run: "a1", name: "note:é\($0)", value: "'\u{1F600}'\n\"", at: Date(timeIntervalSince1970: 1.5))
    }

    private static func replica(_ records: Int = 5, _ facts: Int = 3, _ step: String = "steps.1/n1") -> RunReplica {
        RunReplica(
            run: sampleRun("a1"),
            playbook: "name: 'it''s'\nhosts: all\n",
            records: Array(Self.records.prefix(records)),
            facts: Array(Self.facts.prefix(facts)),
            entry: entry(step)
        )
    }

    private func problem(_ text: String) async -> JournalError? {
        await journalError { try ReplicaText.read(Array(text.utf8)) }
    }

    @Test func `a replica is read as it was written`() throws {
        var replica = Self.replica()
        #expect(try ReplicaText.read(Array(ReplicaText.text(of: replica).utf8)) == replica)
        replica.exitCode = 7
        #expect(try ReplicaText.read(Array(ReplicaText.text(of: replica).utf8)) == replica)
        // A line is a line to a shell, and no word of a playbook is seen in it.
        let text = try ReplicaText.text(of: replica)
        #expect(text.split(separator: "\n").count == 4)
        #expect(!text.contains("'"))
    }

    @Test func `an entry that is appended holds only what is new`() throws {
        let whole = try ReplicaText.text(of: Self.replica(2, 1))
        let more = try ReplicaText.entry(
            Self.entry("steps.2/n1"),
            RunLog(
                records: Array(Self.records.dropFirst(2)),
                facts: Array(Self.facts.dropFirst()),
                from: ReplicaExtent(records: 2, facts: 1)
            )
        )
        let read = try ReplicaText.read(Array((whole + "{\"ended\":0}\n" + more).utf8))
        #expect(read == Self.replica(5, 3, "steps.2/n1"))
        let all = try ReplicaText.entry(Self.entry(), RunLog(records: Self.records, facts: Self.facts))
        #expect(more.utf8.count < all.utf8.count)
    }

    @Test func `an entry that was being appended does not count, because its command was not begun`() throws {
        let whole = try ReplicaText.text(of: Self.replica(2, 1))
        let more = try ReplicaText.entry(
            Self.entry("steps.2/n1"),
            RunLog(
                records: Array(Self.records.dropFirst(2)),
                facts: Array(Self.facts.dropFirst()),
                from: ReplicaExtent(records: 2, facts: 1)
            )
        )
        for length in [0, 1, more.utf8.count / 2, more.utf8.count - 1] {
            let cut = Array(whole.utf8) + Array(more.utf8.prefix(length))
            #expect(try ReplicaText.read(cut) == Self.replica(2, 1))
        }
        let zeros = Array(whole.utf8) + [UInt8](repeating: 0, count: 4_096)
        #expect(try ReplicaText.read(zeros) == Self.replica(2, 1))
    }

    @Test func `a replica that is cut short before its first entry is damaged`() async throws {
        let whole = try Array(ReplicaText.text(of: Self.replica()).utf8)
        for length in stride(from: 0, to: whole.count, by: 7) {
            let cut = Array(whole.prefix(length))
            #expect(await journalError { try ReplicaText.read(cut) }?.code == .corrupt, "\(length)")
        }
    }

    @Test func `no changed byte goes unnoticed`() async throws {
        var replica = Self.replica()
        replica.exitCode = 0
        let whole = try Array(ReplicaText.text(of: replica).utf8)
        for index in stride(from: 0, to: whole.count, by: 3) {
            var changed = whole
            changed[index] ^= 0x01
            let read = try? ReplicaText.read(changed)
            // What a person may have written otherwise without changing its sense is not told apart: times and names.
            if let read { #expect(read.records == replica.records && read.facts == replica.facts, "\(index)") }
        }
    }

    @Test func `a hole, a line out of place and another run's records are damage`() async throws {
        let opening = try ReplicaText.opening(sampleRun("a1"), playbook: "x")
        let first = try ReplicaText.entry(Self.entry(), RunLog(records: Array(Self.records.prefix(2)), facts: []))
        let third = try ReplicaText.entry(
            Self.entry(),
            RunLog(
                records: Array(Self.records.dropFirst(3)),
                facts: [],
                from: ReplicaExtent(records: 3, facts: 0)
            )
        )
        #expect(await problem(opening + first + third)?.message == "an entry is missing in it")
        #expect(await problem(opening + "{\"ended\":0}\n" + first)?.code == .corrupt)
        #expect(await problem(opening + first + opening)?.code == .corrupt)
        #expect(await problem(opening + first + "\n")?.code == .corrupt)
        #expect(await problem(opening + first + "{\"ended\":0,\"more\":1}\n")?.code == .corrupt)
        #expect(await problem(first)?.code == .corrupt)
        let other = try ReplicaText.entry(Self.entry(), RunLog(records: [sampleStep("b1")], facts: []))
        #expect(await problem(opening + other)?.message == "it mixes several runs")
        let nameless = try ReplicaText.entry(
            RunReplica.Entry(.performing, at: Date(), writer: Self.writer),
            RunLog(records: [], facts: [])
        )
        #expect(await problem(opening + nameless)?.code == .corrupt)
    }

    @Test func `a later form is told from damage, whatever else it holds`() async {
        #expect(await problem("{\"replica\":{\"format\":2,\"run\":\"a1\",\"new\":[]}}\n{\"x\":1}\n")?.code == .newer)
        #expect(await problem("{\"replica\":{\"format\":0,\"run\":\"a1\"}}\n")?.code == .corrupt)
        #expect(await problem("something else\n")?.code == .corrupt)
        let marker = Array("{\"format\":2,\"what\":\"ever\"}\n".utf8)
        #expect(await journalError { try RunMarker(text: marker) }?.code == .newer)
    }

    @Test func `what is packed beyond the bound is refused before it fills the memory`() throws {
        let packed = try Gzip.pack(Data(repeating: 0x61, count: 1 << 20))
        #expect(packed.utf8.count < 4_000)
        #expect(throws: Gzip.Problem.self) { try Gzip.unpack(packed, most: 1 << 10) }
        #expect(try Gzip.unpack(packed, most: 1 << 20).count == 1 << 20)
        #expect(try Gzip.unpack(Gzip.pack(Data()), most: 0).isEmpty)
        #expect(throws: Gzip.Problem.self) { try Gzip.unpack("H4sI", most: 10) }
        #expect(throws: Gzip.Problem.self) { try Gzip.unpack("é", most: 10) }
    }

    @Test func `a marker is read as it was written, and an open run has none`() async throws {
        var marker = RunMarker(
            run: "a1",
            state: .done,
            playbook: "Migrate 'it'",
            planDigest: "0123",
            at: Date(timeIntervalSince1970: 1_795_000_000.123_456),
            writer: Self.writer,
            extent: ReplicaExtent(records: 5, facts: 3)
        )
        let text = try Array(marker.text().utf8)
        #expect(try RunMarker(text: text) == marker)
        #expect(await journalError { try RunMarker(text: text.dropLast()) }?.code == .corrupt)
        #expect(await journalError { try RunMarker(text: Array(text.prefix(40))) }?.code == .corrupt)
        marker.state = .halted
        let open = try Array(marker.text().utf8)
        #expect(await journalError { try RunMarker(text: open) }?.code == .corrupt)
    }

    @Test func `replicas that were written side by side are joined to the longest of each`() {
        let left = Self.replica(4, 3, "steps.4/n1")
        let right = Self.replica(5, 1, "steps.5/n2")
        let joined = RunReplica.joined([left, right])
        #expect(joined?.records.count == 5)
        #expect(joined?.facts.count == 3)
        #expect(joined?.entry.step == "steps.4/n1")
        #expect(RunReplica.joined([]) == nil)
    }

    @Test func `replicas of a run that went on in two places contradict each other`() {
        let base = Self.replica(3, 1)
        var fork = base
        fork.records = RunReplica.renumbered(base.records + [sampleStep("a1", "steps.9/n3")])
        #expect(RunReplica.joined([base, fork])?.records.count == 4)
        #expect(RunReplica.joined([Self.replica(5, 1), fork]) == nil)
        #expect(!fork.isBeginning(ofRecords: Self.records, facts: Self.facts))
        #expect(base.isBeginning(ofRecords: Self.records, facts: Self.facts))
        var replanned = base
        replanned.run.planDigest = "other"
        #expect(RunReplica.joined([base, replanned]) == nil)
    }

    @Test func `the numbers that a store gives its records do not matter`() async throws {
        let store = InMemoryRunStore()
        try await store.create(sampleRun("b1"))
        try await store.append(sampleStep("b1"))
        try await store.create(sampleRun("a1"))
        for record in Self.records { try await store.append(record) }
        for fact in Self.facts { try await store.recordFact(fact) }
        let records = try await store.records(of: "a1")
        #expect(records.first?.sequence == 2)
        #expect(Self.replica(3, 2).isBeginning(ofRecords: records, facts: try await store.factHistory(of: "a1")))
    }
}
