// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

/// The command lines of a test, and what must be true of a cluster.
extension ClusterFixture {
    func runArguments(_ playbook: String = Self.playbook, _ more: [String] = [], inventory: String? = nil) -> [String] {
        ["run", "-i", inventory ?? self.inventory, playbook, "--yes", "--state", stateDirectory] + more
    }

    var resumeArguments: [String] { ["resume", "--state", stateDirectory] }
    var rollbackArguments: [String] { ["rollback", "--yes", "--state", stateDirectory] }
    static let json = ["--format", "json"]

    /// The nodes in the order in which a run would change them.
    func rollingOrder(inventory: String? = nil) async throws -> [LabNode] {
        struct Plan: Decodable { var hosts: [String] }
        let output = try await pawl(["plan", "-i", inventory ?? self.inventory, Self.playbook] + Self.json)
        try #require(output.exitCode == 0, "\(output.stderr)")
        return try JSONDecoder().decode(Plan.self, from: Data(output.stdout.utf8)).hosts.map(node)
    }

    /// A copy of a playbook with something replaced; the text to be replaced must be there.
    func editedPlaybook(
        _ original: String = Self.playbook,
        _ name: String = "edited.yaml",
        replacing replacements: [(String, String)]
    ) throws -> String {
        var text = try String(contentsOfFile: original, encoding: .utf8)
        for (old, new) in replacements {
            try #require(text.contains(old), "the playbook has no '\(old)'")
            text = text.replacing(old, with: new)
        }
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    // MARK: - What a member is like

    /// Tells one process of etcd from the next, however often the unit was started.
    func instance(of node: LabNode) async throws -> String {
        if node.kind == .plain { return try await node.check("cat \(node.directory)/etcd.pid") }
        return try await node.check("systemctl show -p InvocationID -p MainPID etcd")
    }

    /// What tells a member that was touched from one that was not.
    struct Trace: Hashable, Sendable {
        var instance: String
        var revision: Int
        var backups: String
    }

    func trace(of node: LabNode) async throws -> Trace {
        // What is copied ahead of the stop is no backup yet.
        let backups = try await node.run("ls -A -I '*.ahead' \(node.backupDirectory) 2>/dev/null").standardOutput
        return Trace(instance: try await instance(of: node), revision: try await revision(of: node), backups: backups)
    }

    func traces(of nodes: [LabNode]) async throws -> [Trace] {
        var traces: [Trace] = []
        for node in nodes { traces.append(try await trace(of: node)) }
        return traces
    }

    /// The revision of the v3 store; 1 is a store that nothing was written to.
    func revision(of node: LabNode) async throws -> Int {
        struct Entry: Decodable {
            struct Status: Decodable {
                struct Header: Decodable { var revision: Int? }
                var header: Header
            }
            var status: Status
            enum CodingKeys: String, CodingKey { case status = "Status" }
        }
        let output = try await etcdctl(node, "endpoint status -w json")
        try #require(output.exitCode == 0, "\(node.name): \(output.stderr)")
        let entries = try JSONDecoder().decode([Entry].self, from: Data(output.stdout.utf8))
        return entries.first?.status.header.revision ?? 0
    }

    /// The hash of the v3 store at its revision.
    func hashKV(of node: LabNode) async throws -> String {
        let output = try await etcdctl(node, "endpoint hashkv")
        try #require(output.exitCode == 0, "\(node.name): \(output.stderr)")
        let parts = output.stdout.split(separator: ",")
        return (parts.last.map(String.init) ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func isHealthy(_ node: LabNode) async throws -> Bool {
        try await etcdctl(node, "endpoint health").exitCode == 0
    }

    /// Writes one key through the v2 API of a node.
    func putV2(_ node: LabNode, _ key: String, _ value: String, ttl: Int? = nil) async throws {
        let ttl = ttl.map { " -d ttl=\($0)" } ?? ""
        try await curl(node, "-o /dev/null -X PUT '\(node.clientURL)/v2/keys\(key)' -d 'value=\(value)'\(ttl)")
    }

    /// What a member answers; it must not be a refusal.
    @discardableResult
    func curl(_ node: LabNode, _ words: String) async throws -> String {
        let curl = ["curl", "-sS", "--fail", "--noproxy", "'*'"] + node.curlWords
        return try await node.check((curl + [words]).joined(separator: " "))
    }

    // MARK: - What must be true

    /// The cluster is migrated: every member healthy, all v3 stores the same, and each the same as v2.
    func expectMigrated(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let comparison = try await compareV2V3()
        #expect(comparison.exitCode == 0, "\(comparison.stdout)\(comparison.stderr)", sourceLocation: sourceLocation)
        var hashes: Set<String> = []
        for node in nodes {
            #expect(try await isHealthy(node), "\(node.name)", sourceLocation: sourceLocation)
            hashes.insert(try await hashKV(of: node))
            let unit = try await node.run("systemctl show -p DropInPaths etcd; ls /etc/systemd/system/etcd.service.d")
            if node.kind == .booted {
                #expect(!unit.standardOutput.contains("pawl"), "\(node.name) is held", sourceLocation: sourceLocation)
            }
        }
        #expect(hashes.count == 1, "\(hashes)", sourceLocation: sourceLocation)
    }

    /// Every member is healthy, holds nothing in v3, and all hold the same keys in v2.
    func expectServingV2(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        var stores: Set<String> = []
        for node in nodes {
            #expect(try await isHealthy(node), "\(node.name)", sourceLocation: sourceLocation)
            #expect(try await revision(of: node) == 1, "\(node.name)", sourceLocation: sourceLocation)
            let listing = try await curl(node, "'\(node.clientURL)/v2/keys/?recursive=true&sorted=true'")
            // The seconds that are left go on between two members.
            stores.insert(listing.replacing(#/"ttl":\d+/#, with: ""))
        }
        #expect(stores.count == 1, sourceLocation: sourceLocation)
    }

    /// Everything that was changed is taken back: all members serve v2 alone, and nothing of pawl's is left.
    func expectBack(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await expectServingV2(sourceLocation: sourceLocation)
        for node in nodes {
            let left = try await node.run(
                "ls \(node.dataDirectory)/member/snap | grep pawl; ls /etc/systemd/system/etcd.service.d /var/lib/pawl/service/*.hold"
            )
            #expect(left.standardOutput == "", "\(node.name)", sourceLocation: sourceLocation)
        }
    }

    /// Takes the newest run back.
    func expectTakenBack(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let back = try await pawl(rollbackArguments)
        #expect(back.exitCode == 0, "\(back.all)", sourceLocation: sourceLocation)
        try await expectBack(sourceLocation: sourceLocation)
    }

    /// Migrates members that are set up in another way than the lab's, of which a plan finds this out, and takes them back.
    func expectMigratedAndTakenBack(
        inventory: String,
        finding words: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let plan = try await pawl(["plan", "-i", inventory, Self.playbook])
        for word in words { #expect(plan.stdout.contains(word), "\(plan.all)", sourceLocation: sourceLocation) }
        let output = try await pawl(runArguments(inventory: inventory))
        #expect(output.exitCode == 0, "\(output.all)", sourceLocation: sourceLocation)
        try await expectMigrated(sourceLocation: sourceLocation)
        try await expectTakenBack(sourceLocation: sourceLocation)
    }

    /// Members that no run has touched.
    func expectUntouched(
        _ nodes: [LabNode],
        since before: [Trace],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(try await traces(of: nodes) == before, sourceLocation: sourceLocation)
        for trace in before { #expect(trace.revision == 1, sourceLocation: sourceLocation) }
    }

    /// Goes on with the run, and expects that it ends with everything done.
    func expectResumed(_ more: [String] = [], sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let resumed = try await pawl(resumeArguments + more)
        #expect(resumed.exitCode == 0, "\(resumed.stdout)\(resumed.stderr)", sourceLocation: sourceLocation)
        try await expectMigrated(sourceLocation: sourceLocation)
    }
}

extension Program.Output {
    /// Stdout as events; each line must be one.
    func events() throws -> [EventLine] { try EventLine.all(in: stdout) }

    /// The report of the last event.
    func report() throws -> EventLine.Report {
        let last = try #require(try events().last, "\(stderr)")
        return try #require(last.report, "the last event is \(last.event): \(stderr)")
    }

    /// Both streams, for the comment of an expectation.
    var all: String { stdout + stderr }
}
