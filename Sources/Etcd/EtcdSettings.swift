// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Where etcd is on a node and how it is spoken to, from the variables of the host.
package struct EtcdSettings: Sendable, Hashable {
    /// `etcd_service`: the unit.
    ///
    /// Default `etcd`.
    package var service: String
    /// `etcd_data_dir`.
    ///
    /// Default `/var/lib/etcd/default`, as Debian's package has it.
    package var dataDir: String
    /// `etcd_wal_dir`; `nil` when the WAL is in the data dir.
    package var walDir: String?
    /// `etcd_user`: who owns the data and runs etcd.
    ///
    /// Default `etcd`.
    package var user: String
    /// `etcd_endpoint`: the client URL, as seen on the node.
    ///
    /// Default `http://127.0.0.1:2379`.
    package var endpoint: String
    /// `etcd_cacert`, `etcd_cert`, `etcd_key`: files on the node; they never leave it.
    package var caCertificate: String?
    package var certificate: String?
    package var key: String?
    /// `etcd_auth_user` and `etcd_auth_password_file`: who the v3 API is asked as where its authentication is on, and the
    /// file on the node with the password, which does not leave the node; `nil` unless both are set.
    package var login: Login?
    /// `etcdctl`: the program, 3.0.14 to 3.4.
    ///
    /// Default `etcdctl`.
    package var etcdctl: String
    /// `backup_dir`: where backups go, outside the data dir.
    ///
    /// Default `/var/backups/pawl`.
    package var backupDir: String

    /// A user of the v3 API.
    package struct Login: Sendable, Hashable {
        package var user: String
        package var passwordFile: String
    }

    /// The names of all variables that are read here.
    package static let variableNames: Set<String> = [
        "etcd_service", "etcd_data_dir", "etcd_wal_dir", "etcd_user", "etcd_endpoint", "etcd_cacert", "etcd_cert",
        "etcd_key", "etcd_auth_user", "etcd_auth_password_file", "etcdctl", "backup_dir",
    ]

    package init(variables: [String: Value]) {
        func text(_ name: String) -> String? {
            guard case .string(let text)? = variables[name], !text.isEmpty else { return nil }
            return text
        }
        service = text("etcd_service") ?? "etcd"
        dataDir = text("etcd_data_dir") ?? "/var/lib/etcd/default"
        walDir = text("etcd_wal_dir")
        user = text("etcd_user") ?? "etcd"
        endpoint = text("etcd_endpoint") ?? "http://127.0.0.1:2379"
        caCertificate = text("etcd_cacert")
        certificate = text("etcd_cert")
        key = text("etcd_key")
        if let user = text("etcd_auth_user"), let file = text("etcd_auth_password_file") {
            login = Login(user: user, passwordFile: file)
        }
        etcdctl = text("etcdctl") ?? "etcdctl"
        backupDir = text("backup_dir") ?? "/var/backups/pawl"
    }
}
