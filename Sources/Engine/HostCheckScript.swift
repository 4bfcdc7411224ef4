// SPDX-License-Identifier: Apache-2.0

import Etcd
import Foundation
import Remote

/// What `pawl check` asks a node, and what the answer means.
struct HostCheckScript {
    /// What of the answer is judged together with that of other hosts.
    struct Report {
        /// Seconds since the epoch, by the node's clock.
        var clock: Double?
        /// What another node has not: its boot, its name and its network, since containers share the first.
        var node: String?
    }

    /// Programs that the actions run on a node.
    ///
    /// All are in a Debian base system, but for curl and etcdctl.
    static let tools = ["curl", "sha256sum", "flock", "timeout", "find", "cp", "awk", "grep", "sed"]
    /// Below this a disk is full, whatever is to be backed up.
    static let leastFree = 100 << 20

    private let settings: EtcdSettings
    /// Whether the place of the data was said and not assumed.
    private let isDataSaid: Bool

    init(_ settings: EtcdSettings, isDataSaid: Bool = false) {
        self.settings = settings
        self.isDataSaid = isDataSaid
    }

    /// Prints `name=value` lines; a tool that is not there prints nothing.
    var text: String {
        let etcdctl = ShellQuoting.quote(settings.etcdctl)
        let backups = ShellQuoting.quote(settings.backupDir)
        let data = ShellQuoting.quote(settings.dataDir)
        // The clock comes first and is a write of its own, so that its way here is as short as can be.
        return """
            printf 'clock=%s\\n' "$(date +%s.%N)"
            printf 'user=%s\\n' "$(id -un)"
            boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
            [ -z "$boot" ] || printf 'node=%s\\n' "$boot $(uname -n) $(readlink /proc/self/ns/net 2>/dev/null)"
            for tool in \(Self.tools.joined(separator: " ")); do
              command -v "$tool" >/dev/null 2>&1 || printf 'missing=%s\\n' "$tool"
            done
            printf 'etcd=%s\\n' "$(etcd --version 2>/dev/null | sed -n 's/^etcd Version: *//p')"
            printf 'etcdctl=%s\\n' "$(ETCDCTL_API=3 \(etcdctl) version 2>/dev/null | sed -n 's/^etcdctl version: *//p')"
            ETCDCTL_API=3 \(etcdctl) migrate --help >/dev/null 2>&1 && printf 'migrate=yes\\n'
            dir=\(backups)
            while [ ! -d "$dir" ]; do
              [ ! -e "$dir" ] || printf 'nodir=%s\\n' "$dir"
              dir=$(dirname "$dir")
            done
            printf 'dir=%s\\n' "$dir"
            printf 'free=%s\\n' "$(df -Pk "$dir" 2>/dev/null | awk 'NR == 2 { print $4 }')"
            printf 'inodes=%s\\n' "$(df -Pi "$dir" 2>/dev/null | awk 'NR == 2 { print $2, $4 }')"
            [ -w "$dir" ] || printf 'readonly=yes\\n'
            if [ -d \(data) ]; then printf 'data=%s\\n' "$(du -sk \(data) 2>/dev/null | awk '{ print $1 }')"
            else printf 'nodata=yes\\n'; fi
            """
    }

