// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Reads `name=value name="other value"` as Ansible does: quotes hold blanks together, values are text.
enum KeyValueText {
    static func parse(_ text: String) throws(DiagnosticsError) -> [String: Value] {
        var variables: [String: Value] = [:]
        var diagnostics: [Diagnostic] = []
        for word in try words(text) {
            guard let sign = word.firstIndex(where: { $0.character == "=" && !$0.isQuoted }) else {
                // The word itself is not repeated: it may be the rest of a secret that was not quoted.
                diagnostics.append(
                    Diagnostic(
                        at: nil,
                        "-e needs name=value, and one of its words has no '='",
                        remedy: "quote a value with blanks: -e 'name=\"a value\"'"
                    )
                )
                continue
            }
            let name = String(word[..<sign].map(\.character))
            if let problem = VariableName.problem(name) {
                diagnostics.append(Diagnostic(at: nil, "-e: \(problem.summary)", remedy: problem.remedy))
            }
            let value = String(word[(sign + 1)...].map(\.character))
            for problem in Template.parse(value).problems {
                diagnostics.append(Diagnostic(at: nil, "-e \(name): \(problem.summary)", remedy: problem.remedy))
            }
            variables[name] = .string(value)
        }
        if variables.isEmpty, diagnostics.isEmpty {
            diagnostics.append(Diagnostic(at: nil, "-e is empty", remedy: "write -e name=value"))
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        return variables
    }

    private struct Letter {
        var character: Character
        var isQuoted: Bool
    }

    /// Splits at blanks that are neither quoted nor within `{{ … }}`, as Ansible's `split_args` does.
    private static func words(_ text: String) throws(DiagnosticsError) -> [[Letter]] {
        var words: [[Letter]] = []
        var word: [Letter]?
        var quote: Character?
        var braces = 0
        var rest = Substring(text)
        while let character = rest.popFirst() {
            if character == "\\", let next = rest.first,
                next == "\\" || next == quote || (quote == nil && isQuote(next))
            {
                word = (word ?? []) + [Letter(character: next, isQuoted: true)]
                rest.removeFirst()
            } else if let open = quote {
                if character == open { quote = nil } else { word?.append(Letter(character: character, isQuoted: true)) }
            } else if isQuote(character) {
                quote = character
                word = word ?? []
            } else if character.isWhitespace, braces == 0 {
                if let finished = word { words.append(finished) }
                word = nil
            } else {
                word = (word ?? []) + [Letter(character: character, isQuoted: false)]
                if character == "{", rest.first == "{" { braces += 1 }
                if character == "}", rest.first == "}" { braces = max(0, braces - 1) }
            }
        }
        guard quote == nil else {
            throw DiagnosticsError([Diagnostic(at: nil, "-e: a quote is not closed")])
        }
        if let finished = word { words.append(finished) }
        return words
    }

    private static func isQuote(_ character: Character) -> Bool { character == "'" || character == "\"" }
}
