// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Lab
import TestSupport

/// Three real nodes that are put back to the same v2 data before every cell, and the `pawl` under test.
struct Testbed: Sendable {
    let lab: LabState
    let pawl: String
    /// The top of the repository.
    let repository: String
    /// The lab, the journals and what every pawl said; it goes at the end.
    let directory: String
    /// The migration that is broken.
    let playbook: String

    var nodes: [LabNode] { lab.nodes }

    // MARK: - Up and down

    /// Brings nodes up, seeds them and keeps a copy of the data on each.
    static func up(
        pawl: String,
        repository: String,
        playbook: String,
        keys: Int,
        in directory: String
    ) async throws -> Testbed {
        let lab = try await Lab.up(LabOptions(nodes: 3, kind: .booted), dir: "\(directory)/lab")
        let bench = Testbed(
            lab: lab,
            pawl: pawl,
            repository: repository,
            directory: directory,
            playbook: "\(repository)/playbooks/\(playbook).yaml"
        )
        try await LabSeed(keys: keys).write(to: lab)
        try await bench.onAll("systemctl stop etcd")
        try await bench.onAll(Self.keepSeed)
        return bench
    }

    /// Takes down what is in a directory, however far it came.
    static func remove(_ directory: String, keepingLogs logs: String?) async throws {
        try await Lab.down(dir: "\(directory)/lab")
        let own = "\(directory)/logs"
        if let logs, FileManager.default.fileExists(atPath: own) {
            try? FileManager.default.removeItem(atPath: logs)
            try FileManager.default.moveItem(atPath: own, toPath: logs)
        }
    }

    /// Runs a script on all nodes side by side; it has to succeed.
    @discardableResult
    func onAll(_ script: String) async throws -> [String: String] {
        try await withThrowingTaskGroup(of: (String, String).self) { group in
            for node in nodes { group.addTask { (node.name, try await node.check(script)) } }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    // MARK: - The same data again

    /// A copy of the stopped member, and an etcdctl that leaves a trace.
    ///
    /// The trace is what is in the database that each `migrate` finds: it must be what was there before the first. The
    /// first call after `stop-next` was written stops as soon as the time in `stop-after` has passed: an etcdctl that
    /// hangs in the middle of its work. Where it has ended by then, it is the next one's turn.
    private static let keepSeed = #"""
        set -e
        mkdir -p /var/lib/matrix
        # Not sticky: what one user has put there, root or etcd, the other takes away.
        chmod 777 /var/lib/matrix
        cp -a --sparse=always /var/lib/etcd/default /var/lib/matrix/seed
        mv /usr/bin/etcdctl /usr/bin/etcdctl.original
        cat >/usr/bin/etcdctl <<'SCRIPT'
        #!/bin/sh
        found() { ETCDCTL_API=3 /usr/bin/etcdctl.original snapshot status "$1" -w json | jq -c '[.revision, .totalKey]'; }
        case "$*" in
        *--help*) ;;
        found*) found "$2"; exit ;;
        migrate*)
            for word; do
                case "$word" in --data-dir=*) found "${word#*=}/member/snap/db" >>/var/lib/matrix/migrations ;; esac
            done ;;
        esac
        if rm /var/lib/matrix/stop-next 2>/dev/null; then
            (sleep "$(cat /var/lib/matrix/stop-after)"
            if kill -STOP $$; then echo $$ >/var/lib/matrix/stopped; else : >/var/lib/matrix/stop-next; fi) \
                </dev/null >/dev/null 2>&1 &
        fi
        exec /usr/bin/etcdctl.original "$@"
        SCRIPT
        chmod 755 /usr/bin/etcdctl
        etcdctl found /var/lib/matrix/seed/member/snap/db >/var/lib/matrix/untouched
        """#

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
        rm -rf /var/lib/etcd/default /var/lib/etcd/default*pawl* /var/lib/etcd/.pawl-* /var/lib/matrix/migrations /var/lib/matrix/stop*
        # Both in memory: nothing of this machine shows through there.
        find /tmp /dev/shm -xdev -mindepth 1 -maxdepth 1 -not -name 'systemd-private*' -not -name '.*' -exec rm -rf {} +
        systemctl daemon-reload
        systemctl reset-failed etcd 2>/dev/null || true
        : >/var/lib/matrix/migrations && chmod 666 /var/lib/matrix/migrations
        """#

    /// Puts every node back to the seeded v2 data with nothing of pawl's on it, whatever the last cell left.
    ///
    /// With `smallDisks` the nodes' data and backups get small disks of their own, so that these can be filled.
    func reset(smallDisks: Bool = false) async throws {
        do {
            try await seedAnew(smallDisks: smallDisks)
        } catch {
            // A node that the last cell left dead, or with its cable out.
            for node in nodes { try await restart(node) }
            try await seedAnew(smallDisks: smallDisks)
        }
    }

    /// Cuts a node's power and boots it; whether its etcd is well is for others to see.
    func restart(_ node: LabNode) async throws {
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
        try await onAll(Self.wipe)
        if smallDisks {
            try await onAll(
                """
                set -e
                mount -t tmpfs -o size=\(Fault.smallDisk)M,mode=0755 matrix /var/backups
                mount -t tmpfs -o size=\(Fault.smallDisk)M,mode=0700,uid=etcd,gid=etcd matrix /var/lib/etcd
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
    func awaitCluster() async throws {
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

    func runArguments(playbook: String? = nil, state: String = "state") -> [String] {
        ["run", "-i", lab.inventory, playbook ?? self.playbook, "--yes", "--state", "\(directory)/\(state)"]
    }

    var resumeArguments: [String] { ["resume", "--state", "\(directory)/state"] }

    /// What the runs since the last reset have written down.
    func journal() async throws(JournalError) -> SQLiteRunStore {
        try await SQLiteRunStore.open(URL(filePath: "\(directory)/state"), for: .reading)
    }

    /// A name for the output of the next pawl; what it was called with is beside it.
    func newLog(_ arguments: [String]) throws -> String {
        let logs = "\(directory)/logs"
        try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
        let count = try FileManager.default.contentsOfDirectory(atPath: logs).count
        let name = "\(logs)/\(String(format: "%04d", count))-\(UUID().uuidString.prefix(4))"
        try arguments.joined(separator: " ").write(toFile: "\(name).command", atomically: true, encoding: .utf8)
        return name
    }

    /// A copy of the playbook with other texts in it; each must be there.
    func playbook(_ name: String, replacing replacements: [(String, String)]) throws -> String {
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
    func awaitNodes() async throws {
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
