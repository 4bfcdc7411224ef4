// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Rollout

/// An event as `--format json` prints it: one object on one line.
///
/// The contract is docs/reference/events.md.
/// Keys without a value are left out, so that a reader tests for a key. Keys may be added; none changes its meaning.
package struct EventRecord: Codable, Equatable, Sendable {
    var event: Name
    var at: String
    var run: String
    /// The cluster, where several are rolled side by side.
    package var group: String?

    // Of the run.
    var playbook: String?
    var inventory: String?
    var hosts: [String]?
    var stepCount: Int?
    var stepsDone: Int?
    var resumed: Bool?

    // Of a stage or a step.
    var phase: Phase?
    var host: String?
    var title: String?
    var step: String?
    var name: String?
    var action: String?
    var effect: String?
    var availability: String?
    var attempt: Int?

    // Of what happened.
    var level: String?
    var status: StepReport.Status?
    var message: String?
    var remedy: String?
    var values: [String: String]?
    var elapsedSeconds: Double?
    var report: Report?

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
        case event, at, run, group
        case playbook, inventory, hosts, resumed
        case stepCount = "step_count"
        case stepsDone = "steps_done"
        case phase, host, title, step, name, action, effect, availability, attempt
        case level, status, message, remedy, values, report
        case elapsedSeconds = "elapsed_seconds"
    }

    /// What an event holds, under the names of the contract.
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
    /// The name of an event.
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
