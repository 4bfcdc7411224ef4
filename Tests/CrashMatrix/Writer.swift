// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport

/// Writes v3 keys to a migrated cluster, and remembers which of them were acknowledged.
actor Writer {
    private let nodes: [LabNode]
    private var written: [String] = []

    init(_ nodes: [LabNode]) {
        self.nodes = nodes
    }

    /// Writes until it is cancelled, through one member after the other.
    func write() async throws {
        while !Task.isCancelled { try await write(count: 1) }
    }

    func write(count: Int) async throws {
        for _ in 0..<count {
            let key = "/matrix/\(written.count)"
            let body = #"{"key":"\#(Self.base64(key))","value":"\#(Self.base64("written"))"}"#
            let node = nodes[written.count % nodes.count]
            let answer = try await Program.run(
                "curl",
                ["-sS", "--fail", "--noproxy", "*", "-m", "5", "-d", body, "\(node.clientURL)/v3/kv/put"]
            )
            guard answer.exitCode == 0, answer.stdout.contains("revision") else { continue }
            written.append(key)
        }
    }

    var acknowledged: Int { written.count }

    /// The acknowledged keys that a member does not have.
    func lost() async throws -> [String] {
        var lost: [String] = []
        for node in nodes {
            let answer = try await node.check(
                "ETCDCTL_API=3 /usr/bin/etcdctl.original --endpoints \(node.clientURL) get --prefix --keys-only /matrix/"
            )
            let keys = Set(answer.split(separator: "\n").map(String.init))
            lost += written.filter { !keys.contains($0) }.map { "\(node.name): the acknowledged key \($0) is lost" }
        }
        return lost
    }

    private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
}
