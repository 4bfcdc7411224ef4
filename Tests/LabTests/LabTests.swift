// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Lab

@Suite(.serialized)
struct LabTests {
    @Test func `a booted lab comes up as one cluster and leaves nothing behind`() async throws {
        let dir = FileManager.default.temporaryDirectory.path + "/pawl-lab-\(UUID().uuidString.prefix(8))"
        let t = ContinuousClock.now
        let state = try await Lab.up(LabOptions(), dir: dir)
        print("up", ContinuousClock.now - t)
        print(
            try await state.nodes[0].run(
                "systemctl is-system-running; systemctl --failed --no-legend; ip -br a; systemd-analyze; hostname"
            ).standardOutput
        )
        print(try String(contentsOfFile: state.inventory, encoding: .utf8))
        let u = ContinuousClock.now
        try await Lab.down(dir: dir)
        print("down", ContinuousClock.now - u)
    }
}
