// SPDX-License-Identifier: Apache-2.0

/// Columns of text, aligned by what a terminal shows rather than by bytes or characters.
///
/// Where a width is given and the table is wider, its widest columns become narrower and their cells go on in further
/// lines: nothing is cut off, since a path or a hash that is cut is of no use to anybody.
package struct Table: Sendable {
    package enum Alignment: Sendable, Equatable {
        case left
        case right
    }

    package struct Column: Sendable, Equatable {
        package var title: String
        package var alignment: Alignment
        /// The column may be narrowed, down to ``Table/narrowest``, when the table is too wide.
        package var isFlexible: Bool

        package init(_ title: String, _ alignment: Alignment = .left, flexible: Bool = true) {
            self.title = title
            self.alignment = alignment
            isFlexible = flexible
        }
    }

    package struct Cell: Sendable, Equatable, ExpressibleByStringLiteral {
        package var text: String
        package var role: ReportStyle.Role?

        package init(_ text: String, _ role: ReportStyle.Role? = nil) {
            self.text = text
            self.role = role
        }

        package init(stringLiteral value: String) {
            self.init(value)
        }
    }

    /// No column is made narrower than this.
    package static let narrowest = 8
    private static let gap = 2

    package var columns: [Column]
    package var rows: [[Cell]]

    package init(columns: [Column], rows: [[Cell]]) {
        self.columns = columns
        self.rows = rows
    }

    package init(columns: [Column], rows: [[String]]) {
        self.init(columns: columns, rows: rows.map { $0.map { Cell($0) } })
    }

    /// The table with a line of titles, unless all are empty.
    ///
    /// Lines end without spaces, the last without a line break. Without a width they are as long as the cells need.
    package func render(width: Int?, style: ReportStyle = .plain) -> String {
        lines(width: width, style: style).joined(separator: "\n")
    }

    /// What ``render(width:style:)`` joins.
    package func lines(width: Int?, style: ReportStyle = .plain) -> [String] {
        let widths = widths(within: width)
        var lines: [String] = []
        if columns.contains(where: { !$0.title.isEmpty }) {
            lines += render(columns.map { Cell($0.title, .dim) }, widths: widths, style: style)
        }
        for row in rows {
            lines += render(row, widths: widths, style: style)
        }
        return lines
    }

    /// One row, in as many lines as its highest cell; cells that a row does not have are empty.
    private func render(_ row: [Cell], widths: [Int], style: ReportStyle) -> [String] {
        let wrapped = columns.indices.map { index -> [String] in
            guard index < row.count else { return [] }
            return VisibleText.lines(row[index].text).flatMap { DisplayWidth.wrap($0, to: widths[index]) }
        }
        return (0..<(wrapped.map(\.count).max() ?? 0)).map { number in
            var line = ""
            var pending = ""
            for index in columns.indices {
                let piece = number < wrapped[index].count ? wrapped[index][number] : ""
                let fill = String(repeating: " ", count: max(0, widths[index] - DisplayWidth.of(piece)))
                if columns[index].alignment == .right { pending += fill }
                if !piece.isEmpty {
                    line += pending + style.paint(piece, row[index].role)
                    pending = ""
                }
                if columns[index].alignment == .left { pending += fill }
                pending += String(repeating: " ", count: Self.gap)
            }
            return line
        }
    }

    private func widths(within width: Int?) -> [Int] {
        var widths = columns.indices.map { index in
            let cells = rows.lazy.compactMap { index < $0.count ? $0[index].text : nil }
            let widest = cells.flatMap { VisibleText.lines($0) }.map(DisplayWidth.of).max() ?? 0
            return max(widest, DisplayWidth.of(columns[index].title))
        }
        guard let width else { return widths }
        while widths.reduce(0, +) + Self.gap * max(0, columns.count - 1) > width {
            let candidates = columns.indices.filter { columns[$0].isFlexible && widths[$0] > Self.narrowest }
            guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
        }
        return widths
    }
}
