// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Rollout

/// What the views for people say of an event, in lines: time, host, what happened.
///
/// Pure: the same events in the same order give the same lines.
struct EventText {
    var style: ReportStyle
    var timeZone: TimeZone
    /// Columns of the terminal, for the screens at the end; `nil` where lines may have any length.
    var width: Int?
    /// How wide the column of hosts is; known from the run's header.
    private var hostColumns = 0

    /// What stands in the place of a host for steps that look at all of them; Ansible reserves the word.
    static let allHosts = "all"
    private static let indent = "    "

    init(style: ReportStyle, timeZone: TimeZone, width: Int? = nil) {
        self.style = style
        self.timeZone = timeZone
        self.width = width
    }

    mutating func lines(for event: RunEvent) -> [String] {
        switch event.kind {
        case .runStarted(let header):
            hostColumns = (header.hosts + [Self.allHosts]).map { DisplayWidth.of(VisibleText.line($0)) }.max() ?? 0
            return [time(event) + headline(header, run: event.run)]
        case .stageStarted(let phase, let host, let title):
            let place = host.map { " on " + VisibleText.line($0) } ?? ""
            let name = title.isEmpty || title == phase.rawValue ? "" : ": " + VisibleText.line(title)
            return [time(event) + style.paint("== \(phase.rawValue)\(place)\(name)", .strong)]
        case .stepStarted(let step, let attempt):
            return [time(event) + about(step) + ": started" + (attempt > 1 ? " (attempt \(attempt))" : "")]
        case .stepProgress(let step, let text):
            return [time(event) + hostCell(step.host) + Self.indent + style.paint(VisibleText.line(text), .dim)]
        case .stepFinished(let step, let report):
            return outcome(event, about(step), report, word: word(report.status))
        case .undoStarted(let step):
            return [time(event) + about(step) + ": taking it back"]
        case .undoFinished(let step, let report):
            return outcome(event, about(step), report, word: undoWord(report.status))
        case .notice(let notice):
            return notice.lines(time(event) + hostCell(notice.host), style: style, indent: Self.indent)
        case .halted(let report):
            let line = time(event) + "run \(VisibleText.line(event.run)) \(VisibleText.line(report.verdict))"
            return [line, ""] + HaltScreen.lines(report, width: width, style: style)
        case .finished(let summary):
            let line = time(event) + "run \(VisibleText.line(event.run)) finished"
            return [line, ""] + SummaryScreen.lines(summary, width: width, style: style)
        }
    }

    private func time(_ event: RunEvent) -> String {
        style.paint(ReportTime.clock(event.at, in: timeZone), .dim) + " "
    }

    private func headline(_ header: RunHeader, run: String) -> String {
        let hosts = header.hosts.map(VisibleText.line).joined(separator: ", ")
        let verb = header.isResumed ? "resumed" : "started"
        let done = header.stepsDone > 0 ? ", \(header.stepsDone) of them done before" : ""
        return "run \(VisibleText.line(run)) \(verb): \(VisibleText.line(header.playbook)), "
            + "inventory \(VisibleText.line(header.inventory)), \(header.stepCount) steps\(done), hosts \(hosts)"
    }

    private func hostCell(_ host: String?) -> String {
        DisplayWidth.pad(VisibleText.line(host ?? Self.allHosts), to: hostColumns) + "  "
    }

    private func about(_ step: PlannedStep) -> String {
        hostCell(step.host) + VisibleText.line(step.name)
    }

    /// The line of a step that ended; further lines of the message and the remedy follow, indented.
    private func outcome(
        _ event: RunEvent,
        _ about: String,
        _ report: StepReport,
        word: (text: String, role: ReportStyle.Role)
    ) -> [String] {
        let message = VisibleText.lines(report.message)
        let elapsed = style.paint(" (\(ReportTime.span(report.elapsedSeconds)))", .dim)
        let first = message.first.map { $0.isEmpty ? "" : ": " + $0 } ?? ""
        var lines = [time(event) + about + ": " + style.paint(word.text, word.role) + elapsed + first]
        lines += message.dropFirst().map { Self.indent + $0 }
        if let remedy = report.remedy {
            let remedy = VisibleText.lines(remedy)
            lines += remedy.prefix(1).map { Self.indent + style.paint("what to do: ", .strong) + $0 }
            lines += remedy.dropFirst().map { Self.indent + Self.indent + $0 }
        }
        return lines
    }

    private func word(_ status: StepReport.Status) -> (text: String, role: ReportStyle.Role) {
        switch status {
        case .done: ("done", .ok)
        case .skipped: ("already done", .ok)
        case .failed: ("failed", .failure)
        case .inDoubt: ("in doubt", .doubt)
        }
    }

    private func undoWord(_ status: StepReport.Status) -> (text: String, role: ReportStyle.Role) {
        switch status {
        case .done: ("taken back", .warning)
        case .skipped: ("nothing to take back", .ok)
        case .failed: ("could not be taken back", .failure)
        case .inDoubt: ("in doubt whether it was taken back", .doubt)
        }
    }
}

extension Notice {
    fileprivate func lines(_ start: String, style: ReportStyle, indent: String) -> [String] {
        let mark =
            switch level {
            case .info: ""
            case .warning: style.paint("warning: ", .warning)
            }
        let text = VisibleText.lines(text)
        return text.prefix(1).map { start + mark + $0 } + text.dropFirst().map { indent + $0 }
    }
}
