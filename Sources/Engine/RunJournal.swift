// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Rollout

/// The journal of one run in the rollout's words: intents before effects, outcomes after them.
struct RunJournal: Sendable {
    let store: any RunStore
    let run: String

    /// An intent is on the disk before its effect begins; one to look only is not waited for.
    func intent(_ step: StepID, attempt: Int, changes: Bool) async throws {
        try await append(step, attempt, .intent, status: nil, message: "", durability: changes ? .now : .withNext)
    }

    func outcome(_ step: StepID, attempt: Int, _ outcome: Outcome, _ report: StepReport) async throws {
        try await append(step, attempt, .outcome, outcome, report)
    }

    func undoIntent(_ step: StepID) async throws {
        try await append(step, 1, .undoIntent, status: nil, message: "", durability: .now)
    }

    func undoOutcome(_ step: StepID, _ outcome: Outcome, _ report: StepReport) async throws {
        try await append(step, 1, .undoOutcome, outcome, report)
    }

    /// Something that was decided or proven between steps, as a quorum proof.
    func note(_ text: String, host: String?) async throws {
        try await store.recordFact("note:\(host ?? "*")", text, of: run)
    }

    /// What the journal holds of the run, as the machine reads it.
    func history() async throws -> [HistoryEntry] {
        try await store.records(of: run).compactMap { record in
            kind(of: record).map { HistoryEntry(step: StepID(record.step), attempt: record.attempt, kind: $0) }
        }
    }

    private func kind(of record: StepRecord) -> HistoryEntry.Kind? {
        switch record.kind {
        case .intent: .intent
        case .undoIntent: .undoIntent
        case .outcome: .outcome(outcome(of: record))
        case .undoOutcome: .undoOutcome(outcome(of: record))
        case .observation: nil
        }
    }

    private func outcome(of record: StepRecord) -> Outcome {
        let failure = Failure(
            step: StepID(record.step),
            host: record.host,
            record.message,
            remedy: record.remedy
        )
        return switch record.status {
        case .done, .skipped, .undone: .succeeded
        case .failed: .failed(failure)
        case .notBegun: .failed(failure)
        case .inDoubt, nil: .inDoubt(failure)
        }
    }

    private func append(
        _ step: StepID,
        _ attempt: Int,
        _ kind: StepRecord.Kind,
        _ outcome: Outcome,
        _ report: StepReport
    ) async throws {
        let status: StepRecord.Status =
            switch outcome {
            case .succeeded where kind == .undoOutcome: .undone
            case .succeeded: report.status == .skipped ? .skipped : .done
            case .failed: .failed
            case .inDoubt: .inDoubt
            }
        try await append(
            step,
            attempt,
            kind,
            status: status,
            message: outcome.failure?.message ?? report.message,
            remedy: outcome.failure?.remedy,
            values: report.values,
            // Lost with the controller's power, it leaves the step in doubt, to be observed.
            durability: .withNext
        )
    }

    private func append(
        _ step: StepID,
        _ attempt: Int,
        _ kind: StepRecord.Kind,
        status: StepRecord.Status?,
        message: String,
        remedy: String? = nil,
        values: [String: String] = [:],
        durability: Durability
    ) async throws {
        let host = step.text.split(separator: "/").last.flatMap { $0 == "*" ? nil : String($0) }
        _ = try await store.append(
            StepRecord(
                run: run,
                step: step.text,
                host: host,
                attempt: attempt,
                kind: kind,
                status: status,
                message: message,
                remedy: remedy,
                values: values,
                at: Date()
            ),
            durability
        )
    }
}
