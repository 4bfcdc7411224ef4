// SPDX-License-Identifier: Apache-2.0

import Fleet

/// The reference of all actions, generated from the schemas that playbooks are checked with.
package enum ActionReference {
    /// The page `docs/reference/actions.md`.
    package static func markdown(for schemas: [ActionSchema]) -> String {
        let sorted = schemas.sorted { $0.word < $1.word }
        var lines = [
            "# Actions",
            "",
            "What a step of a playbook can do. `pawl actions` prints the same; both come from what playbooks are checked",
            "with.",
            "",
            "| action | what it does |",
            "|---|---|",
        ]
        lines += sorted.map { "| [`\($0.word)`](#\($0.word)) | \(cell($0.summary)) |" }
        for schema in sorted { lines += ["", "## \(schema.word)", ""] + section(schema) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func section(_ schema: ActionSchema) -> [String] {
        var lines = [schema.summary, ""]
        if schema.parameters.isEmpty {
            lines += ["It has no parameters.", ""]
        } else {
            lines += ["| parameter | value | default | meaning |", "|---|---|---|---|"]
            lines += rows(schema.parameters, prefix: "")
            lines.append("")
        }
        if let shorthand = schema.shorthand {
            lines += ["`\(schema.word): VALUE` is short for `\(schema.word): { \(shorthand): VALUE }`.", ""]
        }
        return lines + ["```yaml", trimmed(schema.example), "```"]
    }

    private static func rows(_ parameters: [ActionSchema.Parameter], prefix: String) -> [String] {
        parameters.flatMap { parameter in
            let name = prefix + parameter.name
            let fallback =
                parameter.isRequired ? "required" : parameter.defaultValue.map { "`\(cell($0.canonicalText))`" } ?? ""
            let row =
                "| `\(name)` | \(cell(parameter.kind.noun)) | \(fallback) | \(cell(parameter.documentation)) |"
            if case .group(let members) = parameter.kind { return [row] + rows(members, prefix: "\(name).") }
            if case .list(.group(let members)) = parameter.kind { return [row] + rows(members, prefix: "\(name)[].") }
            return [row]
        }
    }

    /// Text that stays within one cell of a table.
    private static func cell(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ").split(
            separator: "|",
            omittingEmptySubsequences: false
        )
        .joined(separator: "\\|")
    }

    private static func trimmed(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let first = lines.firstIndex { !$0.allSatisfy(\.isWhitespace) } ?? lines.startIndex
        let last = lines.lastIndex { !$0.allSatisfy(\.isWhitespace) } ?? lines.startIndex
        return lines[first...last].joined(separator: "\n")
    }
}
