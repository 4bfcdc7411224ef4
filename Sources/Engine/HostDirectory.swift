// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Playbooks
import Remote

/// The ways to all hosts of a play, one connection each.
package struct HostDirectory: Sendable {
    /// Makes the way to a host; nothing is contacted before the first command.
    package typealias Connector = @Sendable (ConnectionSettings) -> any RemoteHost

    /// What makes the ways; a read-only directory still has the one it was made with.
    let connector: Connector
    private let hosts: [String: any RemoteHost]
    private let play: Play

    package init(_ play: Play, connector: @escaping Connector) {
        self.play = play
        self.connector = connector
        hosts = play.allHosts.mapValues { connector($0.connection) }
    }

    private init(_ play: Play, _ connector: @escaping Connector, hosts: [String: any RemoteHost]) {
        self.play = play
        self.connector = connector
        self.hosts = hosts
    }

    /// The same ways, to the hosts of the same play with other variables.
    func serving(_ play: Play) -> HostDirectory { HostDirectory(play, connector, hosts: hosts) }

    /// The same ways with every mutating command refused before it is sent, for `plan` and `check`.
    package func readOnly() -> HostDirectory {
        HostDirectory(play, connector, hosts: hosts.mapValues { ReadOnlyHost($0) })
    }

    /// The host with its variables, elevated when the play or the step says so and the inventory does not forbid it.
    package func target(_ name: String, become: Bool) -> ActionTarget? {
        guard let host = hosts[name], let entry = play.allHosts[name] else { return nil }
        let user = privilegedUser(of: entry, playSays: become)
        return ActionTarget(host: user.map { host.elevated(as: $0) } ?? host, variables: entry.variables)
    }

    /// Where the node keeps what must outlive its connections.
    package func state(of name: String) -> NodeState {
        NodeState(directory: play.allHosts[name]?.variables[NodeState.variable]?.asString)
    }

    /// Whom commands run as on a host, when the play or the step says so; `nil` for the login user.
    package func user(of name: String, become: Bool) -> String? {
        play.allHosts[name].flatMap { privilegedUser(of: $0, playSays: become) }
    }

    /// The inventory's `ansible_become` wins over the playbook's `become`, as in Ansible, where variables win over
    /// keywords.
    private func privilegedUser(of entry: Play.Host, playSays become: Bool) -> String? {
        if let user = entry.connection.becomeUser { return user }
        guard become, entry.variables["ansible_become"]?.ansibleBool != false else { return nil }
        return entry.connection.become.user
    }

    package func closeAll() async {
        await withDiscardingTaskGroup { group in
            for host in hosts.values { group.addTask { await host.close() } }
        }
    }
}
