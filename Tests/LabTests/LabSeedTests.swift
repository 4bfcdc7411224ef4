// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Lab

@Suite(.serialized, .enabled("sshd, etcd and curl are needed") { (try? LabProgram.require(PlainNode.programs)) != nil })
struct LabSeedTests {
    @Test func `every kind of key arrives as it was meant`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1)) { state in
            let written = try await LabSeed(keys: 120, valueSize: 37, ttlKeys: 3, hiddenKeys: 2).write(to: state)
            let values = try await LabMachine.values(state.nodes[0])
            #expect(values.count == written.values)
            #expect(written.hidden == 2)
            for request in SeedRequest.kinds where request.method == "PUT" && !request.isDirectory {
                let last = SeedRequest.kinds.last { $0.key == request.key }
                #expect(values[request.key] == (last?.method == "DELETE" ? nil : last?.value))
            }
            #expect(values["/foo"] == "bar")
            #expect(values["/bench/1/key119"]?.utf8.count == 37)
            #expect(values.keys.filter { $0.hasPrefix("/queue/") }.count == 3)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `ten thousand keys take a few seconds`() async throws {
        try await LabMachine.withLab(LabOptions()) { state in
            let start = ContinuousClock.now
            let written = try await LabSeed(keys: 10_000, kinds: false).write(to: state)
            let time = ContinuousClock.now - start
            #expect(written.values == 10_000)
            #expect(try await LabMachine.values(state.nodes[0]).count == 10_000)
            #expect(time < .seconds(20))
            print("10,000 keys of 200 B in \(time)")
        }
    }

    @Test func `a write that was not acknowledged is an error`() async throws {
        try await LabMachine.withLab(LabOptions(nodes: 1)) { state in
            try await state.nodes[0].stopEtcd()
            let error = await #expect(throws: LabError.self) { try await LabSeed(keys: 1).write(to: state) }
            #expect(error?.code == .seed)
        }
    }
}
