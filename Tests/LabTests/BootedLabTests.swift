// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Lab

@Suite(
    .serialized,
    .enabled("nodes cannot be booted here (root, systemd-nspawn, overlay and bridge are needed)") {
        await LabMachine.canBoot()
    }
)
struct BootedLabTests {
    @Test func `three nodes come up as one cluster and leave nothing behind`() async throws {
        let state = try await LabMachine.withDirectory { dir in
            let state = try await Lab.up(LabOptions(kind: .booted), dir: dir)
            #expect(state.nodes.map(\.name) == ["etcd1", "etcd2", "etcd3"])
            var machineIDs: Set<String> = []
            for node in state.nodes {
                #expect(try await node.check("hostname").trimmed == node.name)
                #expect(try await node.check("systemctl is-system-running").trimmed == "running")
                machineIDs.insert(try await node.check("cat /etc/machine-id"))
                let login = LabReadiness.sshArguments(node, state.layout) + ["id -un; sudo -n id -un; hostname"]
                #expect(try await LabProgram.check("ssh", login) == "admin\nroot\n\(node.name)\n")
            }
            #expect(machineIDs.count == 3)
            #expect(try await Lab.up(LabOptions(kind: .booted), dir: dir) == state, "a second up changes nothing")
            try await Lab.down(dir: dir)
            try await Lab.down(dir: dir)
            return state
        }
        let remains = try await LabMachine.remains(of: state)
        #expect(remains == [])
    }

    @Test func `two labs are up at once and stopping etcd in one is not felt in the other`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1, kind: .booted)) { first in
            try await LabMachine.withLab(LabOptions(nodes: 1, kind: .booted)) { second in
                #expect(first.network != second.network)
                try await first.nodes[0].stopEtcd()
                #expect(try await first.nodes[0].isEtcdRunning() == false)
                #expect(try await second.nodes[0].isEtcdRunning())
                let groups = try await second.nodes[0].check("systemctl status etcd")
                #expect(groups.contains("CGroup: /system.slice/etcd.service"))
            }
            try await first.nodes[0].startEtcd()
            #expect(try await first.nodes[0].isEtcdRunning())
        }
    }

    @Test func `a node keeps its data when its power is cut`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1, kind: .booted)) { state in
            let node = state.nodes[0]
            try await LabSeed(keys: 10, kinds: true).write(to: state)
            let before = try await LabMachine.values(node)
            try await node.powerOff()
            await #expect(throws: LabError.self) { try await node.check("true") }
            try await node.boot(in: state)
            #expect(try await LabMachine.values(node) == before)
        }
    }

    @Test func `a node that reboots by itself comes back`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1, kind: .booted)) { state in
            let node = state.nodes[0]
            let leader = BootedNode.leader(node)
            _ = try await node.run("systemctl reboot")
            let isAnother = await Wait.until(seconds: 30) { (BootedNode.leader(node) ?? leader) != leader }
            #expect(isAnother)
            try await LabReadiness(state).wait()
        }
    }

    @Test func `a node whose supervisor was killed is ended with its lab`() async throws {
        let state = try await LabMachine.withLab(LabOptions(nodes: 1, kind: .booted)) { state in
            let node = state.nodes[0]
            let supervisor = try #require(LabProcess(file: node.processFile()))
            for process in [supervisor] + supervisor.children { #expect(await process.end()) }
            return state
        }
        let remains = try await LabMachine.remains(of: state)
        #expect(remains == [])
    }

    @Test func `a replaced program runs in its place and the original can be put back`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1, kind: .booted)) { state in
            let node = state.nodes[0]
            try await node.replaceProgram("/usr/bin/etcdctl", with: #"echo mine; exec "$ORIGINAL" "$@""#)
            let replaced = try await node.check("ETCDCTL_API=3 etcdctl version")
            #expect(replaced.hasPrefix("mine\netcdctl version"))
            #expect(try await LabProgram.check("etcdctl", ["version"]).hasPrefix("mine") == false, "this machine's own")
            try await node.restoreProgram("/usr/bin/etcdctl")
            #expect(try await node.check("ETCDCTL_API=3 etcdctl version").hasPrefix("etcdctl version"))
        }
    }

    @Test func `a limited disk runs full`() async throws {
        var options = LabOptions(nodes: 1, kind: .booted)
        options.limitedDisk = .init(path: "/var/backups/pawl", megabytes: 4)
        try await LabMachine.withLab(options) { state in
            let output = try await state.nodes[0].run("head -c 8M /dev/zero >/var/backups/pawl/large")
            #expect(output.exitCode != 0)
            #expect(output.standardError.contains("No space left on device"))
        }
    }

    @Test func `an unplugged node is silent until it is plugged in again`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1, kind: .booted)) { state in
            let node = state.nodes[0]
            let ask = ["-s", "--noproxy", "*", "--max-time", "1", "\(node.clientURL)/version"]
            try await node.unplug()
            #expect(try await LabProgram.run("curl", ask).exitCode != 0)
            try await node.plug()
            let answers = try await Wait.until(seconds: 10) { try await LabProgram.run("curl", ask).exitCode == 0 }
            #expect(answers)
        }
    }

    @Test func `a lab whose etcd cannot start is removed and says why`() async throws {
        try await LabMachine.withDirectory { dir in
            let options = LabOptions(
                nodes: 1,
                kind: .booted,
                etcd: .init(environment: ["ETCD_LISTEN_PEER_URLS": "http://10.255.255.1:2380"]),
                timeoutSeconds: 2
            )
            let error = await #expect(throws: LabError.self) { try await Lab.up(options, dir: dir) }
            #expect(error?.message.contains("cannot assign requested address") == true, "\(error?.message ?? "")")
            #expect(!FileManager.default.fileExists(atPath: dir))
        }
    }

    @Test func `etcd of a node gets the settings that were asked for`() async throws {
        let options = LabOptions(
            nodes: 2,
            kind: .booted,
            snapshotCount: 77,
            etcdOfNode: ["etcd2": .init(environment: ["ETCD_SNAPSHOT_COUNT": "88"], arguments: ["--debug"])]
        )
        try await LabMachine.withLab(options) { state in
            let environment = "tr '\\0' '\\n' </proc/$(pidof etcd)/environ; tr '\\0' ' ' </proc/$(pidof etcd)/cmdline"
            #expect(try await state.nodes[0].check(environment).contains("ETCD_SNAPSHOT_COUNT=77\n"))
            let second = try await state.nodes[1].check(environment)
            #expect(second.contains("ETCD_SNAPSHOT_COUNT=88\n"))
            #expect(second.contains("etcd --debug"))
        }
    }
}
