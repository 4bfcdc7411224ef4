// SPDX-License-Identifier: Apache-2.0

/// The pieces that the screens share.
enum ScreenText {
    private static let margin = "  "

    /// A label with a text of one or more lines beside it.
    static func paragraph(_ label: String, _ text: String, width: Int?) -> [String] {
        let labels = DisplayWidth.pad(label + ":", to: 12)
        let blank = String(repeating: " ", count: 12)
        let available = width.map { max(20, $0 - margin.count - 12) }
        let lines = VisibleText.lines(text).flatMap { line in
            available.map { DisplayWidth.wrap(line, to: $0) } ?? [line]
        }
        return lines.enumerated().map { number, line in
            line.isEmpty ? "" : margin + (number == 0 ? labels : blank) + line
        }
    }

    static func indented(_ table: Table, width: Int?, style: ReportStyle) -> [String] {
        table.lines(width: width.map { max(20, $0 - margin.count) }, style: style).map { $0.isEmpty ? "" : margin + $0 }
    }
}
