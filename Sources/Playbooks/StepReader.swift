// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Reads the steps of one part of a playbook.
struct StepReader {
    private static let stepKeys = ["name", "timeout", "hosts", "become", "only", "throttle"]
    /// Keys of Ansible's tasks that people will try, with what to do instead.
    private static let ansibleKeys = [
        "when": "a step has no conditions; write a playbook for each case",
        "register": "an action keeps what it learns by itself",
        "notify": "write the step where it is to be done",
        "tags": "a playbook is run as a whole",
        "loop": "write a step for each item",
        "with_items": "write a step for each item",
        "ignore_errors": "a step that fails halts the run",
        "failed_when": "use 'command' with 'success'",
        "changed_when": "use 'command' with 'success'",
        "until": "use 'wait_for'",
        "block": "steps are not nested",
        "vars": "set variables under the playbook's 'vars'",
        "delegate_to": "use 'hosts' in 'freeze' and 'thaw'",
        "run_once": "use 'only: last' with 'serial: all'",
        "become_user": "use 'as' of 'command', or the inventory's ansible_become_user",
        "shell": "use 'command'",
        "systemd": "use 'service'",
    ]

    let actions: [ActionSchema]
    let section: Playbook.Section
    private(set) var diagnostics: [Diagnostic] = []

    init(actions: [ActionSchema], section: Playbook.Section) {
        self.actions = actions
        self.section = section
    }

    /// Reads the steps that can be read; what is wrong is in ``diagnostics``.
    mutating func read(_ node: YAMLNode) -> [StepTemplate] {
        switch node.content {
        case .invalid:
            return []
        case .scalar where node.isNull:
            // Every line of the part may be a comment.
            return []
        case .list(let items):
            return items.enumerated().compactMap { read($0.element, number: $0.offset + 1) }
        case .scalar, .map:
            report(node.location, "'\(section.rawValue)' must be a list of steps, not \(node.kindName)")
            return []
        }
    }

    private mutating func read(_ node: YAMLNode, number: Int) -> StepTemplate? {
        let entries: [YAMLEntry]
        switch node.content {
        case .invalid:
            return nil
        case .map(let written):
            entries = written
        case .scalar(let scalar) where !node.isNull:
            // A bare word: an action without parameters.
            let nothing = YAMLScalar(text: "", isText: false, openings: [])
            entries = [
                YAMLEntry(
                    key: scalar.text,
                    keyLocation: node.location,
                    value: YAMLNode(location: node.location, content: .scalar(nothing))
                )
            ]
        case .scalar, .list:
            report(node.location, "a step must be an action with its parameters, not \(node.kindName)")
            return nil
        }
        guard let (entry, schema) = action(of: entries, at: node.location) else { return nil }
        var step = StepTemplate(
            location: node.location,
            section: section,
            number: number,
            action: schema.word,
            actionLocation: entry.keyLocation,
            hosts: nil,
            arguments: []
        )
        readSettings(entries.filter { Self.stepKeys.contains($0.key) }, into: &step)
        readArguments(entry, of: schema, into: &step)
        return step
    }

    /// The one key that is an action's word; every other key that is no key of steps is reported.
    private mutating func action(
        of entries: [YAMLEntry],
        at location: SourceLocation
    ) -> (YAMLEntry, ActionSchema)? {
        var found: [(YAMLEntry, ActionSchema)] = []
        var hasUnknown = false
        for entry in entries where !Self.stepKeys.contains(entry.key) {
            if let schema = actions.first(where: { $0.word == entry.key }) {
                found.append((entry, schema))
                continue
            }
            hasUnknown = true
            let words = actions.map(\.word)
            let remedy =
                Self.ansibleKeys[entry.key]
                ?? ClosestName.remedy(entry.key, in: words + Self.stepKeys, otherwise: "actions and step keys")
            report(entry.keyLocation, "'\(entry.key.prefix(60))' is neither an action nor a key of a step", remedy)
        }
        if found.count > 1 {
            let words = found.map { "'\($0.0.key)'" }.joined(separator: " and ")
            report(found[1].0.keyLocation, "a step has one action, this has \(words)", "write a step for each")
            return nil
        }
        if found.isEmpty, !hasUnknown {
            report(location, "the step has no action", "see 'pawl actions' for the words")
        }
        return found.first
    }

