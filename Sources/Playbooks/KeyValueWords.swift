// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Splits `name=value name="other value"` into words, as `split_args` of `ansible/parsing/splitter.py` does.
///
/// Words are divided by blanks and ends of lines, not by tabs; what is quoted or within `{{ … }}` is held together. Quotes
/// stay where they are.
struct KeyValueWords {
    private static let braces = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]

    private var words: [String] = []
    private var quote: Unicode.Scalar?
    private var depths = [0, 0, 0]

    /// - Returns: the words, with the blanks behind them where there are several.
    static func split(_ text: String) throws(DiagnosticsError) -> [String] {
        var reader = KeyValueWords()
        let text = text.trimmingWhitespace
        guard !text.isEmpty else { return [] }
        let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            let isContinued = reader.take(line)
            if number < lines.count - 1, !isContinued { reader.extend("\n") }
        }
        guard reader.quote == nil else { throw DiagnosticsError([Diagnostic(at: nil, "-e: a quote is not closed")]) }
        guard !reader.isInBraces else {
            throw DiagnosticsError([Diagnostic(at: nil, "-e: '{{', '{%' or '{#' is not closed")])
        }
        return reader.words
    }

    private var isInBraces: Bool { depths.contains { $0 > 0 } }

    /// - Returns: whether a lone backslash says that the line goes on.
    private mutating func take(_ line: Substring.UnicodeScalarView) -> Bool {
        var isContinued = false
        for (place, token) in line.split(separator: " ", omittingEmptySubsequences: false).enumerated() {
            let token = String(token)
            if token.isEmpty, place > 0 {
                extend(" ")
            } else if token == "\\", quote == nil {
                isContinued = true
            } else {
                take(token, isFirst: place == 0)
            }
        }
        return isContinued
    }

    private mutating func take(_ token: String, isFirst: Bool) {
        let (wasQuoted, wasInBraces) = (quote != nil, isInBraces)
        noteQuotes(of: token)
        for (index, pair) in Self.braces.enumerated() {
            depths[index] = max(0, depths[index] + token.count(of: pair.0) - token.count(of: pair.1))
        }
        if wasQuoted || wasInBraces {
            extend((isFirst ? "" : " ") + token)
        } else if !token.isEmpty {
            words.append(token)
        }
    }

    private mutating func noteQuotes(of token: String) {
        var before: Unicode.Scalar?
        for scalar in token.unicodeScalars {
            if scalar == "'" || scalar == "\"", before != "\\" {
                if quote == nil { quote = scalar } else if quote == scalar { quote = nil }
            }
            before = scalar
        }
    }

    private mutating func extend(_ text: String) {
        if words.isEmpty { words.append("") }
        words[words.count - 1] += text
    }
}

extension String {
    /// Without blanks, tabs and ends of lines at both ends.
    var trimmingWhitespace: String {
        let scalars = Array(unicodeScalars)
        let isBlank = { (scalar: Unicode.Scalar) in scalar.properties.isWhitespace }
        let kept = scalars.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
        return String(String.UnicodeScalarView(kept))
    }

    /// How often another text is in this, none overlapping another.
    fileprivate func count(of part: String) -> Int {
        var (count, rest) = (0, self[...])
        while let range = rest.firstRange(of: part) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
