// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where runs are kept: what was planned, what was attempted, how it ended.
///
/// When a method that writes returns, the record survives a kill of the process and, unless its ``Durability`` says
/// otherwise, a loss of power; when it throws, nothing of it was written. A write that was begun is finished even when
/// the task that asked for it is cancelled. Every implementation passes the same conformance suite.
package protocol RunStore: Sendable {
    /// Keeps a new run. Fails with `duplicateRun` where its id is taken.
    func create(_ run: RunRecord) async throws(JournalError)

    /// Keeps a run that was begun elsewhere, with all that is known of it: whole, or not at all.
    ///
    /// The records get sequences of this store. Fails with `duplicateRun` where the run's id is taken.
    func adopt(_ run: RunRecord, records: [StepRecord], facts: [FactRecord]) async throws(JournalError)

    /// Appends a record to its run, and returns its sequence. Nothing that was appended is ever changed.
    @discardableResult
    func append(_ record: StepRecord, _ durability: Durability) async throws(JournalError) -> Int64

    /// The records of a run in the order in which they were appended. Takes the full id.
    func records(of run: String) async throws(JournalError) -> [StepRecord]

    /// Says how far a run is. A state other than `running` gets its time of end.
    func setState(of run: String, _ state: RunState, exitCode: Int32?, at: Date) async throws(JournalError)

    /// Says who drives a run from now on.
    func setController(of run: String, host: String, pid: Int32, version: String) async throws(JournalError)

    /// All runs, newest first.
    func runs() async throws(JournalError) -> [RunRecord]

    /// The run with this id, or the only one whose id begins with it.
    func run(_ idOrPrefix: String) async throws(JournalError) -> RunRecord

    /// The newest run in one of these states.
    func latestRun(in states: Set<RunState>) async throws(JournalError) -> RunRecord?

    /// Records a value of a run. The last one of a name counts; earlier ones are kept.
    func recordFact(_ fact: FactRecord, _ durability: Durability) async throws(JournalError)

    /// The value that was recorded last under this name.
    func fact(_ name: String, of run: String) async throws(JournalError) -> String?

    /// Every fact of a run in the order in which they were recorded, earlier values too.
    func factHistory(of run: String) async throws(JournalError) -> [FactRecord]

    /// What a run has written beyond an extent, as of one moment.
    func log(of run: String, beyond extent: ReplicaExtent) async throws(JournalError) -> RunLog

    /// Takes the journal for a run, for as long as the returned lock lives. Only one controller at a time may have it.
    ///
    /// It keeps two controllers on one machine apart; on the nodes there is a lock of its own for the rest. The kernel
    /// gives it back when the process ends, however it ends.
    func acquireController(run: String) async throws(JournalError) -> ControllerLock

    /// Who has the journal now; `nil` where nobody does.
    func controller() async throws(JournalError) -> ControllerHolder?
}

extension RunStore {
    /// Appends a record that survives a loss of power from now on.
    @discardableResult
    package func append(_ record: StepRecord) async throws(JournalError) -> Int64 { try await append(record, .now) }

    /// Records a value that survives a loss of power from now on.
    package func recordFact(_ fact: FactRecord) async throws(JournalError) { try await recordFact(fact, .now) }

    /// Says how far a run is as of now.
    package func setState(of run: String, _ state: RunState, exitCode: Int32? = nil) async throws(JournalError) {
        try await setState(of: run, state, exitCode: exitCode, at: Date())
    }

    /// Records a value of a run as of now; it becomes durable with the next intent.
    package func recordFact(_ name: String, _ value: String, of run: String) async throws(JournalError) {
        try await recordFact(FactRecord(run: run, name: name, value: value, at: Date()), .withNext)
    }

    /// The facts of a run, by name.
    package func facts(of run: String) async throws(JournalError) -> [String: String] {
        var facts: [String: String] = [:]
        for fact in try await factHistory(of: run) { facts[fact.name] = fact.value }
        return facts
    }
}

/// What every store demands of a run that it is to adopt.
enum AdoptionRules {
    static func problem(_ run: RunRecord, _ records: [StepRecord], _ facts: [FactRecord]) -> String? {
        let problems = [run.problem] + records.map(\.problem) + facts.map(\.problem)
        if let problem = problems.compactMap(\.self).first { return problem }
        let isWhole = records.allSatisfy { $0.run == run.id } && facts.allSatisfy { $0.run == run.id }
        return isWhole ? nil : "it mixes several runs"
    }
}

/// When a record survives a loss of power.
///
/// Records reach the disk in the order in which they were written, so one that waits is never missing where a later one
/// is there. Each wait for the disk takes milliseconds, and a run writes a hundred records.
package enum Durability: Sendable {
    /// From the moment that it is written: for what must be known of an effect before it begins.
    case now
    /// Together with the next one that is written durably: for what is observed anew when it is missing, as the end of
    /// a step that a resumed run then finds in doubt.
    case withNext
}

/// Choices that every store makes alike.
enum RunSearch {
    /// The run that a person means.
    static func pick(_ text: String, among matches: [String]) throws(JournalError) -> String {
        if matches.contains(text) { return text }
        guard let first = matches.first, !text.isEmpty else {
            throw JournalError(.unknownRun, "there is no run '\(text)'", remedy: "see 'pawl runs'")
        }
        guard matches.count == 1 else {
            let some = matches.sorted().prefix(5).joined(separator: ", ")
            throw JournalError(
                .ambiguousRun,
                "several runs begin with '\(text)': \(some)",
                remedy: "write more of the id"
            )
        }
        return first
    }
}
