// SPDX-License-Identifier: Apache-2.0

import Engine
import Rollout

/// What the live region shows: how far each host is and what it does now.
///
/// A value; the clock comes from outside.
struct LiveProgress {
    /// A host, or all hosts at once (`nil`).
    private struct Row {
        var done: Set<StepID> = []
        var planned: Set<StepID> = []
        var running: Running?
        var last: StepReport.Status?
    }

    private struct Running {
        var step: PlannedStep
        var verb: String
        var since: Double
        var news: String?
    }

    private var title = ""
    private var phase: Phase?
    private var startedAt: Double?
    private var order: [String?] = []
    private var rows: [String?: Row] = [:]

    init(plan: [PlannedStep], done: Set<StepID>) {
        for step in plan {
            row(step.host) { row in
                row.planned.insert(step.id)
                if done.contains(step.id) { row.done.insert(step.id) }
            }
        }
    }

    mutating func apply(_ event: RunEvent) {
        switch event.kind {
        case .runStarted(let header):
            title = header.playbook
            startedAt = event.at
            // The inventory's order, then hosts that only the plan knows.
            order = header.hosts.map(Optional.some) + order.filter { host in !header.hosts.contains { $0 == host } }
            for host in header.hosts where rows[host] == nil { rows[host] = Row() }
        case .stageStarted(let phase, _, _):
            self.phase = phase
        case .stepStarted(let step, let attempt):
            begin(step, attempt > 1 ? "attempt \(attempt) of " : "", at: event.at)
        case .stepProgress(let step, let text):
            row(step.host) { if $0.running?.step.id == step.id { $0.running?.news = text } }
        case .stepFinished(let step, let report):
            row(step.host) { row in
                if row.running?.step.id == step.id { row.running = nil }
                if report.status == .done || report.status == .skipped { row.done.insert(step.id) }
                row.last = report.status
            }
        case .undoStarted(let step):
            begin(step, "taking back ", at: event.at)
        case .undoFinished(let step, let report):
            row(step.host) { row in
                if row.running?.step.id == step.id { row.running = nil }
                if report.status == .done { row.done.remove(step.id) }
                row.last = report.status
            }
        case .notice, .halted, .finished:
            break
        }
    }

    /// The lines of the region, at most `size.rows - 1` of them and none wider than the terminal.
    func frame(now: Double, size: TerminalSize, style: ReportStyle) -> [String] {
        guard let startedAt else { return [] }
        let width = max(1, size.columns - 1)
        let shown = chosen(limit: max(1, size.rows - 3))
        let hostColumns = shown.map { DisplayWidth.of(Self.name($0)) }.max() ?? 0
        let total = rows.values.reduce(0) { $0 + $1.planned.count }
        let done = rows.values.reduce(0) { $0 + $1.done.count }
        let parts = [
            VisibleText.line(title), phase?.rawValue, total > 0 ? "\(done)/\(total) steps" : nil,
            ReportTime.wholeSpan(now - startedAt),
        ]
        let header = parts.compactMap(\.self).joined(separator: "  ")
        var lines = [style.paint(DisplayWidth.truncate(header, to: width), .strong)]
        lines += shown.map { line(for: $0, hostColumns: hostColumns, now: now, width: width, style: style) }
        let hidden = order.count - shown.count
        if hidden > 0 {
            lines.append(style.paint(DisplayWidth.truncate("and \(hidden) more", to: width), .dim))
        }
        return lines
    }

    /// Hosts that fit: all, or those that do something, before the others, in the inventory's order.
    private func chosen(limit: Int) -> [String?] {
        guard order.count > limit else { return order }
        let busy = Set(order.filter { rows[$0]?.running != nil }.prefix(limit))
        let troubled = Set(order.filter { !busy.contains($0) && hasTrouble($0) }.prefix(limit - busy.count))
        let first = busy.union(troubled)
        let idle = Set(order.filter { !first.contains($0) }.prefix(limit - first.count))
        return order.filter { first.contains($0) || idle.contains($0) }
    }

    private func hasTrouble(_ host: String?) -> Bool {
        rows[host]?.last == .failed || rows[host]?.last == .inDoubt
    }

    private func line(for host: String?, hostColumns: Int, now: Double, width: Int, style: ReportStyle) -> String {
        guard let row = rows[host] else { return "" }
        let count = row.planned.isEmpty ? "\(row.done.count)" : "\(row.done.count)/\(row.planned.count)"
        let start = DisplayWidth.pad(Self.name(host), to: hostColumns) + "  " + DisplayWidth.pad(count, to: 5) + "  "
        let (text, role) = state(of: row, now: now)
        let room = width - DisplayWidth.of(start)
        guard room > 0 else { return DisplayWidth.truncate(start, to: width) }
        return start + style.paint(DisplayWidth.truncate(text, to: room), role)
    }

    private func state(of row: Row, now: Double) -> (String, ReportStyle.Role?) {
        if let running = row.running {
            let elapsed = ReportTime.wholeSpan(now - running.since)
            let news = running.news.map { "  " + VisibleText.line($0) } ?? ""
            return (running.verb + VisibleText.line(running.step.name) + "  " + elapsed + news, nil)
        }
        if row.last == .failed { return ("failed", .failure) }
        if row.last == .inDoubt { return ("in doubt", .doubt) }
        if !row.planned.isEmpty, row.done.count == row.planned.count { return ("done", .ok) }
        return ("waiting", .dim)
    }

    private static func name(_ host: String?) -> String { VisibleText.line(host ?? EventText.allHosts) }

    private mutating func begin(_ step: PlannedStep, _ verb: String, at time: Double) {
        row(step.host) { $0.running = Running(step: step, verb: verb, since: time) }
    }

    private mutating func row(_ host: String?, _ change: (inout Row) -> Void) {
        if rows[host] == nil { order.append(host) }
        change(&rows[host, default: Row()])
    }
}
