// SPDX-License-Identifier: Apache-2.0

import Engine

/// The one screen of a run that did not finish: which member is in which state, why, and the exact next commands.
package enum HaltScreen {
    /// The screen, with a line break at its end.
    ///
    /// A width is the terminal's; without one, lines have any length. Commands are never broken, so that they can be
    /// copied.
    package static func render(_ report: HaltReport, width: Int?, style: ReportStyle = .plain) -> String {
        lines(report, width: width, style: style).joined(separator: "\n") + "\n"
    }

    static func lines(_ report: HaltReport, width: Int?, style: ReportStyle) -> [String] {
        let place = [report.host, report.step].compactMap(\.self).map(VisibleText.line).joined(separator: ", ")
        let verdict = style.paint(VisibleText.line(report.verdict).uppercased(), role(ofVerdict: report.verdict))
        var lines = [verdict + (place.isEmpty ? "" : " at " + place)]
        lines += ScreenText.paragraph("why", report.reason, width: width)
        if let remedy = report.remedy {
            lines += ScreenText.paragraph("what to do", remedy, width: width)
        }
        if !report.members.isEmpty {
            let table = Table(
                columns: [.init("host", flexible: false), .init("state", flexible: false), .init("detail")],
                rows: report.members.map {
                    [.init($0.host), .init($0.state, role(ofState: $0.state)), .init($0.detail)]
                }
            )
            lines += [""] + ScreenText.indented(table, width: width, style: style)
        }
        if !report.nextCommands.isEmpty {
            lines += ["", "  " + style.paint("next", .strong)]
            lines += report.nextCommands.flatMap { command(for: $0, width: width) }
        }
        return lines + ["", "  exit code \(report.exitCode)"]
    }

    /// A command on a line of its own, with what it does below.
    private static func command(for next: HaltReport.NextCommand, width: Int?) -> [String] {
        let purpose = VisibleText.lines(next.purpose).flatMap { line in
            width.map { DisplayWidth.wrap(line, to: max(20, $0 - 8)) } ?? [line]
        }
        return ["    " + VisibleText.line(next.command)] + purpose.filter { !$0.isEmpty }.map { "        " + $0 }
    }

    private static func role(ofVerdict verdict: String) -> ReportStyle.Role {
        switch verdict {
        case "interrupted", "refused", "locked": .warning
        default: .failure
        }
    }

    /// The colour of a member's state; words that are not known stay without one.
    private static func role(ofState state: String) -> ReportStyle.Role? {
        switch state {
        case "v2", "migrated", "done", "healthy", "rolled back": .ok
        case "stopped", "has v3 data", "unknown": .warning
        case "in doubt": .doubt
        case "unreachable", "failed", "broken": .failure
        default: nil
        }
    }
}
