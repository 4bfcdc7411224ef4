// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Reads `name=value name="other value"` as `parse_kv` of `ansible/parsing/splitter.py` does; values are text.
enum KeyValueText {
    static func parse(_ text: String) throws(DiagnosticsError) -> [String: Value] {
        var variables: [String: Value] = [:]
        var diagnostics: [Diagnostic] = []
        for word in try KeyValueWords.split(text) where !word.trimmingWhitespace.isEmpty {
            guard let (name, value) = pair(of: decoded(word)) else {
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
            if let problem = VariableName.problem(name) {
                diagnostics.append(Diagnostic(at: nil, "-e: \(problem.summary)", remedy: problem.remedy))
            }
            for problem in Template.parse(value).problems {
                diagnostics.append(Diagnostic(at: nil, "-e \(name): \(problem.summary)", remedy: problem.remedy))
            }
            variables[name] = .string(value)
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        return variables
    }

    private static func pair(of word: String) -> (name: String, value: String)? {
        let scalars = word.unicodeScalars
        guard let sign = scalars.firstIndex(of: "="), sign > scalars.startIndex else { return nil }
        let name = String(scalars[..<sign]).trimmingWhitespace
        return (name, unquoted(String(scalars[scalars.index(after: sign)...]).trimmingWhitespace))
    }

    /// Quotes are taken off where they are around the whole value.
    private static func unquoted(_ value: String) -> String {
        let scalars = Array(value.unicodeScalars)
        guard scalars.count > 1, let first = scalars.first, first == "'" || first == "\"", scalars.last == first,
            scalars[scalars.count - 2] != "\\"
        else { return value }
        return String(String.UnicodeScalarView(scalars[1..<(scalars.count - 1)]))
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "\\": "\\", "'": "'", "\"": "\"", "a": "\u{07}", "b": "\u{08}", "f": "\u{0C}", "n": "\n", "r": "\r",
        "t": "\t", "v": "\u{0B}",
    ]
    private static let digits: [Unicode.Scalar: Int] = ["x": 2, "u": 4, "U": 8]

    /// The word with its escapes replaced; an unknown one stays as it is.
    private static func decoded(_ word: String) -> String {
        var rest = Array(word.unicodeScalars)[...]
        var result = String.UnicodeScalarView()
        while let scalar = rest.popFirst() {
            guard scalar == "\\", let letter = rest.first else {
                result.append(scalar)
                continue
            }
            if let simple = escapes[letter] {
                result.append(simple)
                rest.removeFirst()
            } else if let count = digits[letter], let code = code(rest.dropFirst().prefix(count), digits: count) {
                result.append(code)
                rest.removeFirst(1 + count)
            } else {
                result.append(scalar)
            }
        }
        return String(result)
    }

    private static func code(_ text: ArraySlice<Unicode.Scalar>, digits: Int) -> Unicode.Scalar? {
        guard text.count == digits, text.allSatisfy(\.properties.isASCIIHexDigit) else { return nil }
        return UInt32(String(String.UnicodeScalarView(text)), radix: 16).flatMap(Unicode.Scalar.init)
    }
}
