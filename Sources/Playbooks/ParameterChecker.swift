// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Checks the parameters of a step against the schema of its action, and gives every value its type.
///
/// While a playbook is read there are no variables yet: then what has a template in it is left for later, and the rest
/// is checked. With the variables of a host everything is.
struct ParameterChecker {
    private var resolver: VariableResolver?
    private var ownDiagnostics: [Diagnostic] = []

    /// - Parameter variables: those of a host; `nil` while a playbook is read.
    init(variables: [String: Value]?) {
        resolver = variables.map { VariableResolver(variables: $0) }
    }

    var diagnostics: [Diagnostic] { (resolver?.diagnostics ?? []) + ownDiagnostics }

    mutating func report(at location: SourceLocation?, _ summary: String, _ remedy: String? = nil) {
        ownDiagnostics.append(Diagnostic(at: location, summary, remedy: remedy))
    }

    /// The parameters with defaults; those that are wrong, or not known yet, are left out.
    mutating func values(
        of parameters: [ActionSchema.Parameter],
        in entries: [TemplatedNode.Entry],
        owner: String,
        at location: SourceLocation
    ) -> [String: Value] {
        let names = parameters.map(\.name)
        var misspelt: [String] = []
        for entry in entries where !names.contains(entry.key) {
            misspelt += ClosestName.of(entry.key, in: names).map { [$0] } ?? []
            report(
                at: entry.keyLocation,
                "'\(owner)' has no parameter '\(entry.key)'",
                ClosestName.remedy(entry.key, in: names, otherwise: "parameters")
            )
        }
        var values: [String: Value] = [:]
        for parameter in parameters {
            let entry = entries.first { $0.key == parameter.name }
            let label = "\(owner).\(parameter.name)"
            switch entry.map({ convert($0.value, as: parameter.kind, called: label) }) ?? .absent {
            case .value(let value):
                values[parameter.name] = value
            case .unknown:
                break
            case .absent where parameter.isRequired && misspelt.contains(parameter.name):
                break
            case .absent where parameter.isRequired:
                let problem = entry == nil ? "is missing" : "is empty"
                report(at: entry?.keyLocation ?? location, "'\(label)' is required and \(problem)")
            case .absent:
                guard let value = parameter.defaultValue else { break }
                let node = TemplatedNode(expanding: value, at: location)
                if case .value(let value) = convert(node, as: parameter.kind, called: label) {
                    values[parameter.name] = value
                }
            }
        }
        return values
    }

    /// One value that is not a parameter of an action, as a step's `timeout`.
    mutating func value(
        of node: TemplatedNode,
        as kind: ActionSchema.Parameter.Kind,
        called label: String
    ) -> Value? {
        if case .value(let value) = convert(node, as: kind, called: label) { value } else { nil }
    }

    // MARK: - Conversion

    private enum Outcome {
        case value(Value)
        /// Nothing, or empty text: the same as a parameter that is not written.
        case absent
        /// Reported, or not known before the variables are.
        case unknown
    }

    /// Gives one value its type.
    ///
    /// `origin` are the variables that the value came from; their values are not repeated in messages, as a variable may
    /// hold a secret.
    private mutating func convert(
        _ node: TemplatedNode,
        as kind: ActionSchema.Parameter.Kind,
        called label: String,
        origin: [String] = []
    ) -> Outcome {
        switch (node.content, kind) {
        case (.invalid, _):
            return .unknown
        case (.template, _):
            guard let value = resolver.flatMap({ _ in resolve(node) }) else { return .unknown }
            guard !value.isSealed else {
                report(
                    at: node.location,
                    "'\(label)' cannot hold the value of '\(node.names.joined(separator: "', '"))', "
                        + "which is encrypted by Ansible Vault",
                    VariableResolver.sealedRemedy
                )
                return .unknown
            }
            let filled = TemplatedNode(expanding: value, at: node.location)
            return convert(filled, as: kind, called: label, origin: node.names)
        case (.literal(.null), _), (.literal(.string("")), _):
            return .absent
        case (.list(let items), .list(let element)):
            var values: [Value] = []
            for (index, item) in items.enumerated() {
                switch convert(item, as: element, called: "\(label)[\(index)]", origin: origin) {
                case .value(let value): values.append(value)
                case .unknown: break
                case .absent: report(at: item.location, "'\(label)' has an empty item")
                }
            }
            return .value(.list(values))
        case (.map(let entries), .group(let parameters)):
            return .value(.map(values(of: parameters, in: entries, owner: label, at: node.location)))
        case (.literal(let value), _):
            if let typed = Self.typed(value, as: kind) { return .value(typed) }
            mismatch(value, node.location, kind, label, origin)
            return .unknown
        case (.list, _):
            mismatch(.list([]), node.location, kind, label, origin)
            return .unknown
        case (.map, _):
            mismatch(.map([:]), node.location, kind, label, origin)
            return .unknown
        }
    }

