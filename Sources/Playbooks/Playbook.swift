// SPDX-License-Identifier: Apache-2.0

import Fleet

/// A playbook as it was read: checked in all that can be checked without a host's variables.
package struct Playbook: Sendable {
    /// The parts that hold steps, in the order in which a run goes through them.
    ///
    /// The raw values are those of the rollout's phases; this module does not know the rollout.
    package enum Section: String, Sendable, CaseIterable {
        case tools, preflight, freeze, prepare, steps, gate, thaw, postflight
    }

    /// How many members are worked on at a time.
    package enum Serial: Sendable, Hashable {
        case count(Int)
        /// Every step is a barrier across all hosts.
        case all
    }

    /// In which order the members are worked on.
    package enum Order: String, Sendable, CaseIterable {
        case leaderLast = "leader-last"
        case inventory
    }

    /// What is done with the member that failed before the run halts.
    package enum FailureResponse: String, Sendable, CaseIterable {
        /// Put it back from its backup where that is provably safe.
        case restore
        case halt
    }

    /// A value with its place; a key that was left out has the place of the file's start.
    package struct Located<Wrapped: Sendable>: Sendable {
        package var value: Wrapped
        package var location: SourceLocation
    }

    /// The file as the user named it.
    package var path: String
    /// The bytes that were read, as text; the plan's digest is taken over them.
    package var sourceText: String
    /// What the playbook does, for people; the file's name where it does not say.
    package var name: Located<String>
    /// The pattern of the hosts that are rolled.
    package var hosts: Located<String>
    package var become: Located<Bool>
    /// Whether the playbook itself says whether it is to become another user.
    package var saysBecome = false
    package var serial: Located<Serial>
    package var order: Located<Order>
    package var onFailure: Located<FailureResponse>
    /// Values that everything else overrides, as those of an Ansible role.
    package var defaults: [String: Located<Value>]
    /// Values that override the inventory, as those of an Ansible play.
    package var vars: [String: Located<Value>]
    package var sections: [Section: [StepTemplate]]

    /// The steps of one part, in order; empty where the playbook has none.
    package func steps(in section: Section) -> [StepTemplate] {
        sections[section] ?? []
    }

    /// The names under `defaults` and `vars`.
    package var variableNames: Set<String> {
        Set(defaults.keys).union(vars.keys)
    }

    /// The names that a step, or a variable of the playbook, inserts.
    package var insertedNames: Set<String> {
        var names = Set(sections.values.flatMap(\.self).flatMap(\.insertedNames))
        for variable in defaults.values.map(\.value) + vars.values.map(\.value) {
            names.formUnion(variable.insertedNames)
        }
        return names
    }
}

extension Value {
    /// The variables that its templates insert.
    package var insertedNames: Set<String> {
        switch self {
        case .string(let text): Set(Template.parse(text).template.names)
        case .list(let items): items.reduce(into: []) { $0.formUnion($1.insertedNames) }
        case .map(let entries): entries.values.reduce(into: []) { $0.formUnion($1.insertedNames) }
        case .null, .bool, .int, .digits, .double: []
        }
    }
}
