// SPDX-License-Identifier: Apache-2.0

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
    /// Names of hidden keys in the newest snapshot, up to ten; `nil` when there is no snapshot to look into.
    package var hiddenKeys: [String]?
    package var dataDirKilobytes: Int?
    package var missingTools: [String]
    package var etcdctlVersion: EtcdVersion?
    package var etcdctlHasMigrate: Bool

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
        hiddenKeys =
            snapshotCount == 0
            ? nil
            : (values["hidden"] ?? []).map { path in
                (decodeJSON(String.self, path.utf8) ?? String(path)).replacing(/^\/1/, with: "")
            }
        dataDirKilobytes = text("kilobytes").flatMap { Int($0) }
        missingTools = (values["missing"] ?? []).map(String.init)
        etcdctlVersion = parseEtcdctlVersion(etcdctl)
        etcdctlHasMigrate = hasMigrate
    }

    /// `--experimental-corrupt-check-time=0s` and `=false` are how they are turned off in words.
    private static func isOn(_ setting: String) -> Bool {
        guard let value = setting.split(whereSeparator: { $0 == "=" || $0 == ":" || $0 == " " }).last else {
            return false
        }
        return !["0", "0s", "0m0s", "false", "\"0s\"", "'0s'"].contains(value)
    }
}
