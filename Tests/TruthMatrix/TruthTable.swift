// SPDX-License-Identifier: Apache-2.0

import Foundation
import RealNodes

/// Row, trap, the bare procedure and pawl.
struct TruthTable: Sendable {
    struct Row: Sendable, Encodable {
        var row: String
        var trap: String
        var bare: String
        var pawl: String
        /// What is not as it must be.
        var failures: [String]
    }

    private(set) var rows: [Row] = []

    mutating func add(_ trap: Trap, _ finding: Finding) {
        rows.append(
            Row(row: trap.id, trap: trap.text, bare: finding.bare, pawl: finding.pawl, failures: finding.failures)
        )
    }

    var isAllRight: Bool { !rows.isEmpty && rows.allSatisfy { $0.failures.isEmpty } }

    /// The last line.
    var count: String {
        let right = rows.filter { $0.failures.isEmpty }.count
        return "\(right) of \(rows.count) rows: pawl refused, halted or repaired, and the data are as they must be"
    }

    // MARK: - Forms

    private static let titles = ["row", "trap", "bare procedure", "pawl"]

    /// Columns for a terminal, their cells in lines.
    var text: String {
        var lines = [Self.titles]
        for row in rows {
            let cells = [
                Self.wrap(row.row, 16), Self.wrap(row.trap, 30), Self.wrap(row.bare, 52), Self.wrap(pawl(row), 60),
            ]
            for line in 0..<(cells.map(\.count).max() ?? 0) {
                lines.append(cells.map { $0.count > line ? $0[line] : "" })
            }
            lines.append(["", "", "", ""])
        }
        return TextColumns.text(lines)
    }

    private static let page = """
        <!-- Made by `scripts/truth-matrix --markdown`; do not edit. -->
        # Traps

        What is known to go wrong when etcd's keys are migrated from v2 to v3, each set for real on three booted nodes with
        etcd 3.4. *Bare procedure* is what became of the cluster when one node after the other was stopped, migrated with
        `etcdctl migrate` and started, looking at exit codes and `endpoint health`; *pawl* is what `pawl run` made of the same.
        What members hold was asked of them afterwards with curl and etcdctl. Names of hosts, counts and hashes are those of
        the run that made this page:

            scripts/truth-matrix --markdown > docs/reference/traps.md

        """

    /// A page of the documentation.
    var markdown: String {
        let head = "| \(Self.titles.joined(separator: " | ")) |\n|---|---|---|---|"
        let body = rows.map { row in
            "| " + [row.row, row.trap, row.bare, pawl(row)].map(Self.escape).joined(separator: " | ") + " |"
        }
        return ([Self.page, head] + body).joined(separator: "\n") + "\n\n\(count)."
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(rows), as: UTF8.self)
    }

    private func pawl(_ row: Row) -> String {
        row.failures.isEmpty ? row.pawl : "NOT AS IT MUST BE: \(row.failures.joined(separator: "; ")) (\(row.pawl))"
    }

    private static func escape(_ text: String) -> String {
        text.replacing("|", with: "\\|").replacing("\n", with: " ").replacing("<", with: "&lt;")
            .replacing("*", with: "\\*").replacing("_", with: "\\_")
    }

    private static func wrap(_ text: String, _ width: Int) -> [String] {
        var lines = [""]
        for word in text.split(whereSeparator: \.isWhitespace) {
            let last = lines[lines.count - 1]
            if last.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if last.count + 1 + word.count <= width {
                lines[lines.count - 1] = "\(last) \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}
