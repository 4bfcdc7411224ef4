// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Reads a host pattern as text; what it matches is the inventory's matter.
enum HostPatternText {
    /// Text, or a list of texts as in Ansible; `nil` was reported.
    static func read(_ entry: YAMLEntry, diagnostics: inout [Diagnostic]) -> Playbook.Located<String>? {
        let location = entry.value.location
        let texts: [YAMLNode]
        switch entry.value.content {
        case .invalid: return nil
        case .list(let items): texts = items
        case .scalar: texts = [entry.value]
        case .map: texts = []
        }
        let patterns = texts.compactMap { node in
            node.isNull ? nil : node.scalar?.value.insertedText.flatMap { $0.isEmpty ? nil : $0 }
        }
        guard !patterns.isEmpty, patterns.count == texts.count else {
            let problem = entry.value.isNull ? "is empty" : "must be a pattern of hosts, not \(entry.value.kindName)"
            diagnostics.append(
                Diagnostic(at: location, "'hosts' \(problem)", remedy: "name a group of the inventory, or 'all'")
            )
            return nil
        }
        if let scalar = texts.compactMap(\.scalar).first(where: { Template.isTemplate($0.text) }) {
            diagnostics.append(
                Diagnostic(
                    at: scalar.openings.first ?? location,
                    "no variable may stand in 'hosts'",
                    remedy: "variables belong to hosts; name a group here and choose hosts with --limit"
                )
            )
            return nil
        }
        return Playbook.Located(value: patterns.joined(separator: ","), location: location)
    }
}
