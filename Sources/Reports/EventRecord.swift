// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Rollout

/// An event as `--format json` prints it: one object on one line.
///
/// The contract is docs/reference/events.md.
/// Keys without a value are left out, so that a reader tests for a key. Keys may be added; none changes its meaning.
package struct EventRecord: Codable, Equatable, Sendable {
    package var event: Name
    package var at: String
    package var run: String

    // Of the run.
    package var playbook: String?
    package var inventory: String?
    package var hosts: [String]?
    package var stepCount: Int?
    package var stepsDone: Int?
    package var resumed: Bool?

    // Of a stage or a step.
    package var phase: Phase?
    package var host: String?
    package var title: String?
    package var step: String?
    package var name: String?
    package var action: String?
    package var effect: String?
    package var availability: String?
    package var attempt: Int?

    // Of what happened.
    package var level: String?
    package var status: StepReport.Status?
    package var message: String?
    package var remedy: String?
    package var values: [String: String]?
    package var elapsedSeconds: Double?
    package var report: Report?

    /// What the key `event` says.
    package enum Name: String, Codable, Sendable, CaseIterable {
        case runStarted = "run_started"
        case stageStarted = "stage_started"
        case stepStarted = "step_started"
        case stepProgress = "step_progress"
        case stepFinished = "step_finished"
        case undoStarted = "undo_started"
        case undoFinished = "undo_finished"
        case notice
        case halted
        case finished
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case event, at, run
        case playbook, inventory, hosts, resumed
        case stepCount = "step_count"
        case stepsDone = "steps_done"
        case phase, host, title, step, name, action, effect, availability, attempt
        case level, status, message, remedy, values, report
        case elapsedSeconds = "elapsed_seconds"
    }

    package init(_ event: RunEvent) {
        self.event = Name(event.kind)
        at = ReportTime.stamp(event.at)
        run = event.run
        switch event.kind {
        case .runStarted(let header): describe(header)
        case .stageStarted(let phase, let host, let title):
            self.phase = phase
            self.host = host
            self.title = title
        case .stepStarted(let step, let attempt):
            describe(step)
            self.attempt = attempt
        case .stepProgress(let step, let text):
            describe(step)
            message = text
        case .stepFinished(let step, let report), .undoFinished(let step, let report):
            describe(step)
            describe(report)
        case .undoStarted(let step): describe(step)
        case .notice(let notice):
            level = notice.level.rawValue
            host = notice.host
            message = notice.text
        case .halted(let halt): report = .halted(HaltRecord(halt))
        case .finished(let summary): report = .finished(SummaryRecord(summary))
        }
    }

    private mutating func describe(_ header: RunHeader) {
        playbook = header.playbook
        inventory = header.inventory
        hosts = header.hosts
        stepCount = header.stepCount
        stepsDone = header.stepsDone
        resumed = header.isResumed
    }

    private mutating func describe(_ planned: PlannedStep) {
        step = planned.id.text
        phase = planned.phase
        host = planned.host
        name = planned.name
        action = planned.action
        effect = Self.snakeCase(planned.effect.rawValue)
        availability = Self.snakeCase(planned.availability.rawValue)
    }

    private mutating func describe(_ report: StepReport) {
        status = report.status
        message = report.message
        remedy = report.remedy
        values = report.values.isEmpty ? nil : report.values
        elapsedSeconds = ReportTime.milliseconds(report.elapsedSeconds)
    }

    /// `readOnly` as `read_only`: words in JSON look like its keys.
    private static func snakeCase(_ word: String) -> String {
        word.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
    }

    /// The object on one line, keys sorted, without a line break at its end.
    package func line() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

extension EventRecord.Name {
    package init(_ kind: RunEvent.Kind) {
        self =
            switch kind {
            case .runStarted: .runStarted
            case .stageStarted: .stageStarted
            case .stepStarted: .stepStarted
            case .stepProgress: .stepProgress
            case .stepFinished: .stepFinished
            case .undoStarted: .undoStarted
            case .undoFinished: .undoFinished
            case .notice: .notice
            case .halted: .halted
            case .finished: .finished
            }
    }
}
