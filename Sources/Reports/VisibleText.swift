// SPDX-License-Identifier: Apache-2.0

/// Text from nodes and files made safe to show: whatever a remote program printed, it cannot move the cursor, hide a
/// line or turn the reading direction of a report.
package enum VisibleText {
    /// The text on one line: line breaks become ` / `, tabs become a space, control characters are shown escaped.
    package static func line(_ text: String) -> String {
        lines(text).joined(separator: " / ")
    }

    /// The lines of a text without control characters or empty lines at the end; one line at least.
    package static func lines(_ text: String) -> [String] {
        var lines: [String] = []
        var current = String.UnicodeScalarView()
        var previous: Unicode.Scalar?
        // By scalars, not by characters: "\r\n" is one character in Swift.
        for scalar in text.unicodeScalars {
            if scalar == "\n" {
                if previous == "\r" { current.removeLast(escape("\r").unicodeScalars.count) }
                lines.append(String(current))
                current = String.UnicodeScalarView()
            } else if scalar == "\t" {
                current.append(" ")
            } else if isHidden(scalar) {
                current.append(contentsOf: escape(scalar).unicodeScalars)
            } else {
                current.append(scalar)
            }
            previous = scalar
        }
        lines.append(String(current))
        while lines.count > 1, lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }

    /// Whether a scalar has no form of its own: C0, DEL and C1 controls, line and paragraph separators, and format
    /// characters such as the bidirectional controls of Unicode Standard Annex 9.
    ///
    /// The zero width joiner and non-joiner stay: emoji and several scripts are written with them.
    static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        case .format: scalar != "\u{200C}" && scalar != "\u{200D}"
        default: false
        }
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\r": "\\r"
        case "\0": "\\0"
        case "\u{1B}": "\\e"
        default: "\\u{" + String(scalar.value, radix: 16, uppercase: true) + "}"
        }
    }
}
