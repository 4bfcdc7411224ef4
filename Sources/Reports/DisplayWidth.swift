// SPDX-License-Identifier: Apache-2.0

/// How many columns of a terminal a text takes, and cutting and padding by columns.
package enum DisplayWidth {
    /// The columns that a text of one line takes.
    package static func of(_ text: String) -> Int {
        text.reduce(0) { $0 + width(of: $1) }
    }

    /// The text in at most `columns` columns; an ellipsis stands for what was cut off.
    package static func truncate(_ text: String, to columns: Int) -> String {
        guard columns > 0 else { return "" }
        guard of(text) > columns else { return text }
        return prefix(text[...], columns: columns - 1) + "…"
    }

    /// The text with spaces up to `columns`; a longer text stays whole.
    package static func pad(_ text: String, to columns: Int, alignment: Table.Alignment = .left) -> String {
        let fill = String(repeating: " ", count: max(0, columns - of(text)))
        return switch alignment {
        case .left: text + fill
        case .right: fill + text
        }
    }

    /// The text in lines of at most `columns` columns, broken at spaces where there are any.
    package static func wrap(_ text: String, to columns: Int) -> [String] {
        guard columns > 0, of(text) > columns else { return [text] }
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ", omittingEmptySubsequences: true) {
            let joined = line.isEmpty ? String(word) : line + " " + word
            if of(joined) <= columns {
                line = joined
                continue
            }
            if !line.isEmpty { lines.append(line) }
            var rest = word
            while of(String(rest)) > columns {
                let head = prefix(rest, columns: columns)
                // A wide character in one column: it cannot be broken further, so it sticks out.
                let taken = max(1, head.count)
                lines.append(String(rest.prefix(taken)))
                rest = rest.dropFirst(taken)
            }
            line = String(rest)
        }
        if !line.isEmpty { lines.append(line) }
        return lines
    }

    /// The longest beginning of a text that fits.
    private static func prefix(_ text: Substring, columns: Int) -> String {
        var taken = 0
        var result = ""
        for character in text {
            let width = width(of: character)
            if taken + width > columns { break }
            taken += width
            result.append(character)
        }
        return result
    }

    /// 0 for a lone combining mark, 2 for East Asian wide characters and emoji, 1 for all others.
    static func width(of character: Character) -> Int {
        var width = 0
        for scalar in character.unicodeScalars {
            // Variation selector 16 asks for the emoji form, which is wide.
            if scalar == "\u{FE0F}" || isWide(scalar) { return 2 }
            if !isZeroWidth(scalar) { width = 1 }
        }
        return width
    }

    private static func isZeroWidth(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: true
        // Medial vowels and final consonants of Hangul join the syllable before them.
        default: (0x1160...0x11FF).contains(scalar.value)
        }
    }

    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return false }
        return scalar.properties.isEmojiPresentation || wideRanges.contains { $0.contains(scalar.value) }
    }

    /// The blocks whose characters are `W` or `F` in Unicode's EastAsianWidth.txt.
    ///
    /// Emoji are not in it: they are told by their property.
    private static let wideRanges: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
        0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F,
        0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x1F200...0x1F2FF,
        0x20000...0x3FFFD,
    ]
}
