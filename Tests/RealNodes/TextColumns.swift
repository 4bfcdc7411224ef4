// SPDX-License-Identifier: Apache-2.0

/// Rows of text as lines with columns of equal width.
package enum TextColumns {
    package static func text(_ table: [[String]]) -> String {
        let count = table.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in table.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
        return table.map { row in
            zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
        }
        .joined(separator: "\n")
    }
}
