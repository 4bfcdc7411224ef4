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

    /// Whether clients and peers speak https.
    package var tls: Bool?

    private var scheme: String { tls == true ? "https" : "http" }
    /// The v2 and v3 API as seen from this machine.
    package var clientURL: String { "\(scheme)://\(address):\(clientPort)" }
    package var peerURL: String { "\(scheme)://\(address):\(peerPort)" }
    /// The addresses that clients may use on the node itself.
    var listenURLs: [String] { kind == .booted ? [clientURL, "\(scheme)://127.0.0.1:\(clientPort)"] : [clientURL] }
    /// Where the node's certificates are, as seen on the node.
    package var certificates: LabCertificates {
        LabCertificates(directory: kind == .booted ? "/etc/etcd/pki" : "\(directory)/pki")
    }
    /// What curl needs on the node beside the URL.
    package var curlWords: [String] { tls == true ? certificates.curlWords : [] }
    /// What etcdctl of the v3 API needs on the node beside the endpoint.
    package var etcdctlWords: [String] { tls == true ? certificates.etcdctlWords : [] }
    /// The data directory as seen on the node.
    package var dataDirectory: String { kind == .booted ? "/var/lib/etcd/default" : "\(directory)/data" }
    /// Where backups go, as seen on the node.
    package var backupDirectory: String { kind == .booted ? "/var/backups/pawl" : "\(directory)/backups" }

    /// Holds `PID START` of the container's supervisor, or of a plain node's daemon.
    func processFile(_ daemon: String = "node") -> String { "\(directory)/\(daemon).pid" }
}
