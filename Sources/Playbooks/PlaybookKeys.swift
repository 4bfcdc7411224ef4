// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Reads the keys of a playbook's mapping.
struct PlaybookKeys {
    private static let keys =
        ["name", "hosts", "become", "serial", "order", "on_failure", "defaults", "vars"]
        + Playbook.Section.allCases.map(\.rawValue)
    /// Keys of Ansible's plays that people will try, with what to do instead.
    private static let ansibleKeys = [
        "tasks": "the steps of each host stand under 'steps'",
        "pre_tasks": "checks before anything changes stand under 'preflight'",
        "post_tasks": "checks after all hosts stand under 'postflight'",
        "handlers": "write the step where it is to be done",
        "roles": "a playbook holds its steps itself",
        "gather_facts": "facts are gathered by the actions that need them",
        "vars_files": "use -e @FILE, or the inventory's group_vars",
        "vars_prompt": "use -e name=value",
        "remote_user": "use ansible_user in the inventory",
        "become_user": "use ansible_become_user in the inventory",
        "any_errors_fatal": "a step that fails always halts the run",
        "max_fail_percentage": "a step that fails always halts the run",
        "strategy": "use 'serial: all' to make every step a barrier",
    ]

    private let path: String
    private let text: String
    private let actions: [ActionSchema]
    private let start: SourceLocation
    private(set) var diagnostics: [Diagnostic] = []

    init(path: String, text: String, actions: [ActionSchema], start: SourceLocation) {
        self.path = path
        self.text = text
        self.actions = actions
        self.start = start
    }

    /// The playbook, which counts only while there are no ``diagnostics``; `nil` where it is not one at all.
    mutating func read(_ root: YAMLNode) -> Playbook? {
        guard case .map(let entries) = root.content else {
            guard !root.isInvalid else { return nil }
            let isPlays = if case .list = root.content { true } else { false }
            report(
                root.location,
                "a playbook is a mapping, not \(root.kindName)",
                isPlays ? "it is one play: leave the '- ' before its keys out" : nil
            )
            return nil
        }
        var playbook = Playbook(
            path: path,
            sourceText: text,
            name: located(defaultName),
            hosts: located(""),
            become: located(false),
            serial: located(.count(1)),
            order: located(.leaderLast),
            onFailure: located(.halt),
            defaults: [:],
            vars: [:],
            sections: [:]
        )
        for entry in entries { read(entry, into: &playbook) }
        refusePlaces(in: playbook)
        // A misspelt key was reported as such, and is not missing as well.
        let misspelt = entries.compactMap { ClosestName.of($0.key, in: Self.keys) }
        if !entries.contains(where: { $0.key == "hosts" }), !misspelt.contains("hosts") {
            report(start, "the playbook has no 'hosts'", "name a group of the inventory, or 'all'")
        }
        let sections = misspelt + entries.filter { !$0.value.isNull }.map(\.key)
        if !sections.contains(where: { Playbook.Section(rawValue: $0) != nil }) {
            report(start, "the playbook has no steps", "write them under 'steps'")
        }
        return playbook
    }

    /// Which host is the last is known only where the hosts go through the steps together.
    private mutating func refusePlaces(in playbook: Playbook) {
        guard playbook.serial.value != .all else { return }
        for step in playbook.sections[.steps] ?? [] {
            for (key, location) in [("only", step.only?.location), ("throttle", step.throttle?.location)] {
                if let location { report(location, "'\(key)' of a step is for playbooks with 'serial: all'") }
            }
        }
    }

    private var defaultName: String {
        let file = path.split(separator: "/").last.map(String.init) ?? path
        return [".yaml", ".yml"].first { file.hasSuffix($0) }.map { String(file.dropLast($0.count)) } ?? file
    }

    private func located<Wrapped: Sendable>(
        _ value: Wrapped,
        _ location: SourceLocation? = nil
    ) -> Playbook.Located<Wrapped> {
        Playbook.Located(value: value, location: location ?? start)
    }

