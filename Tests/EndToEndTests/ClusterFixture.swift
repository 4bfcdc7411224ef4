// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import Subprocess
import TestSupport

/// A cluster of real nodes with the real `pawl` beside it: booted nodes as root, plain ones otherwise.
struct ClusterFixture: Sendable {
    /// What one run of `pawl` left.
    typealias Output = Program.Output

    let lab: LabState
    /// A directory of this test's own beside the lab, for plans, state and reports; it goes with the lab.
    let directory: String

    var nodes: [LabNode] { lab.nodes }
    var inventory: String { lab.inventory }
    /// Where the runs of this test are journalled.
    var stateDirectory: String { "\(directory)/state" }

    /// Brings a cluster up, runs the body, and takes the cluster down, also when the body fails.
    static func with<T>(
        nodes: Int = 3,
        options: LabOptions = LabOptions(),
        _ body: (ClusterFixture) async throws -> T
    ) async throws -> T {
        let directory = FileManager.default.temporaryDirectory.path + "/pawl-e2e-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: directory,
            withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700]
        )
        let dir = "\(directory)/lab"
        var options = options
        options.nodes = nodes
        let result: Result<T, any Error>
        do {
            let lab = try await Lab.up(options, dir: dir)
            result = .success(try await body(ClusterFixture(lab: lab, directory: directory)))
        } catch {
            result = .failure(error)
        }
        // Cancelled or not, the nodes go: a task of its own does not inherit the cancellation of the test.
        try await Task { try await Lab.down(dir: dir) }.value
        try FileManager.default.removeItem(atPath: directory)
        return try result.get()
    }

    /// Writes v2 data through the first node.
    @discardableResult
    func seed(_ seed: LabSeed = LabSeed(keys: 200)) async throws -> LabSeed.Written {
        try await seed.write(to: lab)
    }

    func node(_ name: String) throws -> LabNode {
        guard let node = nodes.first(where: { $0.name == name }) else {
            throw LabError(.options, "no node is called '\(name)'")
        }
        return node
    }

    // MARK: - Programs

    /// Runs `pawl` to its end.
    func pawl(_ arguments: [String], environment: [Environment.Key: String?] = [:]) async throws -> Output {
        try await pawl(arguments, environment: environment) { _ in }
    }

    /// Runs `pawl` to its end and meanwhile the closure, which gets its process id and may send it a signal.
    func pawl(
        _ arguments: [String],
        environment: [Environment.Key: String?] = [:],
        meanwhile: @Sendable (pid_t) async throws -> Void
    ) async throws -> Output {
        try await run(Self.binary, arguments, environment: environment, meanwhile: meanwhile)
    }

    /// Runs the check of v2 against v3 that knows nothing of pawl; it ends with 0 when all members are right.
    func compareV2V3() async throws -> Output {
        try await run(Self.repository + "/scripts/compare-v2-v3", [lab.directory])
    }

    /// Runs a command on a node over SSH, as the user of the inventory.
    func ssh(_ node: LabNode, _ command: String) async throws -> Output {
        let arguments = [
            "-n", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "IdentitiesOnly=yes",
            "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=\(lab.layout.knownHosts)",
            "-i", lab.layout.privateKey, "-p", "\(node.sshPort)", "\(node.user)@\(node.address)", command,
        ]
        return try await run("/usr/bin/ssh", arguments)
    }

    /// Runs etcdctl of the v3 API on a node, against the node's own member.
    func etcdctl(_ node: LabNode, _ arguments: String) async throws -> Output {
        let words = (["--endpoints=\(node.clientURL)"] + node.etcdctlWords).joined(separator: " ")
        let output = try await node.run("ETCDCTL_API=3 etcdctl \(words) \(arguments)")
        return Output(exitCode: output.exitCode, stdout: output.standardOutput, stderr: output.standardError)
    }

    func run(
        _ program: String,
        _ arguments: [String],
        environment: [Environment.Key: String?] = [:],
        meanwhile: @Sendable (pid_t) async throws -> Void = { _ in }
    ) async throws -> Output {
        try await Program.run(program, arguments, in: directory, environment: environment, meanwhile: meanwhile)
    }

    // MARK: - Files of the repository

    /// The top of the repository, from where this file was compiled.
    static let repository: String = {
        var url = URL(filePath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url.path
    }()

    /// What `swift build` made, or the binary that `PAWL_BINARY` names.
    static let binary = ProcessInfo.processInfo.environment["PAWL_BINARY"] ?? repository + "/.build/debug/pawl"

    static let playbook = repository + "/playbooks/migrate_etcd_v2_to_v3.yaml"
    /// The one whose `etcdctl migrate` runs while the member is out.
    static let inPlace = repository + "/playbooks/migrate_etcd_v2_to_v3_in_place.yaml"
    /// The one that migrates one member, and adds the others to it.
    static let reseed = repository + "/playbooks/migrate_etcd_v2_to_v3_reseed.yaml"
    /// The one that stops all members.
    static let stopped = repository + "/playbooks/migrate_etcd_v2_to_v3_stopped.yaml"
}
