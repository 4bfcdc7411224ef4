// SPDX-License-Identifier: Apache-2.0

import Yams

/// Reads one YAML document into nodes that know their places, and finds everything that is wrong with its form.
struct YAMLReader {
    /// Deeper than any file written by a person, and shallow enough for the parser's own recursion.
    private static let deepest = 500

    private let file: String
    private var problems: [Diagnostic] = []
    private var duplicates: YAMLDuplicates
    /// JSON is read before YAML by Ansible; it matters for numbers such as `1e3` and for keys that are given twice.
    private let isJSON: Bool

    /// - Returns: the root, `nil` for an empty or broken document, and the problems found.
    static func read(_ text: String, file: String) -> (root: YAMLNode?, problems: [Diagnostic]) {
        var reader = YAMLReader(file: file, text: text)
        let root = reader.read()
        return (root, reader.problems)
    }

    private init(file: String, text: String) {
        self.file = file
        isJSON = Self.isJSON(text)
        // A byte order mark is no part of the text; the parser lets one pass in front of some documents only.
        let body = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
        duplicates = YAMLDuplicates(text: JSONEscapes.joined(body))
    }

    private mutating func read() -> YAMLNode? {
        guard YAMLDepth.isAtMost(Self.deepest, in: duplicates.text) else {
            problems.append(
                Diagnostic(
                    at: place(1, 1),
                    "the document is nested deeper than \(Self.deepest) levels",
                    remedy: "close the brackets, or nest less"
                )
            )
            return nil
        }
        while true {
            do {
                // Without resolver rules Yams leaves the typing of scalars to `YAMLScalar`.
                let parser = try Parser(yaml: duplicates.text, resolver: .basic, encoding: .utf8)
                guard let root = try parser.singleRoot() else { return nil }
                var converter = YAMLConverter(file: file, duplicates: duplicates, isJSON: isJSON)
                // The nodes hold their anchors as long as the parser lives.
                let node = withExtendedLifetime(parser) { converter.root(root) }
                problems += converter.problems
                return node
            } catch YamlError.duplicatedKeysInMapping(_, let context) where duplicates.setAside(at: context.mark) {
                continue
            } catch let error as YamlError {
                problems += YAMLSyntax.diagnostics(for: error, text: duplicates.text, file: file) {
                    duplicates.restored($0)
                }
                return nil
            } catch {
                problems.append(
                    Diagnostic(at: place(1, 1), "the YAML cannot be read: \(error)", remedy: "correct the file")
                )
                return nil
            }
        }
    }

    private static func isJSON(_ text: String) -> Bool {
        guard let first = text.first(where: { !$0.isWhitespace }), first == "{" || first == "[" else { return false }
        return JSONForm.isValid(text)
    }

    private func place(_ line: Int, _ column: Int) -> SourceLocation {
        SourceLocation(file: file, line: line, column: column)
    }
}
