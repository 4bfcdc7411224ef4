// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// A journal that lives as long as its process: for tests and rehearsals.
///
/// Copies of the same journal by another controller are made with ``InMemoryRunStore/init(sharing:)``.
package final class InMemoryRunStore: RunStore {
    private struct Contents {
        var runs: [RunRecord] = []
        var records: [StepRecord] = []
        var facts: [FactRecord] = []
        var holder: ControllerHolder?
    }

    /// Reference to what several stores share.
    private final class Shared: Sendable {
        let contents = Mutex(Contents())
    }

    private let shared: Shared

    package init() {
        shared = Shared()
    }

    /// A second store over the same journal, as another process opens it.
    package init(sharing other: InMemoryRunStore) {
        shared = other.shared
    }

    package func create(_ run: RunRecord) async throws(JournalError) {
        let run = run.normalized()
        try check(run.problem)
        try access { (contents) throws(JournalError) in
            guard !contents.runs.contains(where: { $0.id == run.id }) else {
                throw JournalError(.duplicateRun, "there is a run '\(run.id)' already")
            }
            contents.runs.append(run)
        }
    }

    package func adopt(
        _ run: RunRecord,
        records: [StepRecord],
        facts: [FactRecord]
    ) async throws(JournalError) {
        let run = run.normalized()
        let records = records.map { $0.normalized() }
        let facts = facts.map { $0.normalized() }
        try check(AdoptionRules.problem(run, records, facts))
        try access { (contents) throws(JournalError) in
            guard !contents.runs.contains(where: { $0.id == run.id }) else {
                throw JournalError(.duplicateRun, "there is a run '\(run.id)' already")
            }
            contents.runs.append(run)
            for var record in records {
                record.sequence = Int64(contents.records.count + 1)
                contents.records.append(record)
            }
            contents.facts += facts
        }
    }

    @discardableResult
    package func append(_ record: StepRecord, _ durability: Durability) async throws(JournalError) -> Int64 {
        var record = record.normalized()
        try check(record.problem)
        return try access { (contents) throws(JournalError) in
            _ = try Self.index(of: record.run, in: contents)
            record.sequence = Int64(contents.records.count + 1)
            contents.records.append(record)
            return record.sequence
        }
    }

    package func records(of run: String) async throws(JournalError) -> [StepRecord] {
        try access { (contents) throws(JournalError) in
            _ = try Self.index(of: run, in: contents)
            return contents.records.filter { $0.run == run }
        }
    }

    package func setState(
        of run: String,
        _ state: RunState,
        exitCode: Int32?,
        at: Date
    ) async throws(JournalError) {
        try update(run) { record in
            record.state = state
            record.exitCode = exitCode
            record.endedAt = state == .running ? nil : JournalTime.rounded(at)
        }
    }

    package func setController(
        of run: String,
        host: String,
        pid: Int32,
        version: String
    ) async throws(JournalError) {
        try update(run) { record in
            record.controllerHost = host
            record.controllerPID = pid
            record.version = version
        }
    }

    package func runs() async throws(JournalError) -> [RunRecord] {
        try access { (contents) throws(JournalError) in
            contents.runs.enumerated()
                .sorted { ($0.element.createdAt, $0.offset) > ($1.element.createdAt, $1.offset) }
                .map(\.element)
        }
    }

    package func run(_ idOrPrefix: String) async throws(JournalError) -> RunRecord {
        try access { (contents) throws(JournalError) in
            let matches = contents.runs.map(\.id).filter { $0.hasPrefix(idOrPrefix) }
            let id = try RunSearch.pick(idOrPrefix, among: matches)
            return contents.runs[try Self.index(of: id, in: contents)]
        }
    }

    package func latestRun(in states: Set<RunState>) async throws(JournalError) -> RunRecord? {
        try await runs().first { states.contains($0.state) }
    }

    package func recordFact(_ fact: FactRecord, _ durability: Durability) async throws(JournalError) {
        let fact = fact.normalized()
        try check(fact.problem)
        try access { (contents) throws(JournalError) in
            _ = try Self.index(of: fact.run, in: contents)
            contents.facts.append(fact)
        }
    }

    package func fact(_ name: String, of run: String) async throws(JournalError) -> String? {
        try await factHistory(of: run).last { $0.name == name }?.value
    }

    package func factHistory(of run: String) async throws(JournalError) -> [FactRecord] {
        try access { (contents) throws(JournalError) in
            _ = try Self.index(of: run, in: contents)
            return contents.facts.filter { $0.run == run }
        }
    }

    package func log(of run: String, beyond extent: ReplicaExtent) async throws(JournalError) -> RunLog {
        try access { (contents) throws(JournalError) in
            _ = try Self.index(of: run, in: contents)
            return RunLog(
                records: Array(contents.records.filter { $0.run == run }.dropFirst(extent.records)),
                facts: Array(contents.facts.filter { $0.run == run }.dropFirst(extent.facts)),
                from: extent
            )
        }
    }

    package func acquireController(run: String) async throws(JournalError) -> ControllerLock {
        let holder = ControllerHolder.current(run: run)
        try access { (contents) throws(JournalError) in
            guard contents.holder == nil else { throw ControllerLock.refusal(contents.holder) }
            contents.holder = holder
        }
        return ControllerLock(holder: holder) { [shared] in
            shared.contents.withLock { $0.holder = nil }
        }
    }

    package func controller() async throws(JournalError) -> ControllerHolder? {
        shared.contents.withLock { $0.holder }
    }

    // MARK: - Private

    private func access<Value: Sendable>(
        _ body: (inout Contents) throws(JournalError) -> Value
    ) throws(JournalError) -> Value {
        let result: Result<Value, JournalError> = shared.contents.withLock { contents in
            do throws(JournalError) {
                return .success(try body(&contents))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func update(_ run: String, _ change: (inout RunRecord) -> Void) throws(JournalError) {
        try access { (contents) throws(JournalError) in
            let index = try Self.index(of: run, in: contents)
            var record = contents.runs[index]
            change(&record)
            try check(record.problem)
            contents.runs[index] = record
        }
    }

    private func check(_ problem: String?) throws(JournalError) {
        if let problem { throw JournalError(.invalid, "not written: \(problem)") }
    }

    private static func index(of run: String, in contents: Contents) throws(JournalError) -> Int {
        guard let index = contents.runs.firstIndex(where: { $0.id == run }) else {
            throw JournalError(.unknownRun, "there is no run '\(run)'", remedy: "see 'pawl runs'")
        }
        return index
    }
}
