// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation

/// Reads playbooks: strictly, and reporting all problems of a file at once.
package enum PlaybookReader {
    /// Reads a file whose steps may use these actions, and throws everything that is wrong with it.
    package static func read(path: String, actions: [ActionSchema]) throws(DiagnosticsError) -> Playbook {
        try read(text: SourceText.read(path, what: "playbook"), path: path, actions: actions)
    }

    /// Reads the text of a file, which is called `path` in messages.
    package static func read(
        text: String,
        path: String,
        actions: [ActionSchema]
    ) throws(DiagnosticsError) -> Playbook {
        let start = SourceLocation(file: path, line: 1, column: 1)
        var (root, diagnostics) = YAMLDocument.read(text, file: path)
        guard let root, !root.isNull else {
            if diagnostics.isEmpty {
                diagnostics = [
                    Diagnostic(at: start, "the playbook is empty", remedy: "it needs at least 'hosts' and 'steps'")
                ]
            }
            throw DiagnosticsError(diagnostics)
        }
        var reader = PlaybookKeys(path: path, text: text, actions: actions, start: start)
        let playbook = reader.read(root)
        diagnostics += reader.diagnostics
        guard diagnostics.isEmpty, let playbook else {
            throw DiagnosticsError(diagnostics.sorted(by: SourceText.precedes))
        }
        return playbook
    }

    /// Reads the example of an action as a step, for the test that every example is right.
    package static func readExample(
        of schema: ActionSchema,
        actions: [ActionSchema]
    ) throws(DiagnosticsError) -> StepTemplate {
        let lines = schema.example.split(separator: "\n", omittingEmptySubsequences: false)
        let isItem = lines.first { !$0.allSatisfy(\.isWhitespace) }?.drop { $0 == " " }.hasPrefix("- ") == true
        let body = lines.enumerated().map { index, line in
            "  " + (isItem ? "" : index == 0 ? "- " : "  ") + line
        }
        let text = "hosts: all\nfreeze:\n" + body.joined(separator: "\n") + "\n"
        let playbook = try read(text: text, path: "\(schema.word) (example)", actions: actions)
        guard let step = playbook.steps(in: .freeze).first else {
            throw DiagnosticsError([Diagnostic(at: nil, "the example of '\(schema.word)' has no step")])
        }
        return step
    }
}
