// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Playbooks
import Remote

/// The way to the state directory of a node, with or without a play.
package struct NodeWay: Sendable {
    package var name: String
    var host: any RemoteHost
    /// The same node without elevation, for a node on which that is not possible.
    var unprivileged: (any RemoteHost)?
    var state: NodeState

    /// The ways to all hosts of an inventory that match the limit.
    ///
    /// Without a playbook nobody has said `become`, so that elevation is tried unless the inventory forbids it.
    ///
    /// - Throws: what is wrong with the inventory.
    package static func all(
        inventory: InventorySources,
        limit: String?,
        connector: HostDirectory.Connector
    ) throws(DiagnosticsError) -> [NodeWay] {
        var ways: [NodeWay] = []
        var diagnostics: [Diagnostic] = []
        let loaded = try Inventory.load(inventory)
        for host in try loaded.hosts(matching: "all", limit: limit) {
            do throws(DiagnosticsError) {
                let settled = try SettledHost(host, of: loaded, VariableScope())
                let plain = connector(settled.connection)
                let mayBecome = settled.variables["ansible_become"]?.ansibleBool != false
                let user =
                    settled.connection.becomeUser
                    ?? (mayBecome ? settled.connection.become.user : nil)
                ways.append(
                    NodeWay(
                        name: host.name,
                        host: user.map { plain.elevated(as: $0) } ?? plain,
                        unprivileged: user == nil ? nil : plain,
                        state: NodeState(variables: settled.variables)
                    )
                )
            } catch {
                diagnostics += error.diagnostics
            }
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        return ways
    }
}

extension NodeWay {
    /// Ends the connections.
    package static func close(_ ways: [NodeWay]) async {
        await withDiscardingTaskGroup { group in
            for way in ways { group.addTask { await way.host.close() } }
        }
    }
}

extension HostDirectory {
    /// The ways to all hosts of a play, those that only freeze and thaw name behind the others.
    func nodeWays(of play: Play) -> [NodeWay] {
        let others = play.allHosts.keys.filter { !play.hosts.contains($0) }.sorted()
        return (play.hosts + others).compactMap { name in
            target(name, become: play.playbook.become.value).map { target in
                NodeWay(name: name, host: target.host, state: NodeState(variables: target.variables))
            }
        }
    }
}
