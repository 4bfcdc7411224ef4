// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Fills templates in from variables, which may refer to one another.
///
/// Variables are looked at only when they are needed: an inventory may hold values of Ansible's own templating for
/// other purposes, and they are no problem until a playbook inserts them.
struct VariableResolver {
    private let variables: [String: Value]
    private var known: [String: Value] = [:]
    /// The variables whose values are being filled in, outermost first.
    private var chain: [String] = []
    private(set) var diagnostics: [Diagnostic] = []

    init(variables: [String: Value]) {
        self.variables = variables
    }

    /// The value of a variable with its own templates filled in; `nil` was reported.
    mutating func value(of name: String, at location: SourceLocation?) -> Value? {
        if let value = known[name] { return value }
        if let start = chain.firstIndex(of: name) {
            let loop = (chain[start...] + [name]).joined(separator: " → ")
            report(at: location, "the variable '\(name)' refers to itself: \(loop)")
            return nil
        }
        guard let raw = variables[name] else {
            report(
                at: location,
                "the variable '\(name)' is not defined\(path)",
                ClosestName.of(name, in: variables.keys).map { "did you mean '\($0)'?" }
                    ?? "set it under 'defaults' or 'vars', in the inventory, or with -e \(name)=…"
            )
            return nil
        }
        chain.append(name)
        defer { chain.removeLast() }
        guard let value = resolved(raw, at: location) else { return nil }
        known[name] = value
        return value
    }

    /// The value with the templates in it filled in; `nil` was reported.
    mutating func resolved(_ value: Value, at location: SourceLocation?) -> Value? {
        switch value {
        case .null, .bool, .int, .digits, .double:
            return value
        case .string(let text):
            guard Template.isTemplate(text) else { return value }
            let (template, problems) = Template.parse(text)
            for problem in problems { report(at: location, problem.summary + path, problem.remedy) }
            return problems.isEmpty ? resolved(template, at: { _ in location }) : nil
        case .list(let items):
            let filled = items.map { resolved($0, at: location) }
            return filled.contains(nil) ? nil : .list(filled.compactMap(\.self))
        case .map(let entries):
            var filled: [String: Value] = [:]
            for (key, item) in entries.sorted(by: { $0.key < $1.key }) { filled[key] = resolved(item, at: location) }
            return filled.count == entries.count ? .map(filled) : nil
        }
    }

    /// The template filled in, with the place of each of its openings by ordinal; `nil` was reported.
    mutating func resolved(_ template: Template, at place: (Int) -> SourceLocation?) -> Value? {
        if let name = template.only { return value(of: name, at: place(template.openings.first ?? 0)) }
        var text = ""
        var isComplete = true
        var openings = template.openings.makeIterator()
        for part in template.parts {
            switch part {
            case .text(let piece):
                text += piece
            case .variable(let name):
                let location = place(openings.next() ?? 0)
                guard let value = value(of: name, at: location) else {
                    isComplete = false
                    continue
                }
                guard let inserted = value.insertedText else {
                    let remedy =
                        if value.isSealed {
                            Self.sealedRemedy
                        } else {
                            value == .null ? "an empty text is written \"\"" : "only text, numbers and booleans can"
                        }
                    report(at: location, "'\(name)' is \(value.kindName) and cannot be put into text\(path)", remedy)
                    isComplete = false
                    continue
                }
                text += inserted
            }
        }
        return isComplete ? .string(text) : nil
    }

    /// What to do with a secret that a step is to hold.
    static let sealedRemedy =
        "what a step holds stands readable in the plan and the journal; have the secret in a file on the node"

    private var path: String {
        chain.isEmpty ? "" : " (in the value of '\(chain.joined(separator: "' → '"))')"
    }

    private mutating func report(at location: SourceLocation?, _ summary: String, _ remedy: String? = nil) {
        let diagnostic = Diagnostic(at: location, summary, remedy: remedy)
        if !diagnostics.contains(diagnostic) { diagnostics.append(diagnostic) }
    }
}
