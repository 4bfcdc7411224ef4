// SPDX-License-Identifier: Apache-2.0

import Engine

/// The last screen of a run that did all its work: what each member holds now, and what was proven.
package enum SummaryScreen {
    package static func render(_ summary: RunSummary, width: Int?, style: ReportStyle = .plain) -> String {
        lines(summary, width: width, style: style).joined(separator: "\n") + "\n"
    }

    static func lines(_ summary: RunSummary, width: Int?, style: ReportStyle) -> [String] {
        let elapsed = ReportTime.span(summary.elapsedSeconds)
        var lines = [style.paint("DONE", .ok) + " \(VisibleText.line(summary.playbook)) in \(elapsed)"]
        if !summary.members.isEmpty {
            lines += [""] + ScreenText.indented(table(summary.members), width: width, style: style)
        }
        if let longest = longestOutage(summary.members) {
            lines += ["", "  " + longest]
        }
        if !summary.proofs.isEmpty {
            lines += ["", "  " + style.paint("proven", .strong)]
            for proof in summary.proofs {
                let text = VisibleText.lines(proof).flatMap { line in
                    width.map { DisplayWidth.wrap(line, to: max(20, $0 - 6)) } ?? [line]
                }
                lines += text.enumerated().map { ($0.offset == 0 ? "    - " : "      ") + $0.element }
            }
        }
        return lines
    }

    /// One row per member; a column is there when at least one member has a value for it.
    private static func table(_ members: [RunSummary.Member]) -> Table {
        typealias Member = RunSummary.Member
        let all: [(column: Table.Column, text: (Member) -> String?)] = [
            (.init("keys", .right, flexible: false), { $0.keys.map(String.init) }),
            (.init("revision", .right, flexible: false), { $0.revision.map(String.init) }),
            (.init("hash"), { $0.hash }),
            (.init("out of service", .right, flexible: false), { $0.unavailableSeconds.map(ReportTime.span) }),
            (.init("backup"), { $0.backupPath }),
        ]
        let shown = all.filter { entry in members.contains { entry.text($0) != nil } }
        return Table(
            columns: [.init("host", flexible: false)] + shown.map(\.column),
            rows: members.map { member in
                [Table.Cell(member.host)] + shown.map { Table.Cell($0.text(member) ?? "-") }
            }
        )
    }

    private static func longestOutage(_ members: [RunSummary.Member]) -> String? {
        let outages = members.compactMap { member in member.unavailableSeconds.map { (member.host, $0) } }
        guard let longest = outages.max(by: { $0.1 < $1.1 }) else { return nil }
        return "no member was out of service for longer than \(ReportTime.span(longest.1)) "
            + "(\(VisibleText.line(longest.0)))"
    }
}