    /// Reads the answer.
    ///
    /// - Parameters:
    ///   - output: what the node printed.
    ///   - answer: gets what was found, and what is wrong.
    /// - Returns: what is judged together with other hosts.
    func read(_ output: String, into answer: inout HostCheck.Answer) -> Report {
        var values: [String: [String]] = [:]
        for line in output.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2 { values[parts[0], default: []].append(parts[1]) }
        }
        answer.user = values["user"]?.first
        answer.etcd = values["etcd"]?.first
        answer.etcdctl = values["etcdctl"]?.first
        let free = values["free"]?.first.flatMap(Int.init).map { $0 * 1024 }
        answer.freeSpace = free.map(Self.size)
        answer.problems += tools(values) + etcdctl(values) + places(values) + disk(values, free)
        answer.isUsable = answer.problems.allSatisfy(\.isWarning)
        return Report(clock: values["clock"]?.first.flatMap(Double.init), node: values["node"]?.first)
    }

    private func tools(_ values: [String: [String]]) -> [HostProblem] {
        let missing = values["missing"] ?? []
        guard !missing.isEmpty else { return [] }
        let names = missing.joined(separator: ", ")
        return [
            HostProblem(
                .missingTool,
                "\(names) \(missing.count == 1 ? "is" : "are") not installed",
                remedy: "install \(missing.count == 1 ? "it" : "them") on the node"
            )
        ]
    }

    private func etcdctl(_ values: [String: [String]]) -> [HostProblem] {
        guard let version = values["etcdctl"]?.first else {
            return [
                HostProblem(
                    .etcdctl,
                    "no etcdctl (\(settings.etcdctl))",
                    remedy: "install etcd-client on the node, or set the variable etcdctl to its path"
                )
            ]
        }
        guard values["migrate"] == nil else { return [] }
        return [
            HostProblem(
                .etcdctl,
                "etcdctl \(version) has no migrate command",
                remedy: "a migration needs etcdctl 3.0.14 to 3.4 on the node; set the variable etcdctl to its path",
                isWarning: true
            )
        ]
    }

    // MARK: - Disk

    /// Where backups go and where the data are, as the inventory says it.
    private func places(_ values: [String: [String]]) -> [HostProblem] {
        var problems: [HostProblem] = []
        if !settings.backupDir.hasPrefix("/") {
            problems.append(
                HostProblem(
                    .disk,
                    "backup_dir is `\(settings.backupDir)`, which is no absolute path",
                    remedy: "set the variable backup_dir to a path that begins with /"
                )
            )
        } else if let file = values["nodir"]?.first {
            problems.append(
                HostProblem(
                    .disk,
                    "\(file), where backups go, is not a directory",
                    remedy: "move it away, or set the variable backup_dir to another place"
                )
            )
        }
        if isDataSaid, values["nodata"] != nil {
            problems.append(
                HostProblem(
                    .dataDir,
                    "no directory \(settings.dataDir) that \(values["user"]?.first ?? "the user") can see",
                    remedy:
                        "set the variable etcd_data_dir to where the member keeps its data, or leave it out, so that "
                        + "its unit is asked",
                    isWarning: true
                )
            )
        }
        return problems
    }

    /// A backup takes as much as the data, and the copy that is migrated as much again.
    private func disk(_ values: [String: [String]], _ free: Int?) -> [HostProblem] {
        let place = values["dir"]?.first ?? settings.backupDir
        if values["readonly"] != nil {
            return [
                HostProblem(
                    .disk,
                    "\(place), where backups go, cannot be written by \(values["user"]?.first ?? "the user")",
                    remedy: "mount it for writing, or set the variable backup_dir to another place"
                )
            ]
        }
        let remedy = "make room there, or set the variable backup_dir to another place"
        let inodes = (values["inodes"]?.first ?? "").split(separator: " ").compactMap { Int($0) }
        // File systems without a fixed number of inodes show 0 of 0 (btrfs).
        if inodes.count == 2, inodes[0] > 0, inodes[1] == 0 {
            return [
                HostProblem(.disk, "the disk is full: no inode is free at \(place), where backups go", remedy: remedy)
            ]
        }
        guard let free else { return [] }
        let data = values["data"]?.first.flatMap(Int.init).map { $0 * 1024 } ?? 0
        guard free < max(2 * data, Self.leastFree) else { return [] }
        let isFull = free < Self.leastFree
        let what = isFull ? "the disk is full" : "the disk is too full for a backup and a copy of the data"
        let need = isFull ? "" : ", and twice \(settings.dataDir) is \(Self.size(2 * data))"
        return [
            HostProblem(
                .disk,
                "\(what): \(Self.size(free)) are free at \(place), where backups go\(need)",
                remedy: remedy,
                common: "\(what) at \(place), where backups go"
            )
        ]
    }

    private static func size(_ bytes: Int) -> String { Int64(bytes).formatted(.byteCount(style: .binary)) }
}
