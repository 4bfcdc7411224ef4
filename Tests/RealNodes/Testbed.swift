// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Lab
import TestSupport

/// Three real nodes that are put back to the same v2 data before every cell, and the `pawl` under test.
package struct Testbed: Sendable {
    package let lab: LabState
    package let pawl: String
    /// The top of the repository.
    package let repository: String
    /// The lab, the journals and what every pawl said; it goes at the end.
    package let directory: String
    /// The migration that is broken.
    package let playbook: String
    private let scripts: Scripts

    /// What a matrix does on each node beside what is done here.
    package struct Scripts: Sendable {
        /// Once, when the node's data was seeded and is kept.
        package var seeded = ""
        /// Before each reset, whatever the node is like.
        package var reset = ""

        package init(seeded: String = "", reset: String = "") {
            (self.seeded, self.reset) = (seeded, reset)
        }
    }

    /// Megabytes of the disks that can be filled: etcd prepares WAL files of 64 MB, and preflight wants twice the data.
    private static let smallDisk = 512

    package var nodes: [LabNode] { lab.nodes }

    /// The top of the repository, from where this file was compiled.
    package static let repository: String = {
        var url = URL(filePath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// What `swift build` made, or the binary that `PAWL_BINARY` names.
    package static let binary = ProcessInfo.processInfo.environment["PAWL_BINARY"] ?? repository + "/.build/debug/pawl"

    // MARK: - Up and down

    /// Brings nodes up, seeds them and keeps a copy of the data on each.
    package static func up(
        pawl: String,
        repository: String,
        playbook: String,
        keys: Int,
        in directory: String,
        scripts: Scripts = Scripts()
    ) async throws -> Testbed {
        let lab = try await Lab.up(LabOptions(nodes: 3, kind: .booted), dir: "\(directory)/lab")
        let bench = Testbed(
            lab: lab,
            pawl: pawl,
            repository: repository,
            directory: directory,
            playbook: "\(repository)/playbooks/\(playbook).yaml",
            scripts: scripts
        )
        try await LabSeed(keys: keys).write(to: lab)
        try await bench.onAll("systemctl stop etcd")
        try await bench.onAll(Self.keepSeed)
        try await bench.onAll("set -e\n" + scripts.seeded)
        return bench
    }

    /// Takes down what is in a directory, however far it came.
    package static func remove(_ directory: String, keepingLogs logs: String?) async throws {
        try await Lab.down(dir: "\(directory)/lab")
        let own = "\(directory)/logs"
        if let logs, FileManager.default.fileExists(atPath: own) {
            try? FileManager.default.removeItem(atPath: logs)
            try FileManager.default.moveItem(atPath: own, toPath: logs)
        }
    }

    /// Runs a script on all nodes side by side; it has to succeed.
    @discardableResult
    package func onAll(_ script: String) async throws -> [String: String] {
        try await withThrowingTaskGroup(of: (String, String).self) { group in
            for node in nodes { group.addTask { (node.name, try await node.check(script)) } }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    // MARK: - The same data again

    /// A copy of the stopped member.
    private static let keepSeed = """
        set -e
        mkdir -p /var/lib/matrix
        # Not sticky: what one user has put there, root or etcd, the other takes away.
        chmod 777 /var/lib/matrix
        cp -a --sparse=always /var/lib/etcd/default /var/lib/matrix/seed
        """

    private static let wipe = #"""
        pkill -KILL -f '^sshd: admin' || true
        # What hangs from the last cell; what this script is called by is of a session outside of the node, which is 0.
        ps -eo pid=,sid=,comm= | awk '$2 != 0 && $3 !~ /^(systemd.*|\(sd-pam\)|dbus-daemon|etcd|sshd)$/ { print $1 }' \
            | xargs -r kill -KILL 2>/dev/null || true
        systemctl kill --signal=KILL etcd 2>/dev/null || true
        systemctl stop etcd
        for disk in /var/lib/etcd /var/backups; do
            while mountpoint -q "$disk"; do umount -l "$disk"; done
        done
        rm -rf /run/systemd/system/etcd.service.d /etc/systemd/system/etcd.service.d /run/pawl /var/lib/pawl /var/backups/pawl
        rm -rf /var/lib/etcd/default /var/lib/etcd/default*pawl* /var/lib/etcd/.pawl-*
        # Both in memory: nothing of this machine shows through there.
        find /tmp /dev/shm -xdev -mindepth 1 -maxdepth 1 -not -name 'systemd-private*' -not -name '.*' -exec rm -rf {} +
        systemctl daemon-reload
        systemctl reset-failed etcd 2>/dev/null || true
        """#

    /// Puts every node back to the seeded v2 data with nothing of pawl's on it, whatever the last cell left.
    ///
    /// With `smallDisks` the nodes' data and backups get small disks of their own, so that these can be filled.
    package func reset(smallDisks: Bool = false) async throws {
        do {
            try await seedAnew(smallDisks: smallDisks)
        } catch {
            // A node that the last cell left dead, or with its cable out.
            for node in nodes { try await restart(node) }
            try await seedAnew(smallDisks: smallDisks)
        }
    }

    /// Cuts a node's power and boots it; whether its etcd is well is for others to see.
    package func restart(_ node: LabNode) async throws {
        try await node.powerOff()
        // The lab's own readiness asks for a healthy etcd, which this member may not have now.
        var lab = lab
        lab.options.timeoutSeconds = 1
        do { try await node.boot(in: lab) } catch let error as LabError where error.code == .notReady {}
        let isUp = try await eventually(within: 30, every: .milliseconds(100)) {
            (try? await node.run("systemctl is-system-running --wait >/dev/null; true").exitCode) == 0
        }
        guard isUp else { throw MatrixError("\(node.name) does not boot") }
    }

    private func seedAnew(smallDisks: Bool) async throws {
        try await onAll(Self.wipe + "\n" + scripts.reset)
        if smallDisks {
            try await onAll(
                """
                set -e
                mount -t tmpfs -o size=\(Self.smallDisk)M,mode=0755 matrix /var/backups
                mount -t tmpfs -o size=\(Self.smallDisk)M,mode=0700,uid=etcd,gid=etcd matrix /var/lib/etcd
                """
            )
        }
        try await onAll("cp -a --sparse=always /var/lib/matrix/seed /var/lib/etcd/default && systemctl start etcd")
        try await awaitCluster()
        for state in ["state", "second-state"] {
            try? FileManager.default.removeItem(atPath: "\(directory)/\(state)")
        }
    }

    /// Waits until all members are healthy under one leader.
    package func awaitCluster() async throws {
        let isWhole = try await eventually(within: 40, every: .milliseconds(100)) {
            var leaders: Set<String> = []
            for node in nodes {
                let script =
                    "curl -s --noproxy '*' -m 2 -d '{}' \(node.clientURL)/v3/maintenance/status"
                    + " | jq -r .leader; curl -s --noproxy '*' -m 2 \(node.clientURL)/health"
                let answer = try await node.run(script).standardOutput
                guard answer.contains("\"true\"") else { return false }
                leaders.insert(answer.split(separator: "\n").first.map(String.init) ?? "")
            }
            return leaders.count == 1 && !leaders.contains("null")
        }
        guard isWhole else { throw MatrixError("the cluster did not become healthy again") }
    }

    // MARK: - pawl

    package func runArguments(playbook: String? = nil, state: String = "state") -> [String] {
        ["run", "-i", lab.inventory, playbook ?? self.playbook, "--yes", "--state", "\(directory)/\(state)"]
    }

    package var resumeArguments: [String] { ["resume", "--state", "\(directory)/state"] }

    /// What the runs since the last reset have written down.
    package func journal() async throws(JournalError) -> SQLiteRunStore {
        try await SQLiteRunStore.open(URL(filePath: "\(directory)/state"), for: .reading)
    }

    /// A name for the output of the next pawl; what it was called with is beside it.
    package func newLog(_ arguments: [String]) throws -> String {
        let logs = "\(directory)/logs"
        try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
        let count = try FileManager.default.contentsOfDirectory(atPath: logs).count
        let name = "\(logs)/\(String(format: "%04d", count))-\(UUID().uuidString.prefix(4))"
        try arguments.joined(separator: " ").write(toFile: "\(name).command", atomically: true, encoding: .utf8)
        return name
    }

    /// A copy of the playbook with other texts in it; each must be there.
    package func playbook(_ name: String, replacing replacements: [(String, String)]) throws -> String {
        var text = try String(contentsOfFile: playbook, encoding: .utf8)
        for (old, new) in replacements {
            guard text.contains(old) else { throw MatrixError("the playbook has no '\(old)'") }
            text = text.replacing(old, with: new)
        }
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// Waits until every node lets us in and no etcd is between up and down, as a patient operator would.
    package func awaitNodes() async throws {
        for node in nodes {
            let settled = try await eventually(within: 60, every: .milliseconds(200)) {
                let login = try await Program.run("/usr/bin/ssh", sshArguments(node) + ["true"])
                guard login.exitCode == 0 else { return false }
                let state = try? await node.run("systemctl is-active etcd").standardOutput
                return state == "active\n" || state == "inactive\n" || state == "failed\n"
            }
            guard settled else { throw MatrixError("\(node.name) did not come back") }
        }
    }

    private func sshArguments(_ node: LabNode) -> [String] {
        [
            "-n", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2", "-o", "IdentitiesOnly=yes",
            "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(lab.layout.knownHosts)",
            "-i", lab.layout.privateKey, "-p", "\(node.sshPort)", "\(node.user)@\(node.address)",
        ]
    }
}
