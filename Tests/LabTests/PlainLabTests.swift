// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Lab

@Suite(
    .serialized,
    .enabled("sshd, etcd and curl are needed") { (try? LabProgram.require(PlainNode.programs)) != nil }
)
struct PlainLabTests {
    @Test func `three nodes come up without root and leave nothing behind`() async throws {
        let state = try await LabMachine.withDirectory { dir in
            let state = try await Lab.up(LabOptions(kind: .plain), dir: dir)
            for node in state.nodes {
                let login = LabReadiness.sshArguments(node, state.layout) + ["id -un"]
                #expect(try await LabProgram.check("ssh", login).trimmed == NSUserName())
            }
            #expect(try await Lab.up(LabOptions(kind: .plain), dir: dir) == state, "a second up changes nothing")
            try await Lab.down(dir: dir)
            try await Lab.down(dir: dir)
            return state
        }
        let remains = try await LabMachine.remains(of: state)
        #expect(remains == [])
    }

    @Test func `etcd is stopped, started and asked about by its own script`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1, kind: .plain)) { state in
            let node = state.nodes[0]
            #expect(try await node.run("\(node.directory)/service etcd status").exitCode == 0)
            try await node.stopEtcd()
            #expect(try await node.run("\(node.directory)/service etcd status").exitCode == 3)
            try await node.startEtcd()
            #expect(try await node.isEtcdRunning())
            try await node.crashEtcd()
            #expect(try await node.isEtcdRunning() == false)
        }
    }

    @Test func `what a login left running ends with the lab`() async throws {
        try await LabMachine.withDirectory { dir in
            let state = try await Lab.up(LabOptions(nodes: 1, kind: .plain), dir: dir)
            let script = "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!"
            let login = LabReadiness.sshArguments(state.nodes[0], state.layout) + [script]
            let id = try await LabProgram.check("ssh", login).trimmed
            #expect(FileManager.default.fileExists(atPath: "/proc/\(id)"))
            try await Lab.down(dir: dir)
            #expect(LabProcess.carrying(PlainNode.mark(state)).isEmpty)
        }
    }

    @Test func `a replaced program is found first by logins`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1, kind: .plain)) { state in
            let node = state.nodes[0]
            try await node.replaceProgram("/usr/bin/etcdctl", with: "echo mine")
            let login = LabReadiness.sshArguments(node, state.layout) + ["etcdctl version"]
            #expect(try await LabProgram.check("ssh", login) == "mine\n")
            try await node.restoreProgram("/usr/bin/etcdctl")
            #expect(try await LabProgram.check("ssh", login).hasPrefix("etcdctl version"))
        }
    }

    @Test func `a port in use is named`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1, kind: .plain)) { state in
            try await LabMachine.withDirectory { dir in
                let options = LabOptions(nodes: 1, kind: .plain, network: state.network)
                let error = await #expect(throws: LabError.self) { try await Lab.up(options, dir: dir) }
                #expect(error?.code == .network)
                #expect(error?.message.contains(state.network) == true)
                #expect(!FileManager.default.fileExists(atPath: dir))
            }
        }
    }
}
