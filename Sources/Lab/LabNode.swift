// SPDX-License-Identifier: Apache-2.0

/// One node of a lab: where it is and how it is logged in to.
package struct LabNode: Sendable, Codable, Hashable {
    /// `etcd1`, `etcd2`, …; also its hostname and the name of its member.
    package var name: String
    package var kind: LabOptions.Kind
    /// What belongs to it in the lab's directory.
    package var directory: String
    package var address: String
    package var sshPort: Int
    package var clientPort: Int
    package var peerPort: Int
    /// Who logs in: `admin` with sudo on a booted node, the current user on a plain one.
    package var user: String
    /// The container's name on this machine; empty for a plain node.
    var machine: String

    /// The v2 and v3 API as seen from this machine.
    package var clientURL: String { "http://\(address):\(clientPort)" }
    package var peerURL: String { "http://\(address):\(peerPort)" }
    /// The data directory as seen on the node.
    package var dataDirectory: String { kind == .booted ? "/var/lib/etcd/default" : "\(directory)/data" }
    /// Where backups go, as seen on the node.
    package var backupDirectory: String { kind == .booted ? "/var/backups/pawl" : "\(directory)/backups" }

    /// Holds `PID START` of the container's supervisor, or of a plain node's daemon.
    func processFile(_ daemon: String = "node") -> String { "\(directory)/\(daemon).pid" }
}
