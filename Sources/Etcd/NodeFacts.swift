// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What is found beside etcd's own answers: its process, its files, and the programs that a migration needs.
package struct NodeFacts: Sendable, Hashable {
    /// The process that listens at the client URL; `nil` when none was found, as without root.
    package var process: Int?
    package var processUser: String?
    /// Where the process has its db and its WAL open, read from its file descriptors.
    package var openDataDir: String?
    package var openWALDir: String?
    /// Whether those are the very files of `etcd_data_dir` and `etcd_wal_dir`, by device and inode.
    package var isDataDirOpen: Bool
    package var isWALDirOpen: Bool
    /// Flags, environment and configuration lines that turn corruption checks on.
    package var corruptionChecks: [String]
    package var databaseOwner: String?
    package var snapshotCount: Int
    package var hidden: HiddenKeys
    /// Names of v2 users and roles (`users/root`) that the member's files hold, perhaps of some that are deleted.
    package var storedUsers: [String]
    /// `--quota-backend-bytes` as it is set; `nil` where nothing sets it.
    package var quotaBytes: Int?
    package var hasDatabase: Bool
    /// Octal.
    package var databaseMode: String?
    package var dataDirMode: String?
    /// The db's SELinux context; `nil` without SELinux.
    package var databaseLabel: String?
    package var freeKilobytes: Int?
    /// `nil` for file systems that do not count inodes.
    package var freeInodes: Int?
    /// What `etcd_prepare` needs beside the data directory; `nil` where no copy can lie there.
    package var copyKilobytes: Int?
    package var dataDirKilobytes: Int?
    package var missingTools: [String]
    package var etcdctlVersion: EtcdVersion?
    package var etcdctlHasMigrate: Bool
    /// `nil` where none was asked for.
    package var transformer: TransformerFile?

    init(report: String, etcdctl: String, hasMigrate: Bool) {
        var values: [Substring: [Substring]] = [:]
        for line in report.split(whereSeparator: \.isNewline) {
            let name = line.prefix { $0 != " " }
            values[name, default: []].append(line[name.endIndex...].drop { $0 == " " })
        }
        func text(_ name: Substring) -> String? {
            values[name]?.first.flatMap { $0.isEmpty ? nil : String($0) }
        }
        process = text("process").flatMap { Int($0) }
        processUser = text("process_user")
        openDataDir = text("open_data_dir")
        openWALDir = text("open_wal_dir")
        isDataDirOpen = text("data_dir_open") == "yes"
        isWALDirOpen = text("wal_dir_open") == "yes"
        corruptionChecks = (values["corruption_check"] ?? []).map(String.init).filter(Self.isOn)
        databaseOwner = text("owner")
        snapshotCount = text("snapshots").flatMap { Int($0) } ?? 0
        hidden = HiddenKeys(values)
        storedUsers = (values["auth_name"] ?? []).compactMap { String($0).removingPercentEncoding }
        quotaBytes = text("quota").flatMap { Int($0.filter { !"\"', ".contains($0) }) }
        hasDatabase = text("db_exists") == "yes"
        databaseMode = text("db_mode")
        dataDirMode = text("dir_mode")
        databaseLabel = text("db_label")
        freeKilobytes = text("free_kilobytes").flatMap { Int($0) }
        freeInodes = text("free_inodes").flatMap { Int($0) }
        copyKilobytes = text("copy_kilobytes").flatMap { Int($0) }
        dataDirKilobytes = text("kilobytes").flatMap { Int($0) }
        missingTools = (values["missing"] ?? []).map(String.init)
        etcdctlVersion = parseEtcdctlVersion(etcdctl)
        etcdctlHasMigrate = hasMigrate
        transformer = TransformerFile(values)
    }

    /// `--experimental-corrupt-check-time=0s` and `=false` are how they are turned off in words.
    private static func isOn(_ setting: String) -> Bool {
        guard let value = setting.split(whereSeparator: { $0 == "=" || $0 == ":" || $0 == " " }).last else {
            return false
        }
        return !["0", "0s", "0m0s", "false"].contains(value.filter { !"\"',".contains($0) })
    }
}