    private mutating func resolve(_ node: TemplatedNode) -> Value? {
        guard var filling = resolver else { return nil }
        defer { resolver = filling }
        return node.resolved(&filling)
    }

    /// The value in its type, or `nil`.
    ///
    /// Text counts as a number or boolean where it is written like one, because `-e name=value` and an INI inventory
    /// have text only.
    private static func typed(_ value: Value, as kind: ActionSchema.Parameter.Kind) -> Value? {
        switch (kind, value) {
        case (.string, .string), (.boolean, .bool):
            return value
        case (.string, .int), (.string, .double):
            return value.insertedText.map { .string($0) }
        case (.path, .string(let text)):
            return text.hasPrefix("/") && !text.contains(where: \.isNewline) ? value : nil
        case (.integer(let range), .int(let number)):
            return range.contains(number) ? value : nil
        case (.integer(let range), .string(let text)):
            return Int(text).flatMap { range.contains($0) ? .int($0) : nil }
        case (.boolean, .string(let text)):
            return ["true": true, "yes": true, "on": true, "false": false, "no": false, "off": false][
                text.lowercased()
            ].map { .bool($0) }
        case (.duration, .int(let number)):
            return DurationText.seconds(Double(number))
        case (.duration, .double(let number)):
            return DurationText.seconds(number)
        case (.duration, .string(let text)):
            return DurationText.seconds(text)
        case (.fixed(let word, _), .string(let text)):
            return text == word ? value : nil
        case (.choice(let words), .string(let text)):
            return words.contains(text) ? value : nil
        case (.choice(let words), _):
            // `on`, `no` and `2` are words too where the choice has them.
            return value.insertedText.flatMap { words.contains($0) ? .string($0) : nil }
        default:
            return nil
        }
    }

    private mutating func mismatch(
        _ value: Value,
        _ location: SourceLocation,
        _ kind: ActionSchema.Parameter.Kind,
        _ label: String,
        _ origin: [String]
    ) {
        let shown =
            if !origin.isEmpty {
                "the value of '\(origin.joined(separator: "', '"))'"
            } else if let text = value.insertedText {
                "'\(text.prefix(60))'"
            } else {
                value.kindName
            }
        var remedy: String?
        if case .choice(let words) = kind, let text = value.insertedText {
            remedy = ClosestName.of(text, in: words).map { "did you mean '\($0)'?" }
        } else if case .fixed(_, let why) = kind {
            remedy = why
        } else if case .string = kind, case .bool = value {
            remedy = "put it in quotes"
        } else if case .list = kind, value.insertedText != nil {
            remedy = "write it as [ … ]"
        }
        report(at: location, "'\(label)' must be \(kind.noun), not \(shown)", remedy)
    }
}

extension TemplatedNode {
    /// A value as a tree, so that its parts are checked like written ones.
    init(expanding value: Value, at location: SourceLocation) {
        self.init(value, at: location)
        switch value {
        case .list(let items):
            content = .list(items.map { TemplatedNode(expanding: $0, at: location) })
        case .map(let entries):
            content = .map(
                entries.sorted { $0.key < $1.key }.map { key, item in
                    Entry(key: key, keyLocation: location, value: TemplatedNode(expanding: item, at: location))
                }
            )
        case .null, .bool, .int, .digits, .double, .string:
            break
        }
    }
}

extension ActionSchema.Parameter.Kind {
    /// What the value must be, for messages and for the reference.
    var noun: String {
        switch self {
        case .string: return "text"
        case .path: return "an absolute path"
        case .integer(let range):
            if range.lowerBound == .min, range.upperBound == .max { return "a whole number" }
            if range.upperBound == .max { return "a whole number of at least \(range.lowerBound)" }
            return "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .boolean: return "true or false"
        case .duration: return "a duration (\(DurationText.form))"
        case .fixed(let word, _): return "`\(word)`, always"
        case .choice(let words): return "one of \(words.joined(separator: ", "))"
        case .list(let element): return "a list, each item \(element.noun)"
        case .group: return "a mapping"
        }
    }
}
