// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import RealNodes
import TestSupport

/// What goes wrong at a moment of a run.
enum Fault: String, Sendable, CaseIterable {
    /// kill -9 of the controller.
    case kill
    /// SIGINT to the controller.
    case interrupt
    /// Every SSH connection to the member is cut; the server goes on listening.
    case cut
    /// The member's network cable is pulled, and plugged in again when the controller has ended.
    case cable
    /// The member's sshd is restarted.
    case sshd
    /// etcd is killed (-9) on the member.
    case etcd
    /// etcd is killed (-9) on another member.
    case otherEtcd = "other-etcd"
    /// The member is rebooted in order.
    case reboot
    /// The member's power is cut, and it is booted again.
    case power
    /// The next etcdctl on the member stops (SIGSTOP) somewhere in its work and never goes on by itself.
    case etcdctl
    /// The file system of the member's backups is full until the controller has ended.
    case backupDisk = "backup-disk"
    /// The file system of the member's data is full until the controller has ended.
    case dataDisk = "data-disk"
    /// A second controller with a state directory of its own starts the same run.
    case second

    var needsSmallDisks: Bool { self == .backupDisk || self == .dataDisk }

    /// A step that hangs must fail within the patience of a test.
    var needsShortTimeouts: Bool { self == .etcdctl }

    /// Does the harm.
    ///
    /// - Returns: whether it was done; a fault that found nothing to break was not.
    func inject(
        into controller: Controller,
        on bench: Testbed,
        member: LabNode,
        other: LabNode,
        random: inout SplitMix64
    ) async throws -> Bool {
        switch self {
        case .kill: controller.send(SIGKILL)
        case .interrupt: controller.send(SIGINT)
        case .cut: try await member.cutConnections()
        case .cable: try await member.unplug()
        case .sshd: try await member.check("systemctl restart ssh")
        case .etcd: return try await Self.killEtcd(on: member)
        case .otherEtcd: return try await Self.killEtcd(on: other)
        case .reboot:
            // It ends with the node that it runs on.
            _ = try? await member.run("systemctl reboot")
        case .power: try await bench.restart(member)
        case .etcdctl:
            let delay = Double.random(in: 0...0.05, using: &random)
            // One that is at work, or the next.
            try await member.check(
                """
                pids=$(pgrep -x etcdctl.origina | head -n 1)
                if [ -n "$pids" ] && kill -STOP "$pids"; then echo "$pids" >/var/lib/matrix/stopped; exit 0; fi
                echo \(delay) >/var/lib/matrix/stop-after; chmod 666 /var/lib/matrix/stop-after
                : >/var/lib/matrix/stop-next; chmod 666 /var/lib/matrix/stop-next
                """
            )
        case .backupDisk: try await Self.fill("/var/backups", on: member)
        case .dataDisk: try await Self.fill("/var/lib/etcd", on: member)
        case .second: return try await expectRefusal(beside: controller, on: bench)
        }
        return true
    }

    /// Whether the harm that was prepared has come true by the end of the controller.
    func hasStruck(_ member: LabNode) async throws -> Bool {
        guard self == .etcdctl else { return true }
        return try await member.run("[ -e /var/lib/matrix/stopped ]").exitCode == 0
    }

    /// What an operator mends before going on.
    func mend(on bench: Testbed, member: LabNode) async throws {
        switch self {
        case .cable: try await member.plug()
        case .backupDisk: try await member.check("rm -f /var/backups/filling")
        case .dataDisk:
            // An etcd that died of the full disk is started again, unless it is held down.
            try await member.check(
                """
                rm -f /var/lib/etcd/filling
                if systemctl is-failed --quiet etcd; then systemctl reset-failed etcd; systemctl start etcd || true; fi
                """
            )
        case .etcdctl: try await member.check("rm -f /var/lib/matrix/stop-next")
        default: break
        }
    }

    // MARK: - Parts

    private static func killEtcd(on node: LabNode) async throws -> Bool {
        try await node.run("pkill -KILL -x etcd").exitCode == 0
    }

    /// What is left of the disk, to the last block.
    private static func fill(_ disk: String, on node: LabNode) async throws {
        try await node.check("cat /dev/zero >\(disk)/filling 2>/dev/null || true")
    }

    /// Two controllers: the second must be refused, having changed nothing.
    ///
    /// - Returns: whether there were two; where the first had come to its end, the second finds a migrated cluster.
    private func expectRefusal(beside first: Controller, on bench: Testbed) async throws -> Bool {
        let end = try await Controller.run(bench.runArguments(state: "second-state"), on: bench)
        if end.exitCode == 4, !first.isRunning, end.lastWords.contains("the v3 store is not empty") { return false }
        guard end.exitCode == 5 else {
            throw CellDifference("the second controller ended with \(end.exitCode): \(end.lastWords)")
        }
        return true
    }
}

/// Something about pawl that is not as it must be.
struct CellDifference: Error {
    var text: String

    init(_ text: String) {
        self.text = text
    }
}
