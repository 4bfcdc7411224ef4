// SPDX-License-Identifier: Apache-2.0

import Fleet

/// The variables of a host for a playbook, in Ansible's order of precedence.
///
/// The lowest first:
///
/// 1. the playbook's `defaults`, as a role's defaults,
/// 2. the inventory: groups, then the host, and what it says of itself (`inventory_hostname`, …),
/// 3. the playbook's `vars`, as a play's vars,
/// 4. `-e` on the command line.
///
/// A value replaces the one below it whole; mappings are not merged.
package struct VariableScope: Sendable {
    private let defaults: [String: Value]
    private let vars: [String: Value]
    private let extra: [String: Value]
    private let playbookNames: Set<String>

    /// Takes the variables of the playbook, and those of the command line, see ``ExtraVariables``.
    package init(playbook: Playbook, extra: [String: Value]) {
        defaults = playbook.defaults.mapValues(\.value)
        vars = playbook.vars.mapValues(\.value)
        self.extra = extra
        playbookNames = playbook.variableNames
    }

    /// The same where there is no playbook.
    package init(extra: [String: Value] = [:]) {
        defaults = [:]
        vars = [:]
        self.extra = extra
        playbookNames = []
    }

    /// What the playbook's `defaults` set.
    package var defaultNames: Set<String> { Set(defaults.keys) }
    /// What is set for every host, whatever the inventory says.
    package var strongNames: Set<String> { Set(vars.keys).union(extra.keys) }

    /// The variables of a host as they were written, for ``StepTemplate/resolved(variables:actions:)``.
    ///
    /// `inventory` is what the inventory says of the host, magic variables included.
    package func variables(inventory: [String: Value]) -> [String: Value] {
        [inventory, vars, extra].reduce(defaults) { lower, upper in
            lower.merging(upper) { _, new in new }
        }
    }

    /// The variables of a host with their own templates filled in, for code that reads them by name.
    ///
    /// A variable whose templates cannot be filled in is left out, as an inventory may hold Ansible's own templating
    /// for other purposes; but where its name matters that is an error, since a default in its place would be a
    /// silent change of meaning.
    ///
    /// - Parameters:
    ///   - inventory: what the inventory says of the host, magic variables included.
    ///   - literals: those of the inventory that hold no templates, and are not looked through for any.
    ///   - names: those that matter beside the ones that the playbook sets.
    ///   - places: where the inventory sets its variables.
    /// - Returns: the variables.
    /// - Throws: what is wrong with those that matter.
    package func filledVariables(
        inventory: [String: Value],
        literals: Set<String> = [],
        requiring names: Set<String> = [],
        at places: [String: SourceLocation] = [:]
    ) throws(DiagnosticsError) -> [String: Value] {
        let raw = variables(inventory: inventory)
        let strong = strongNames
        var filled: [String: Value] = [:]
        var diagnostics: [Diagnostic] = []
        for name in raw.keys.sorted() {
            if literals.contains(name), !strong.contains(name) {
                filled[name] = raw[name]
                continue
            }
            var resolver = VariableResolver(variables: raw)
            filled[name] = resolver.value(of: name, at: strong.contains(name) ? nil : places[name])
            if filled[name] == nil, names.contains(name) || playbookNames.contains(name) {
                for diagnostic in resolver.diagnostics where !diagnostics.contains(diagnostic) {
                    diagnostics.append(diagnostic)
                }
            }
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        return filled
    }
}
