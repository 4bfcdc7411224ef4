// SPDX-License-Identifier: Apache-2.0

import Yams

extension Value {
    /// The value of a node, its scalars typed as PyYAML types them (YAML 1.1: `yes` is true, `0644` is octal).
    ///
    /// - Parameters:
    ///   - yaml: A node that Yams composed with its default resolver or with none.
    ///   - file: The file to name in messages.
    /// - Throws: ``DiagnosticsError`` for tags and merges that are not understood.
    package init(yaml: Node, file: String) throws(DiagnosticsError) {
        var converter = YAMLConverter(file: file)
        let node = converter.root(yaml)
        var problems = converter.problems
        self = node?.value(&problems) ?? .null
        if !problems.isEmpty { throw DiagnosticsError(problems) }
    }
}
