// SPDX-License-Identifier: Apache-2.0

import Fleet

/// One step of a playbook before its variables are filled in.
package struct StepTemplate: Sendable {
    /// Where the step begins.
    package var location: SourceLocation
    package var section: Playbook.Section
    /// Its place in its part, counted from 1.
    package var number: Int
    /// The action's word, as `etcd_migrate`.
    package var action: String
    package var actionLocation: SourceLocation
    /// The pattern of the hosts it runs on, where these are not the playbook's; in `freeze` and `thaw` only.
    package var hosts: Playbook.Located<String>?
    /// `last` or `others`, where not all hosts do it; with `serial: all` only.
    package var only: Playbook.Located<Only>?
    /// How many hosts at a time, where the step is no barrier; with `serial: all` only.
    package var throttle: Playbook.Located<Int>?

    /// Hosts by their place in the order of the plan.
    package enum Only: String, Sendable, CaseIterable {
        case last, others
    }

    var name: TemplatedNode?
    var timeout: TemplatedNode?
    var become: TemplatedNode?
    var arguments: [TemplatedNode.Entry]

    /// The variables that the step inserts.
    package var insertedNames: Set<String> {
        let nodes = [name, timeout, become].compactMap(\.self) + arguments.map(\.value)
        return Set(nodes.flatMap(\.names))
    }

    /// Fills the variables in and checks every value.
    ///
    /// - Parameters:
    ///   - variables: those of the host, see ``VariableScope``; they may have templates of their own.
    ///   - actions: the schemas that the playbook was read with.
    /// - Returns: the step for one host.
    /// - Throws: everything that is wrong with the step for these variables.
    package func resolved(
        variables: [String: Value],
        actions: [ActionSchema]
    ) throws(DiagnosticsError) -> ResolvedStep {
        guard let schema = actions.first(where: { $0.word == action }) else {
            throw DiagnosticsError([Diagnostic(at: actionLocation, "the action '\(action)' is not known")])
        }
        var checker = ParameterChecker(variables: variables)
        let name = name.flatMap { checker.value(of: $0, as: .string, called: "name") }
        let timeout = timeout.flatMap { checker.value(of: $0, as: .duration, called: "timeout") }
        let become = become.flatMap { checker.value(of: $0, as: .boolean, called: "become") }
        let parameters = Parameters(
            checker.values(of: schema.parameters, in: arguments, owner: action, at: actionLocation)
        )
        let settings = Parameters(["name": name, "timeout": timeout, "become": become].compactMapValues(\.self))
        if let timeout = settings.duration("timeout"), timeout <= .zero {
            checker.report(at: self.timeout?.location ?? location, "'timeout' must be longer than nothing")
        }
        guard checker.diagnostics.isEmpty else { throw DiagnosticsError(checker.diagnostics) }
        return ResolvedStep(
            location: location,
            section: section,
            number: number,
            name: settings.string("name"),
            action: action,
            parameters: parameters,
            timeout: settings.duration("timeout"),
            hosts: hosts?.value,
            become: settings.boolean("become")
        )
    }
}

/// One step of a playbook for one host: nothing is left to be filled in or to be checked.
package struct ResolvedStep: Sendable {
    package var location: SourceLocation
    package var section: Playbook.Section
    /// Its place in its part, counted from 1.
    package var number: Int
    /// What the playbook calls it; `nil` where the action may say it.
    package var name: String?
    /// The action's word.
    package var action: String
    package var parameters: Parameters
    /// The deadline of the whole step; `nil` for the action's own.
    package var timeout: Duration?
    /// The pattern of the hosts it runs on; `nil` for the playbook's.
    package var hosts: String?
    /// Whether it runs with privilege; `nil` for what the playbook says.
    package var become: Bool?

    /// The action and its parameters as one text that is the same for the same step, for digests.
    package var canonicalText: String {
        action + " " + Value.map(parameters.values).canonicalText
    }
}

extension Value {
    /// JSON with sorted keys, and with text so quoted that different values never give the same text.
    var canonicalText: String {
        switch self {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .digits(let digits): digits
        case .double(let number): String(number)
        case .string(let text): Self.quoted(text)
        case .list(let items): "[" + items.map(\.canonicalText).joined(separator: ",") + "]"
        case .map(let entries):
            "{"
                + entries.sorted { $0.key < $1.key }
                .map { "\(Self.quoted($0.key)):\($0.value.canonicalText)" }
                .joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\":
                quoted += "\\"
                quoted.unicodeScalars.append(scalar)
            case "\u{0}"..<" ":
                let code = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - code.count) + code
            default:
                quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
