// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import TestSupport
import Testing

/// A node with a systemd of its own: a container over an overlay of this machine's `/`, with units that the tests need.
struct BootedNode: Sendable {
    /// Why no node can be booted here, or `nil`.
    static let obstacle: Comment? = {
        if geteuid() != 0 { return "booting a node needs root" }
        let tools = ["/usr/bin/systemd-nspawn", "/usr/bin/nsenter", "/usr/bin/etcd"]
        return tools.allSatisfy(FileManager.default.isExecutableFile) ? nil : "needs systemd-nspawn, nsenter and etcd"
    }()

    let root: String
    let host: NamespaceHost
    let ledger = NodeLedger()
    var run = "r1"

    /// - `vendor` lies below /usr and is stopped by a signal of its own; `local` lies in /etc; `stubborn` is not told to
    ///   stop, so that systemd kills it; `crashing` comes up and dies at once, again and again.
    private static let units: [(path: String, text: String)] = [
        (
            "/usr/lib/systemd/system/vendor.service",
            "ExecStart=/bin/sleep 1000\nKillSignal=SIGINT\nSuccessExitStatus=SIGINT"
        ),
        (
            "/etc/systemd/system/local.service",
            """
            Type=notify
            Restart=always
            ExecStart=/usr/bin/etcd --data-dir /var/tmp/local --listen-client-urls http://127.0.0.1:4379 \
            --advertise-client-urls http://127.0.0.1:4379 --listen-peer-urls http://127.0.0.1:4380
            """
        ),
        (
            "/etc/systemd/system/stubborn.service",
            """
            TimeoutStopSec=1
            KillSignal=SIGCONT
            ExecStart=/usr/bin/etcd --data-dir /var/tmp/stubborn --listen-client-urls http://127.0.0.1:3379 \
            --advertise-client-urls http://127.0.0.1:3379 --listen-peer-urls http://127.0.0.1:3380
            """
        ),
        (
            "/etc/systemd/system/crashing.service",
            "Restart=always\nRestartSec=0\nExecStart=/bin/sh -c 'echo no data here; sleep 0.05; exit 1'"
        ),
    ]

    static func with(_ body: (BootedNode) async throws -> Void) async throws {
        let root = "/var/tmp/pawl-boot-\(UUID().uuidString.prefix(8))"
        let here = LocalHost()
        func sh(_ script: String) async throws -> CommandResult {
            try await here.run(RemoteCommand("test", script: script, effect: .mutating))
        }
        let name = "pawl-\(UUID().uuidString.prefix(8).lowercased())"
        let writes = units.map { unit in
            "printf '%s\\n' '[Service]' \(ShellQuoting.quote(unit.text)) >\(root)/upper\(unit.path)"
        }
        let boot = """
            mkdir -p \(root)/upper/etc/systemd/system \(root)/upper/usr/lib/systemd/system \(root)/work \(root)/merged
            \(writes.joined(separator: "\n"))
            mount -t overlay overlay -o lowerdir=/,upperdir=\(root)/upper,workdir=\(root)/work \(root)/merged || exit
            setsid systemd-nspawn --quiet --register=no --keep-unit -D \(root)/merged --machine=\(name) -b \
              --private-network --console=pipe >\(root)/console 2>&1 </dev/null &
            echo $! >\(root)/nspawn
            i=0
            while [ $i -lt 300 ]; do
              leader=$(cat /proc/$(cat \(root)/nspawn)/task/*/children 2>/dev/null | tr ' ' '\\n' | head -n 1)
              if [ -n "$leader" ]; then
                state=$(nsenter -t $leader -a systemctl is-system-running 2>/dev/null)
                case "$state" in running|degraded) echo $leader; exit 0 ;; esac
              fi
              sleep 0.1; i=$((i + 1))
            done
            echo "the node did not boot: $(tail -n 3 \(root)/console)" >&2; exit 1
            """
        let clean = """
            kill -KILL $(cat /proc/$(cat \(root)/nspawn)/task/*/children) $(cat \(root)/nspawn)
            i=0; while [ -d /proc/$(cat \(root)/nspawn)/fd ] && [ $i -lt 50 ]; do sleep 0.1; i=$((i + 1)); done
            umount \(root)/merged || umount -l \(root)/merged; rm -rf \(root)
            """
        do {
            let booted = try await sh(boot)
            let leader = try #require(
                Int32(booted.output.trimmingCharacters(in: .whitespacesAndNewlines)),
                "\(booted.errorOutput)"
            )
            try await body(BootedNode(root: root, host: NamespaceHost(name: "n1", leader: leader)))
        } catch {
            _ = try await sh(clean)
            throw error
        }
        _ = try await sh(clean)
    }

    @discardableResult
    func text(_ script: String) async throws -> String {
        try await host.run(RemoteCommand("test", script: script, effect: .mutating)).output
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func service(_ name: String, _ state: String, within: Int = 20) throws -> Service {
        try Service(Parameters(["name": .string(name), "state": .string(state), "within": .int(within)]))
    }

    func context(_ step: String = "steps.1/n1") -> ActionContext {
        let target = ActionTarget(host: host, variables: [:])
        return ActionContext(
            run: run,
            step: StepID(step),
            attempt: 1,
            timeout: .seconds(60),
            target: target,
            cluster: [target],
            completedHosts: [],
            facts: ledger,
            progress: { _ in }
        )
    }
}
