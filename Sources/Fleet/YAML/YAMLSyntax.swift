// SPDX-License-Identifier: Apache-2.0

import Yams

/// What a parser's complaint means to the person who wrote the file.
enum YAMLSyntax {
    /// Where the lines that YAML must not indent by tabs do so, those; otherwise the parser's problem and its place.
    static func diagnostics(
        for error: YamlError,
        text: String,
        file: String,
        restored: (TextPosition) -> TextPosition
    ) -> [Diagnostic] {
        let (problem, mark) = message(of: error, in: text)
        let position = restored(mark)
        let tabs = tabbedLines(of: text)
        if tabs.contains(where: { abs($0.line - position.line) <= 1 }) {
            return tabs.map {
                Diagnostic(
                    at: SourceLocation(file: file, line: $0.line, column: $0.column),
                    "a tab in the indentation, where YAML allows spaces only",
                    remedy: "indent with two spaces"
                )
            }
        }
        let location = SourceLocation(file: file, line: position.line, column: position.column)
        return [Diagnostic(at: location, "YAML syntax: \(problem)", remedy: remedy(for: problem))]
    }

    private static func message(of error: YamlError, in text: String) -> (String, TextPosition) {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let during = context.map { "\($0.text) of line \($0.mark.line)" }
            return ([problem, during].compactMap(\.self).joined(separator: ", "), TextPosition(mark))
        case .reader(let problem, let offset, let value, _):
            let code = value > 0 ? " (character U+\(String(value, radix: 16, uppercase: true)))" : ""
            return (problem + code, mark(at: offset ?? 0, in: text))
        case .duplicatedKeysInMapping(let keys, let context):
            return ("the key `\(keys.joined(separator: "`, `"))` is given twice", TextPosition(context.mark))
        default:
            return ("\(error)", TextPosition(line: 1, column: 1))
        }
    }

    private static func mark(at offset: Int, in text: String) -> TextPosition {
        var line = 1
        var column = 1
        for character in text.prefix(offset) {
            if character.isNewline {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return TextPosition(line: line, column: column)
    }

    private static func remedy(for problem: String) -> String {
        switch problem {
        case _ where problem.contains("mapping values are not allowed"):
            "quote a text that holds `: `, and indent keys of one mapping alike"
        case _ where problem.contains("did not find expected key"), _ where problem.contains("block end"):
            "indent the keys of one mapping alike"
        case _ where problem.contains("cannot start any token"):
            "quote a text that begins with `@`, a backquote or `%`"
        case _ where problem.contains("could not find expected ':'"): "write `key: value`"
        case _ where problem.contains("another document"): "keep one document in a file; remove the second `---`"
        case _ where problem.contains("undefined alias"): "define the anchor `&name` before `*name`"
        case _ where problem.contains("control characters"): "remove the character"
        default: "correct the line"
        }
    }

    /// Lines with a tab before a key or a list item.
    ///
    /// A tab within a block of text is no mistake.
    private static func tabbedLines(of text: String) -> [TextPosition] {
        var result: [TextPosition] = []
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            let indent = line.prefix { $0 == " " || $0 == "\t" }
            guard let tab = indent.firstIndex(of: "\t") else { continue }
            let rest = line.dropFirst(indent.count)
            guard rest.hasPrefix("-") || rest.contains(":") else { continue }
            result.append(TextPosition(line: index + 1, column: line.distance(from: line.startIndex, to: tab) + 1))
        }
        return result
    }

    /// What libyaml counts as the end of a line.
    static func isLineBreak(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": true
        default: false
        }
    }
}
