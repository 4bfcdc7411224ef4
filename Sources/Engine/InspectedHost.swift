// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Playbooks
import Remote

/// A host of an inventory that is looked at without a playbook.
struct InspectedHost: Sendable {
    /// The way to it, already elevated where the inventory does not forbid it.
    var host: any RemoteHost
    var settings: EtcdSettings
    /// Whether somebody said where the member's data are, so that it is known without a look at its unit.
    var isDataSaid = false
    /// `hidden_keys`, as a run would have it; `nil` where nobody has said it.
    var hiddenKeys: String?
    /// Where the node keeps its lock.
    var state: NodeState
    /// Whom commands run as there; `nil` for the login user.
    var user: String?
    /// What its keys are to go through, from the variable of the playbooks.
    var transformer: String?

    /// The hosts of an inventory.
    ///
    /// - Parameters:
    ///   - inventory: the sources, as `-i` names them.
    ///   - limit: a host pattern; `nil` for all hosts.
    ///   - extraVariables: the arguments of `-e`.
    ///   - become: whom commands run as where the inventory leaves it open; `nil` for the login user.
    ///   - connector: makes the ways to the hosts.
    /// - Returns: them in inventory order.
    /// - Throws: what is wrong with the inventory.
    static func all(
        inventory: InventorySources,
        limit: String?,
        extraVariables: [String],
        become: RequestedBecome = .asSaid,
        connector: HostDirectory.Connector
    ) throws(DiagnosticsError) -> [InspectedHost] {
        let loaded = try Inventory.load(inventory)
        let extra = try ExtraVariables.parse(extraVariables)
        let selected = try loaded.hosts(matching: "all", limit: limit)
        var found: [InspectedHost] = []
        var diagnostics: [Diagnostic] = []
        for host in selected {
            do throws(DiagnosticsError) {
                let settled = try SettledHost(host, of: loaded, VariableScope(extra: extra))
                let variables = settled.variables
                // The shipped playbooks say `become`, so sudo is tried unless the inventory forbids it. Its variables win
                // over what is said elsewhere, as in Ansible.
                let mayBecome = variables["ansible_become"]?.ansibleBool != false
                let isWanted = settled.connection.becomeUser != nil || become != .no || loaded.becomes
                let user = isWanted && mayBecome ? become.user(settled) : nil
                let way = connector(settled.connection)
                found.append(
                    InspectedHost(
                        host: user.map { way.elevated(as: $0) } ?? way,
                        settings: EtcdSettings(variables: variables),
                        isDataSaid: variables["etcd_data_dir"]?.asString?.isEmpty == false,
                        hiddenKeys: variables["hidden_keys"]?.asString,
                        state: NodeState(variables: variables),
                        user: user,
                        transformer: EtcdReady.transformer(of: variables)
                    )
                )
            } catch {
                diagnostics += error.diagnostics
            }
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        return found
    }
}
