// SPDX-License-Identifier: Apache-2.0

/// A mapping of variables in YAML or JSON that is no part of an inventory, typed as those of an inventory are.
package enum VariablesText {
    /// One variable.
    package struct Entry: Sendable, Hashable {
        package var name: String
        package var value: Value
        /// Where its name stands.
        package var location: SourceLocation
    }

    /// Reads the text.
    ///
    /// - Parameters:
    ///   - text: the document; one that is empty, or has comments only, sets nothing.
    ///   - file: what it is called in messages.
    /// - Returns: the variables in their order.
    /// - Throws: everything that is wrong with it.
    package static func read(_ text: String, file: String) throws(DiagnosticsError) -> [Entry] {
        var (root, problems) = YAMLReader.read(text, file: file)
        var entries: [Entry] = []
        if let root, !root.isNull {
            if let pairs = root.pairs {
                entries = YAMLVariables.read(pairs, problems: &problems).map {
                    Entry(name: $0.name, value: $0.variable.value, location: $0.variable.location)
                }
            } else {
                // A text is not repeated: it may be a secret, of a file that was not meant.
                let kind = if case .sequence = root.content { "a list" } else { "text" }
                problems.append(
                    Diagnostic(
                        at: root.location,
                        "variables must be a mapping, not \(kind)",
                        remedy: "write `name: value` on each line"
                    )
                )
            }
        }
        guard problems.isEmpty else { throw DiagnosticsError(problems) }
        return entries
    }
}
