// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Waits until a lab is what it promises: every node lets us in, and etcd is one healthy cluster with a leader.
struct LabReadiness: Sendable {
    var state: LabState
    var deadline: ContinuousClock.Instant

    init(_ state: LabState) {
        self.state = state
        deadline = .now + .seconds(state.options.timeoutSeconds)
    }

    func wait() async throws {
        try await waitForNodes()
        try await oneLeader()
    }

    func waitForNodes() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in state.nodes {
                group.addTask { try await login(node) }
                group.addTask { try await health(node) }
            }
            try await group.waitForAll()
        }
    }

    /// Arguments of `ssh` for a node, without a command.
    static func sshArguments(_ node: LabNode, _ layout: LabLayout) -> [String] {
        [
            "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2", "-o", "IdentitiesOnly=yes",
            "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(layout.knownHosts)",
            "-o", "GlobalKnownHostsFile=none", "-i", layout.privateKey, "-p", "\(node.sshPort)",
            "\(node.user)@\(node.address)",
        ]
    }

    private func login(_ node: LabNode) async throws {
        let command = node.kind == .booted ? "sudo -n true" : "true"
        let arguments = Self.sshArguments(node, state.layout) + [command]
        try await until(node, "logging in over SSH") {
            let output = try await LabProgram.run("ssh", arguments)
            return output.exitCode == 0 ? nil : output.standardError.trimmed
        }
    }

    private func health(_ node: LabNode) async throws {
        try await until(node, "etcd's health") {
            let output = try await get("\(node.clientURL)/health")
            return output.standardOutput.contains("\"true\"") ? nil : output.standardError + output.standardOutput
        }
    }

    /// All name the same leader, all know of all members, and the v2 store answers.
    private func oneLeader() async throws {
        for node in state.nodes {
            try await until(node, "a cluster of \(state.nodes.count) with one leader") {
                let members = try await get("\(node.clientURL)/v2/members").standardOutput
                let count = members.components(separatedBy: "\"peerURLs\"").count - 1
                guard count == state.nodes.count else { return "\(count) members" }
                let leader = try await get("\(node.clientURL)/v2/stats/self").standardOutput
                guard leader.contains("\"leader\":\"") else { return "no leader: \(leader)" }
                let keys = try await get("\(node.clientURL)/v2/keys/")
                guard keys.exitCode == 0 else { return "the v2 store does not answer: \(keys.standardError)" }
                // A new cluster speaks 3.0.0 until its leader has asked all members (etcdserver, `monitorVersions`).
                let version = try await get("\(node.clientURL)/version").standardOutput
                let decided = !version.contains("\"etcdcluster\":\"3.0.0\"") && !version.contains("not_decided")
                return decided ? nil : "the cluster has not found out its version yet: \(version)"
            }
        }
        var leaders: Set<String> = []
        _ = try await Wait.until(seconds: 10) {
            leaders = []
            for node in state.nodes {
                // The v3 API has another path in each version.
                let status = try await get("\(node.clientURL)/v2/stats/self").standardOutput
                let part = status.components(separatedBy: "\"leader\":\"").dropFirst().first ?? ""
                leaders.insert(String(part.prefix { $0 != "\"" }))
            }
            return leaders.count == 1 && !leaders.contains("")
        }
        guard leaders.count == 1, !leaders.contains("") else {
            throw LabError(.notReady, "the members name \(leaders.count) leaders: \(leaders.sorted())")
        }
    }

    private func get(_ url: String) async throws -> LabOutput {
        let words = state.certificates?.curlWords ?? []
        return try await LabProgram.run("curl", ["-sS", "--fail", "--noproxy", "*", "--max-time", "2"] + words + [url])
    }

    /// Asks until the answer is `nil`; otherwise the answer is why it is not ready yet.
    private func until(_ node: LabNode, _ what: String, _ ask: () async throws -> String?) async throws {
        var reason = ""
        while true {
            guard let answer = try await ask() else { return }
            reason = answer
            try Task.checkCancellation()
            if ContinuousClock.now > deadline { break }
            if node.kind == .booted, hasEnded(node) { break }
            try await Task.sleep(for: .milliseconds(100))
        }
        let ended = node.kind == .booted && hasEnded(node)
        throw LabError(
            ended ? .boot : .notReady,
            "\(node.name) (\(node.address)): \(what): \(ended ? "the container ended" : reason.trimmed)"
                + (await journal(node)),
            remedy: ended
                ? "plain nodes need no containers" : "where a firewall guards bridges, let \(state.bridge ?? "lo") pass"
        )
    }

    private func hasEnded(_ node: LabNode) -> Bool {
        guard let process = LabProcess(file: node.processFile()) else { return false }
        return !process.isRunning
    }

    /// The last words of the node, because its logs go with the lab.
    private func journal(_ node: LabNode) async -> String {
        let log = try? String(contentsOfFile: "\(state.layout.logs)/\(node.name).log", encoding: .utf8)
        // What a process says that dies at once is of no unit where the journal is slow; its number is with it always.
        let units = """
            systemctl --failed --no-legend; journalctl --sync
            number=$(systemctl show -p ExecMainPID etcd)
            journalctl --no-pager -q -n 15 _SYSTEMD_UNIT=etcd.service + "_PID=${number#*=}" + UNIT=etcd.service
            """
        let journal = try? await node.run(units).standardOutput
        let text = ((log ?? "") + (journal ?? "")).trimmed
        return text.isEmpty ? "" : "\n" + text
    }
}