    private mutating func readSettings(_ entries: [YAMLEntry], into step: inout StepTemplate) {
        for entry in entries {
            switch entry.key {
            case "hosts":
                readHosts(entry, into: &step)
            case "only":
                step.only = choice(entry, of: StepTemplate.Only.allCases.map(\.rawValue)).flatMap { text in
                    StepTemplate.Only(rawValue: text).map { .init(value: $0, location: entry.keyLocation) }
                }
            case "throttle":
                step.throttle = choice(entry, of: ["1"]).flatMap(Int.init).map {
                    .init(value: $0, location: entry.keyLocation)
                }
            case "name":
                step.name = setting(entry, as: .string)
            case "timeout":
                step.timeout = setting(entry, as: .duration)
            default:
                step.become = setting(entry, as: .boolean)
            }
        }
    }

    private mutating func setting(
        _ entry: YAMLEntry,
        as kind: ActionSchema.Parameter.Kind
    ) -> TemplatedNode {
        let node = TemplatedNode(entry.value, diagnostics: &diagnostics)
        var checker = ParameterChecker(variables: nil)
        let value = checker.value(of: node, as: kind, called: entry.key)
        if value == nil, checker.diagnostics.isEmpty, !node.isTemplated, !entry.value.isInvalid {
            if case .invalid = node.content {} else { report(entry.value.location, "'\(entry.key)' is empty") }
        } else if entry.key == "timeout", value == .int(0) {
            report(entry.value.location, "'timeout' must be longer than nothing")
        }
        diagnostics += checker.diagnostics
        return node
    }

    /// One of a few words, in `steps` only, and the same for all hosts.
    private mutating func choice(_ entry: YAMLEntry, of words: [String]) -> String? {
        guard section == .steps else {
            report(entry.keyLocation, "'\(entry.key)' is for 'steps' only")
            return nil
        }
        let text = entry.value.scalar?.text
        if let text, words.contains(text) { return text }
        if !entry.value.isInvalid {
            let shown = text.map { "'\($0.prefix(60))'" } ?? entry.value.kindName
            report(entry.value.location, "'\(entry.key)' must be \(words.joined(separator: " or ")), not \(shown)")
        }
        return nil
    }

    private mutating func readHosts(_ entry: YAMLEntry, into step: inout StepTemplate) {
        guard section == .freeze || section == .thaw else {
            report(
                entry.keyLocation,
                "'hosts' of a step is for 'freeze' and 'thaw' only",
                "'\(section.rawValue)' runs on the playbook's hosts"
            )
            return
        }
        guard step.hosts == nil else {
            report(entry.keyLocation, "'hosts' stands both beside the action and in its parameters")
            return
        }
        step.hosts = HostPatternText.read(entry, diagnostics: &diagnostics)
    }

    private mutating func readArguments(
        _ entry: YAMLEntry,
        of schema: ActionSchema,
        into step: inout StepTemplate
    ) {
        var value = entry.value
        switch value.content {
        case .map(let written):
            // `command: { hosts: apiservers, run: … }` says the step's hosts where the action has no such parameter.
            guard !schema.parameters.contains(where: { $0.name == "hosts" }) else { break }
            for hosts in written where hosts.key == "hosts" { readHosts(hosts, into: &step) }
            value.content = .map(written.filter { $0.key != "hosts" })
        case .scalar where value.isNull:
            value.content = .map([])
        case .scalar, .list:
            guard let name = schema.shorthand else {
                let names = schema.parameters.map(\.name)
                report(
                    value.location,
                    "'\(schema.word)' needs a mapping of parameters, not \(value.kindName)",
                    names.isEmpty
                        ? "it has none: write \(schema.word): {}" : "parameters: \(names.joined(separator: ", "))"
                )
                return
            }
            value.content = .map([YAMLEntry(key: name, keyLocation: value.location, value: value)])
        case .invalid:
            return
        }
        guard case .map(let arguments) = TemplatedNode(value, diagnostics: &diagnostics).content else { return }
        step.arguments = arguments
        var checker = ParameterChecker(variables: nil)
        _ = checker.values(of: schema.parameters, in: arguments, owner: schema.word, at: entry.keyLocation)
        diagnostics += checker.diagnostics
    }

    private mutating func report(_ location: SourceLocation, _ summary: String, _ remedy: String? = nil) {
        diagnostics.append(Diagnostic(at: location, summary, remedy: remedy))
    }
}
