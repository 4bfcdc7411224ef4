// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Lab

/// What a lab must leave alone, and what must be removed whatever happened.
@Suite(.serialized)
struct LabSafetyTests {
    @Test func `a directory that is no lab is refused and left as it is`() async throws {
        try await LabMachine.withDirectory { dir in
            try FileManager.default.createDirectory(atPath: dir, withIntermediateDirectories: false)
            try Data("mine".utf8).write(to: URL(filePath: dir + "/file"))
            let up = await #expect(throws: LabError.self) { try await Lab.up(LabOptions(), dir: dir) }
            #expect(up?.code == .notALab)
            let down = await #expect(throws: LabError.self) { try await Lab.down(dir: dir) }
            #expect(down?.code == .notALab)
            #expect(try FileManager.default.contentsOfDirectory(atPath: dir) == ["file"])
        }
    }

    @Test func `a lab that another process works on is left to it`() async throws {
        try await LabMachine.withDirectory { dir in
            let lock = try LabLock(creating: LabLayout(directory: dir))
            let down = await #expect(throws: LabError.self) { try await Lab.down(dir: dir) }
            #expect(down?.code == .busy)
            lock.release()
        }
    }

    @Test func `a process that has the id of one of ours is not ended`() async throws {
        try await LabMachine.withDirectory { dir in
            let state = try Self.unfinished(dir)
            let stranger = Process()
            stranger.executableURL = URL(filePath: "/bin/sleep")
            stranger.arguments = ["1000"]
            try stranger.run()
            defer { kill(stranger.processIdentifier, SIGKILL) }
            // Its id with another start: as when the id was given again after ours had ended.
            let file = state.nodes[0].processFile("etcd")
            try state.layout.write("\(stranger.processIdentifier) 12\n", to: file)
            try await Lab.down(dir: dir)
            #expect(stranger.isRunning)
            #expect(!FileManager.default.fileExists(atPath: dir))
        }
    }

    @Test(.enabled("root is needed to make a bridge") { await LabMachine.canBoot() })
    func `a bridge that somebody else made is not removed`() async throws {
        try await LabMachine.withDirectory { dir in
            var state = try Self.unfinished(dir)
            let bridge = "pawlt\(UInt32.random(in: 0...0xffff))"
            try await LabProgram.check(
                "ip",
                ["link", "add", "name", bridge, "address", "02:00:00:00:00:07", "type", "bridge"]
            )
            state.bridge = bridge
            try state.save()
            try await Lab.down(dir: dir)
            #expect(FileManager.default.fileExists(atPath: "/sys/class/net/\(bridge)"))
            try await LabProgram.check("ip", ["link", "del", bridge])
        }
    }

    @Test func `a copy of a lab is not taken for the lab`() async throws {
        try await LabMachine.withDirectory { dir in
            var state = try Self.unfinished(dir)
            state.directory = "/somewhere/else"
            try state.layoutAt(dir).write(JSONEncoder().encode(state), to: dir + "/lab.json")
            let error = await #expect(throws: LabError.self) { try await Lab.down(dir: dir) }
            #expect(error?.code == .notALab)
            try FileManager.default.removeItem(atPath: dir)
        }
    }

    @Test func `what a lab cannot be is said before anything is made`() async throws {
        var options: [LabOptions] = [
            LabOptions(nodes: 0), LabOptions(nodes: 8), LabOptions(network: "10.213"), LabOptions(network: "10.2.300"),
            LabOptions(snapshotCount: 0), LabOptions(etcdOfNode: ["etcd9": .init()]),
        ]
        options.append(LabOptions(limitedDisk: .init(path: "relative", megabytes: 1)))
        for wrong in options {
            try await LabMachine.withDirectory { dir in
                let error = await #expect(throws: LabError.self) { try await Lab.up(wrong, dir: dir) }
                #expect(error?.code == .options)
                #expect(!FileManager.default.fileExists(atPath: dir))
            }
        }
    }

    /// The points of `up` at which its process is killed: when this file is there.
    static let bootedPoints = [
        "lab.json", "nodes/etcd1/host_key.pub", "nodes/etcd1/boot", "nodes/etcd3/node.pid", "inventory.yaml",
    ]
    static let plainPoints = ["nodes/etcd1/service", "nodes/etcd2/etcd.pid", "inventory.yaml"]

    @Test(
        .enabled("nodes cannot be booted here") { await LabMachine.canBoot() },
        arguments: bootedPoints
    )
    func `a booted lab whose controller was killed is taken down whole`(_ point: String) async throws {
        try await Self.killController(.booted, at: point)
    }

    @Test(
        .enabled("sshd, etcd and curl are needed") { (try? LabProgram.require(PlainNode.programs)) != nil },
        arguments: plainPoints
    )
    func `a plain lab whose controller was killed is taken down whole`(_ point: String) async throws {
        try await Self.killController(.plain, at: point)
    }

    private static func killController(_ kind: LabOptions.Kind, at point: String) async throws {
        try await LabMachine.withDirectory { dir in
            LabMachine.prepareKill(kind, dir: dir, at: point)
            await #expect(processExitsWith: .signal(SIGKILL)) { await LabMachine.upUntilKilled() }
            let state = try LabState.load(dir)
            #expect(state.phase == .starting)
            try await Lab.down(dir: dir)
            // Programs that the killed process had started, as a login that waits for its answer, end by themselves.
            var remains: [String] = []
            _ = try await Wait.until(seconds: 5) {
                remains = try await LabMachine.remains(of: state)
                return remains.isEmpty
            }
            #expect(remains == [])
        }
    }

    /// A lab that never got further than its first file.
    private static func unfinished(_ dir: String) throws -> LabState {
        let layout = LabLayout(directory: dir)
        let node = LabNode(
            name: "etcd1",
            kind: .plain,
            directory: "\(dir)/nodes/etcd1",
            address: "127.213.0.11",
            sshPort: 22022,
            clientPort: 2379,
            peerPort: 2380,
            user: NSUserName(),
            machine: ""
        )
        try layout.makeDirectory(node.directory)
        try layout.write("", to: layout.marker)
        let state = LabState(
            id: UUID().uuidString.lowercased().filter { $0 != "-" },
            kind: .plain,
            phase: .starting,
            directory: dir,
            network: "127.213.0",
            options: LabOptions(nodes: 1),
            nodes: [node]
        )
        try state.save()
        return state
    }
}

extension LabState {
    fileprivate func layoutAt(_ dir: String) -> LabLayout { LabLayout(directory: dir) }
}
