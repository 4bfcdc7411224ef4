// SPDX-License-Identifier: Apache-2.0

import Fleet

/// A value of a playbook before its variables are filled in, with the place of every part of it.
struct TemplatedNode: Sendable {
    indirect enum Content: Sendable {
        case literal(Value)
        case template(Template, openings: [SourceLocation])
        case list([TemplatedNode])
        case map([Entry])
        /// Already reported.
        case invalid
    }

    struct Entry: Sendable {
        var key: String
        var keyLocation: SourceLocation
        var value: TemplatedNode
    }

    var location: SourceLocation
    var content: Content

    init(_ value: Value, at location: SourceLocation) {
        self.location = location
        content = .literal(value)
    }

    /// Reads the templates of a node; malformed ones are reported with the place of their `{{`.
    init(_ node: YAMLNode, diagnostics: inout [Diagnostic]) {
        location = node.location
        switch node.content {
        case .invalid:
            content = .invalid
        case .list(let items):
            content = .list(items.map { TemplatedNode($0, diagnostics: &diagnostics) })
        case .map(let entries):
            content = .map(
                entries.map { entry in
                    Entry(
                        key: entry.key,
                        keyLocation: entry.keyLocation,
                        value: TemplatedNode(entry.value, diagnostics: &diagnostics)
                    )
                }
            )
        case .scalar(let scalar):
            guard Template.isTemplate(scalar.text) else {
                content = .literal(scalar.value)
                return
            }
            let (template, problems) = Template.parse(scalar.text)
            for problem in problems {
                let place = scalar.openings.indices.contains(problem.opening) ? scalar.openings[problem.opening] : nil
                diagnostics.append(Diagnostic(at: place ?? node.location, problem.summary, remedy: problem.remedy))
            }
            content = problems.isEmpty ? .template(template, openings: scalar.openings) : .invalid
        }
    }

    /// The variables that are inserted anywhere in it.
    var names: [String] {
        switch content {
        case .literal, .invalid: []
        case .template(let template, _): template.names
        case .list(let items): items.flatMap(\.names)
        case .map(let entries): entries.flatMap(\.value.names)
        }
    }

    /// Whether it has a template anywhere in it, so that its value is not known yet.
    var isTemplated: Bool { !names.isEmpty }

    /// The value with every variable filled in; `nil` was reported.
    func resolved(_ resolver: inout VariableResolver) -> Value? {
        switch content {
        case .invalid:
            return nil
        case .literal(let value):
            return value
        case .template(let template, let openings):
            return resolver.resolved(template) { openings.indices.contains($0) ? openings[$0] : location }
        case .list(let items):
            let values = items.map { $0.resolved(&resolver) }
            return values.contains(nil) ? nil : .list(values.compactMap(\.self))
        case .map(let entries):
            var values: [String: Value] = [:]
            for entry in entries { values[entry.key] = entry.value.resolved(&resolver) }
            return values.count == entries.count ? .map(values) : nil
        }
    }
}

extension YAMLNode {
    /// The value as it is written, templates and all, for variables: they are filled in where they are used.
    var rawValue: Value {
        switch content {
        case .invalid: .null
        case .scalar(let scalar): scalar.value
        case .list(let items): .list(items.map(\.rawValue))
        case .map(let entries):
            .map(Dictionary(entries.map { ($0.key, $0.value.rawValue) }, uniquingKeysWith: { first, _ in first }))
        }
    }
}
