// SPDX-License-Identifier: Apache-2.0

/// One line of an INI inventory without the space around it.
struct INILine {
    /// The text between the space before and after.
    let text: String
    /// How many scalars of space stand before it.
    let offset: Int

    init(_ raw: String) {
        let indent = raw.unicodeScalars.prefix { $0.properties.isWhitespace }
        offset = indent.count
        text = Self.trimmed(raw[...])
    }

    static func trimmed(_ text: Substring) -> String {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[first...last])
    }

    /// The lines of a text as Python's `str.splitlines` cuts it, without a byte order mark.
    static func lines(of text: String) -> [String] {
        var lines: [String] = []
        var line = String.UnicodeScalarView()
        var isAfterReturn = false
        for (index, scalar) in text.unicodeScalars.enumerated() where !(index == 0 && scalar == "\u{FEFF}") {
            defer { isAfterReturn = scalar == "\r" }
            if scalar == "\n", isAfterReturn { continue }
            switch scalar {
            case "\n", "\r", "\u{0B}", "\u{0C}", "\u{1C}", "\u{1D}", "\u{1E}", "\u{85}", "\u{2028}", "\u{2029}":
                lines.append(String(line))
                line = .init()
            default:
                line.append(scalar)
            }
        }
        lines.append(String(line))
        return lines
    }

    /// `[group]` or `[group:kind]`, with a comment after it or without.
    var header: (group: String, kind: String?)? {
        guard let match = text.wholeMatch(of: /\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?/) else { return nil }
        return (String(match.1), match.2.map(String.init))
    }

    /// Whether the line was meant as a header, and is none: it ends in a bracket or never has one.
    var isBrokenHeader: Bool {
        let end = text.split(separator: "#", omittingEmptySubsequences: false).first.map { Self.trimmed($0) } ?? ""
        return end.hasSuffix("]") || !end.contains("]")
    }

    /// The line of a `:children` section.
    var groupName: String? {
        guard let match = text.wholeMatch(of: /([^:\]\s]+)\s*(?:#.*)?/) else { return nil }
        return String(match.1)
    }
}
