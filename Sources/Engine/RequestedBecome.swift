// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Whether a command line asks that commands run as another user, and as whom where the inventory leaves it open.
package enum RequestedBecome: Sendable, Hashable {
    case no
    /// As whom `ansible.cfg` says, or root.
    case asSaid
    case user(String)

    /// Whom commands run as on a host where another user is become.
    func user(_ host: SettledHost) -> String {
        guard case .user(let name) = self else { return host.connection.become.user }
        let names = ["ansible_become_user", "ansible_\(host.connection.become.method)_user"]
        let isSaid = names.contains { host.variables[$0] != nil && host.variables[$0] != .null }
        return isSaid ? host.connection.become.user : name
    }
}