    private mutating func read(_ entry: YAMLEntry, into playbook: inout Playbook) {
        if let section = Playbook.Section(rawValue: entry.key) {
            var reader = StepReader(actions: actions, section: section)
            playbook.sections[section] = reader.read(entry.value)
            diagnostics += reader.diagnostics
            return
        }
        switch entry.key {
        case "name": read(entry, as: "text", into: &playbook.name) { $0.insertedText.flatMap { $0.isEmpty ? nil : $0 } }
        case "hosts":
            if let hosts = HostPatternText.read(entry, diagnostics: &diagnostics) { playbook.hosts = hosts }
        case "become":
            read(entry, as: "true or false", into: &playbook.become) { value in
                if case .bool(let flag) = value { flag } else { nil }
            }
            playbook.saysBecome = true
        case "serial":
            read(entry, as: "a whole number of at least 1, or 'all'", into: &playbook.serial) { value in
                switch value {
                case .int(let count) where count >= 1: .count(count)
                case .string("all"): .all
                default: nil
                }
            }
        case "order":
            readChoice(entry, into: &playbook.order)
        case "on_failure":
            readChoice(entry, into: &playbook.onFailure)
        case "defaults":
            playbook.defaults = variables(entry)
        case "vars":
            playbook.vars = variables(entry)
        default:
            let remedy = Self.ansibleKeys[entry.key] ?? ClosestName.remedy(entry.key, in: Self.keys, otherwise: "keys")
            report(entry.keyLocation, "a playbook has no key '\(entry.key.prefix(60))'", remedy)
        }
    }

    private mutating func readChoice<Choice>(_ entry: YAMLEntry, into target: inout Playbook.Located<Choice>)
    where Choice: RawRepresentable<String> & CaseIterable & Sendable {
        let words = Choice.allCases.map(\.rawValue)
        read(entry, as: "one of \(words.joined(separator: ", "))", into: &target) { value in
            value.insertedText.flatMap { Choice(rawValue: $0) }
        }
    }

    private mutating func read<Wrapped: Sendable>(
        _ entry: YAMLEntry,
        as noun: String,
        into target: inout Playbook.Located<Wrapped>,
        _ convert: (Value) -> Wrapped?
    ) {
        guard !entry.value.isInvalid else { return }
        if let scalar = entry.value.scalar, Template.isTemplate(scalar.text) {
            report(
                scalar.openings.first ?? entry.value.location,
                "no variable may stand in '\(entry.key)'",
                "variables are filled in for each host, and this is for all"
            )
        } else if let value = entry.value.scalar.flatMap({ convert($0.value) }) {
            target = located(value, entry.value.location)
        } else {
            let shown = entry.value.scalar.flatMap(\.value.insertedText).map { "'\($0.prefix(60))'" }
            report(entry.value.location, "'\(entry.key)' must be \(noun), not \(shown ?? entry.value.kindName)")
        }
    }

    private mutating func variables(_ entry: YAMLEntry) -> [String: Playbook.Located<Value>] {
        guard !entry.value.isNull, !entry.value.isInvalid else { return [:] }
        guard case .map(let entries) = entry.value.content else {
            report(entry.value.location, "'\(entry.key)' must be a mapping of variables, not \(entry.value.kindName)")
            return [:]
        }
        var variables: [String: Playbook.Located<Value>] = [:]
        for variable in entries {
            if let problem = VariableName.problem(variable.key) {
                report(variable.keyLocation, problem.summary, problem.remedy)
            }
            // Only the form of the templates can be checked here; what they insert is each host's.
            _ = TemplatedNode(variable.value, diagnostics: &diagnostics)
            variables[variable.key] = located(variable.value.rawValue, variable.value.location)
        }
        return variables
    }

    private mutating func report(_ location: SourceLocation, _ summary: String, _ remedy: String? = nil) {
        diagnostics.append(Diagnostic(at: location, summary, remedy: remedy))
    }
}
