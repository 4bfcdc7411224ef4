// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import RealNodes
import TestSupport

/// Three real members, what traps do to them, and ways to ask them that know nothing of pawl.
struct Site: Sendable {
    let bench: Testbed

    var nodes: [LabNode] { bench.nodes }

    // MARK: - The same data again

    /// What traps leave on a node, gone before the node is put back.
    private static let clear = #"""
        systemctl stop trap-supervisor trap-etcd 2>/dev/null
        systemctl reset-failed trap-supervisor trap-etcd 2>/dev/null
        for program in etcd etcdctl; do
            if [ -e /usr/bin/$program.original ]; then mv -f /usr/bin/$program.original /usr/bin/$program; fi
        done
        while iptables -D INPUT -p tcp --dport 2380 -j DROP 2>/dev/null; do :; done
        while iptables -D OUTPUT -p tcp --dport 2380 -j DROP 2>/dev/null; do :; done
        while iptables -D INPUT -p tcp --sport 2380 -j DROP 2>/dev/null; do :; done
        while iptables -D OUTPUT -p tcp --sport 2380 -j DROP 2>/dev/null; do :; done
        rm -rf /var/lib/etcd-wal /var/lib/etcd/old /var/lib/etcd/filler /var/lib/matrix/trap*
        true
        """#

    /// Puts every node back to the seeded v2 data.
    func reset(smallDisks: Bool = false) async throws {
        try await bench.onAll(Self.clear)
        try await bench.reset(smallDisks: smallDisks)
    }

    /// A cluster that nothing was ever written to.
    func resetToNothing() async throws {
        try await reset()
        try await bench.onAll("systemctl stop etcd; rm -rf /var/lib/etcd/default")
        try await restartAll()
    }

    /// Starts all members side by side, as they are set up now.
    func restartAll() async throws {
        try await bench.onAll("systemctl daemon-reload; systemctl restart etcd")
        try await bench.awaitCluster()
    }

    // MARK: - How members are set up

    /// Adds lines to the unit of a node's etcd; `restartAll`, or the next start, brings them to work.
    func extendUnit(_ node: LabNode, _ lines: String) async throws {
        try await node.check(
            """
            set -e; mkdir -p /run/systemd/system/etcd.service.d
            cat >/run/systemd/system/etcd.service.d/trap.conf <<'END'
            [Service]
            \(lines)
            END
            systemctl daemon-reload
            """
        )
    }

    /// Gives every member variables of its environment, and starts them with these.
    func configureAll(_ lines: String) async throws {
        for node in nodes { try await extendUnit(node, lines) }
        try await restartAll()
    }

    /// Puts a program on a node.
    func install(_ path: String, _ text: String, on node: LabNode) async throws {
        let encoded = Data((text + "\n").utf8).base64EncodedString()
        try await node.check("echo \(encoded) | base64 -d >\(path) && chmod 755 \(path)")
    }

    // MARK: - Clients

    /// Writes a v2 key through a member, as a client of it would.
    func put(_ node: LabNode, _ key: String, _ form: String = "value=written") async throws {
        let answer = try await curl(node, "-X PUT '\(node.clientURL)/v2/keys\(key)' -d '\(form)'")
        guard answer.contains(#""action""#) else { throw MatrixError("\(node.name) did not take \(key): \(answer)") }
    }

    func delete(_ node: LabNode, _ key: String) async throws {
        _ = try await curl(node, "-X DELETE '\(node.clientURL)/v2/keys\(key)'")
    }

    /// Whether a v2 key is there, by a local read of the member.
    func has(_ node: LabNode, _ key: String) async throws -> Bool {
        try await curl(node, "'\(node.clientURL)/v2/keys\(key)'").contains(#""action""#)
    }

    /// Waits until a v2 key is gone from a member.
    func awaitExpiry(_ node: LabNode, _ key: String) async throws {
        guard try await eventually(within: 30, for: { try await !has(node, key) }) else {
            throw MatrixError("\(key) does not expire")
        }
    }

    func curl(_ node: LabNode, _ words: String) async throws -> String {
        try await node.run("curl -sS --noproxy '*' -m 5 \(words) 2>&1").standardOutput
    }

    /// etcdctl of the v3 API, against the node's own member.
    func etcdctl(_ node: LabNode, _ words: String) async throws -> LabOutput {
        let time = "--command-timeout=5s --dial-timeout=3s"
        return try await node.run("ETCDCTL_API=3 /usr/bin/etcdctl --endpoints \(node.clientURL) \(time) \(words)")
    }

    /// The members with the leader last, as pawl takes them.
    func leaderLast() async throws -> [LabNode] {
        for node in nodes {
            let state = try await curl(node, "\(node.clientURL)/v2/stats/self")
            if state.contains("StateLeader") { return nodes.filter { $0 != node } + [node] }
        }
        throw MatrixError("no member leads")
    }

    /// How many keys are in a db that no etcd has open.
    func keysInDatabase(_ node: LabNode, _ directory: String = "/var/lib/etcd/default") async throws -> Int {
        let status = "ETCDCTL_API=3 /usr/bin/etcdctl snapshot status \(directory)/member/snap/db -w json"
        let text = try await node.check("\(status) | jq '.totalKey'").trimmingCharacters(in: .whitespacesAndNewlines)
        return Int(text) ?? -1
    }
}
