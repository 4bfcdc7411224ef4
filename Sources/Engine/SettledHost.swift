// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote

/// A host of the inventory with everything settled that pawl itself reads of it: its variables with the templates in
/// them filled in, and the way to it.
struct SettledHost: Sendable {
    var variables: [String: Value]
    /// The variables as they were written, for what says itself what is wrong with those that it needs.
    var written: [String: Value]
    var connection: ConnectionSettings

    /// What pawl itself reads, beside the settings of the connection.
    static let ownVariables = EtcdSettings.variableNames
        .union([NodeState.variable, "hidden_keys", "migrate_transformer"])

    /// - Parameters:
    ///   - host: the host as the inventory has it.
    ///   - inventory: that inventory.
    ///   - scope: what is set beside the inventory.
    ///   - discovered: what is weaker than the inventory's variables.
    /// - Throws: everything that is wrong, at the places where the variables were set.
    init(
        _ host: InventoryHost,
        of inventory: Inventory,
        _ scope: VariableScope,
        over discovered: [String: Value] = [:]
    ) throws(DiagnosticsError) {
        let magic = inventory.magicVariables(of: host)
        let known = discovered.merging(host.variables) { $1 }.merging(magic) { $1 }
        written = scope.variables(inventory: known)
        var problems: [Diagnostic] = []
        var resolved = host
        do throws(DiagnosticsError) {
            resolved.variables = try scope.filledVariables(
                inventory: known,
                literals: Set(magic.keys),
                requiring: Self.ownVariables.union(ConnectionSettings.variableNames),
                at: host.variableLocations
            )
        } catch {
            problems += error.diagnostics
            // What is left is still looked at, so that all is told at once.
            resolved.variables = host.variables.filter { !$0.value.isTemplate }
        }
        variables = resolved.variables
        problems += Self.sealed(resolved)
        do throws(DiagnosticsError) {
            let sealed = resolved
            connection = try ConnectionSettings(
                host: try inventory.opened(resolved),
                secret: { name throws(DiagnosticsError) in try inventory.secret(name, of: sealed) }
            )
        } catch {
            throw DiagnosticsError(problems + error.diagnostics)
        }
        if !problems.isEmpty { throw DiagnosticsError(problems) }
    }

    /// A default in the place of an encrypted value would be a silent change of meaning.
    private static func sealed(_ host: InventoryHost) -> [Diagnostic] {
        ownVariables.sorted().filter { host.variables[$0]?.isSealed == true }.map { name in
            Diagnostic(
                at: host.variableLocations[name] ?? host.location,
                "\(name) of \(host.name) is encrypted by Ansible Vault, and would stand readable in the plan",
                remedy: "give it unencrypted"
            )
        }
    }
}
