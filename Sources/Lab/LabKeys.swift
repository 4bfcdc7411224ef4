// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The keys of a lab: one that logs in, and one for each node's sshd.
enum LabKeys {
    static func make(_ state: LabState) async throws {
        let layout = state.layout
        for node in state.nodes { try layout.makeDirectory(node.directory) }
        let wanted = [(layout.privateKey, "pawl-lab")] + state.nodes.map { ("\($0.directory)/host_key", $0.name) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (file, comment) in wanted {
                group.addTask {
                    try await LabProgram.check(
                        "ssh-keygen",
                        ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file]
                    )
                }
            }
            try await group.waitForAll()
        }
        var lines = ""
        for node in state.nodes {
            let key = try String(contentsOfFile: "\(node.directory)/host_key.pub", encoding: .utf8)
            let host = node.sshPort == 22 ? node.address : "[\(node.address)]:\(node.sshPort)"
            lines += "\(host) \(key.split(separator: " ").prefix(2).joined(separator: " "))\n"
        }
        try layout.write(lines, to: layout.knownHosts)
    }
}
