// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import RealNodes
import TestSupport

/// What a run leaves on its nodes, in words that two runs can be compared by.
struct ClusterImage: Sendable, Equatable {
    /// For each node, values by name: data, unit, files, processes.
    var nodes: [String: [String: String]]

    /// Looks at all nodes, once what the last connections left has ended.
    static func take(of bench: Testbed) async throws -> ClusterImage {
        var image = ClusterImage(nodes: [:])
        _ = try await eventually(within: 10, every: .milliseconds(200)) {
            var nodes = try await bench.onAll(script).mapValues(values)
            for node in bench.nodes {
                nodes[node.name]?.merge(try await filesOnDisk(of: node)) { inMemory, _ in inMemory }
            }
            image.nodes = nodes
            return image.nodes.values.allSatisfy { $0["processes"] == "" }
        }
        return image
    }

    /// What differs from another image, one line each.
    func differences(from reference: ClusterImage) -> [String] {
        var lines: [String] = []
        for node in reference.nodes.keys.sorted() {
            let (want, have) = (reference.nodes[node] ?? [:], nodes[node] ?? [:])
            for name in Set(want.keys).union(have.keys).sorted() where want[name] != have[name] {
                let (now, before) = (have[name] ?? "gone", want[name] ?? "absent")
                lines.append("\(node): \(name) is \(now.prefix(200)), was \(before.prefix(200))")
            }
        }
        return lines
    }

    /// What must not be on any node after a run, even after an undisturbed one.
    var remains: [String] {
        nodes.keys.sorted().flatMap { node in
            (nodes[node] ?? [:]).keys.filter { $0.hasPrefix("file ") }.map { String($0.dropFirst(5)) }
                .filter { $0.contains("pawl") && !$0.contains("pawl-lab") && !Self.mayStay($0) }.sorted().map {
                    "\(node): \($0)"
                }
        }
    }

    /// The backup, and the marker with the lock's token: docs/design/journal.md, docs/design/lock.md.
    private static func mayStay(_ path: String) -> Bool {
        path == "/var/backups/pawl" || path.hasPrefix("/var/backups/pawl/") && !path.hasSuffix(".partial")
            || ["", "/run", "/last-run", "/token", "/lock.guard", "/unlocks"].contains {
                path == "/var/lib/pawl\($0)"
            }
    }

    /// `NAME<tab>VALUE` lines; ids of runs and the numbers of WAL files that are only prepared are replaced.
    private static func values(_ text: String) -> [String: String] {
        // A member that was started and stopped again got a second backup, `-2`, which is one as good as the first.
        let plain = text.replacing(#/\d{8}-\d{6}-[0-9a-z]{4}(-\d+)?/#, with: "RUN").replacing(
            #/wal\/\d+\.tmp/#,
            with: "wal/N.tmp"
        )
        return plain.split(separator: "\n").reduce(into: [:]) { values, line in
            let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            // A WAL file that is only prepared, and the note in a backup that its migration was taken back.
            if parts[0].hasSuffix("wal/N.tmp")
                || ["/migration.undone", "/restored"].contains(where: parts[0].hasSuffix)
            {
                return
            }
            values[parts[0]] = parts.count > 1 ? parts[1] : ""
        }
    }

    /// The node's own layer over this machine's disk: all that was ever written on it.
    ///
    /// Looked at from outside, because this machine's own files show through on the node and change as they like.
    private static func filesOnDisk(of node: LabNode) async throws -> [String: String] {
        let others =
            ["var/log", "var/lib/systemd", "var/lib/sudo", "var/lib/matrix", "home/admin/.cache"]
            + ["var/lib/etcd", "var/backups/pawl/*/tree", "usr/bin/etcdctl*"]
        let pruned = others.flatMap { ["-o", "-path", $0] }.dropFirst()
        // Relative names: `-path` and the output then know nothing of where the lab is.
        let script = #"cd "$0" && find * \( "$@" \) -prune -o -not -type c -printf 'file /%p\t%y %m %U:%G\n'"#
        let found = try await Program.run("/bin/sh", ["-c", script, "\(node.directory)/upper"] + pruned)
        guard found.exitCode == 0 else {
            throw MatrixError("\(node.name): its files cannot be listed: \(found.stderr)")
        }
        return values(found.stdout)
    }

    /// Prints `NAME<tab>VALUE`.
    ///
    /// What systemd and logins write for themselves is left out.
    private static let script = #"""
        export LC_ALL=C ETCDCTL_API=3
        url=http://127.0.0.1:2379
        ctl() { /usr/bin/etcdctl.original --endpoints "$url" --command-timeout=10s "$@"; }
        value() { printf '%s\t%s\n' "$1" "$2"; }
        value v2 "$(curl -sS --fail --noproxy '*' -m 10 "$url/v2/keys/?recursive=true&sorted=true" | sha256sum)"
        value v3 "$(ctl get '' --from-key --consistency=s -w json | jq -c '[.kvs, .count]' | sha256sum)"
        value hashkv "$(ctl endpoint hashkv -w json | jq -r '.[0].HashKV | "\(.hash) at \(.header.revision)"')"
        value members "$(ctl member list | sort | tr '\n' ' ')"
        value alarms "$(ctl alarm list | sort | tr '\n' ' ')"
        value leases "$(ctl lease list | tr '\n' ' ')"
        for name in LoadState ActiveState SubState UnitFileState FragmentPath DropInPaths NeedDaemonReload; do
            value "unit $name" "$(systemctl show -p "$name" etcd | sed 's/^[^=]*=//')"
        done
        value "failed units" "$(systemctl --failed --no-legend --plain | cut -d' ' -f1 | tr '\n' ' ')"
        # What looks is of a session outside of the node, which is 0 here. A connection is none of pawl's processes: after
        # three minutes without a cable sshd is not told any more that the other side is gone, and keeps its end of it.
        value processes "$(ps -eo pid=,sid=,comm=,args= | awk '$2 != 0 && $3 !~ \
            /^(systemd|systemd-.*|\(sd-pam\)|dbus-daemon|etcd)$/ && !($3 == "sshd" && $4 == "sshd:") \
            { $1 = $2 = ""; print }' | sort | tr '\n' ';')"
        value "stopped processes" "$(ps -eo stat=,comm= | grep '^T' | sort | tr '\n' ';')"
        find /run /tmp /dev/shm /var/lib/etcd /var/backups -xdev \
            \( -path '/run/systemd/*' -a -not -path '/run/systemd/system*' -o -path '/run/log' -o -path '/run/sudo' \
            -o -path '/run/udev' -o -path '/run/user' -o -path '/run/lock' -o -path '/run/dbus' -o -path '/run/host' \
            -o -path '/run/credentials' -o -path '/run/utmp' -o -path '/run/mount' -o -path '/run/motd*' -o -path '/tmp/systemd-private*' \
            -o -path '/var/backups/pawl/*/tree' \) -prune -o -not -type s -printf 'file %p\t%y %m %u:%g\n'
        """#
}
