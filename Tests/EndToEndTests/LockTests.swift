// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import Subprocess
import TestSupport
import Testing

extension EndToEnd {
    /// Two controllers, one cluster.
    @Suite(.serialized)
    struct LockTests {
        @Test func `a second controller is told who is at work, and the first is not disturbed`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let second = try await cluster.rollingOrder()[1]
                let first = try await cluster.follow(
                    cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                ) { pawl in
                    let run = try await pawl.wait(for: "the second member") { $0.starts("service", on: second.name) }
                        .run
                    let other = try await cluster.pawl(cluster.otherRunArguments)
                    #expect(other.exitCode == 5, "\(other.all)")
                    for part in [run, "process \(pawl.pid)", "since 20", "reason: run", "pawl unlock"] {
                        #expect(other.stderr.contains(part), "\(part): \(other.stderr)")
                    }
                    // To look takes no lock.
                    let plan = try await cluster.pawl(["plan", "-i", cluster.inventory, ClusterFixture.playbook])
                    #expect(plan.exitCode == 0 || !plan.stderr.contains("lock"), "\(plan.all)")
                }
                #expect(first.exitCode == 0, "\(first.all)")
                try await cluster.expectMigrated()
                try await cluster.expectUnlocked()
            }
        }

        @Test func `of two that are started in the same instant exactly one wins, always`() async throws {
            try await ClusterFixture.with { cluster in
                // Long enough for the other to have come to its lock while this one holds it.
                let playbook = "\(cluster.directory)/pause.yaml"
                let text = "hosts: all\nbecome: true\nsteps:\n  - command: { run: sleep 3, redo: safe }\nserial: all\n"
                try text.write(toFile: playbook, atomically: true, encoding: .utf8)
                for round in 0..<5 {
                    let outputs = try await withThrowingTaskGroup(of: ClusterFixture.Output.self) { group in
                        for number in 0..<2 {
                            group.addTask {
                                try await cluster.pawl(
                                    ["run", "-i", cluster.inventory, playbook, "--yes", "--state"]
                                        + ["\(cluster.directory)/state-\(round)-\(number)"]
                                )
                            }
                        }
                        var outputs: [ClusterFixture.Output] = []
                        for try await output in group { outputs.append(output) }
                        return outputs
                    }
                    #expect(outputs.map(\.exitCode).sorted() == [0, 5], "\(outputs.map(\.all))")
                    try await cluster.expectUnlocked()
                }
            }
        }

        @Test func `a run whose lock is taken over halts before its next change`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let order = try await cluster.rollingOrder()
                let before = try await cluster.traces(of: [order[2]])
                let halted = try await cluster.follow(
                    cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                ) { pawl in
                    try await pawl.wait(for: "the backup") { $0.starts("backup", on: order[1].name) }
                    // The controller stands still while it is thought dead, and comes back to life.
                    pawl.send(SIGSTOP)
                    let unlocked = try await cluster.pawl(
                        cluster.unlockArguments + ["--state", cluster.stateDirectory]
                    )
                    pawl.send(SIGCONT)
                    #expect(unlocked.exitCode == 0, "\(unlocked.all)")
                    #expect(unlocked.stdout.contains("at work on this machine"), "\(unlocked.all)")
                    #expect(unlocked.stdout.contains("noted in its journal"), "\(unlocked.all)")
                }
                #expect(halted.exitCode == 3, "\(halted.all)")
                let report = try halted.report()
                let reason = report.reason ?? ""
                #expect(reason.contains("has lost the lock"), "\(reason)")
                #expect(reason.contains("why not"), "the words of the operator: \(reason)")
                try await cluster.expectUntouched([order[2]], since: before)
                // Nothing was put back under a lock that was lost: the member is down, as the halt left it.
                #expect(try await !cluster.isHealthy(order[1]))
                try await cluster.expectUnlocked()
                try await cluster.expectResumed()
            }
        }

        @Test func `a killed controller of another machine is unlocked by an operator only`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let second = try await cluster.rollingOrder()[1]
                try await cluster.expectKilled(cluster.runArguments(), at: "backup", on: second.name)
                // As if it had been another machine.
                for node in cluster.nodes {
                    let state = cluster.nodeState(node)
                    try await node.check("sed -i 's/^boot=.*/boot=elsewhere/; s/^host=.*/host=ctl9/' \(state)/lock")
                }
                let refused = try await cluster.pawl(cluster.resumeArguments)
                #expect(refused.exitCode == 5, "\(refused.all)")
                #expect(refused.stderr.contains("ctl9"), "\(refused.stderr)")
                let unlocked = try await cluster.pawl(cluster.unlockArguments)
                #expect(unlocked.exitCode == 0, "\(unlocked.all)")
                for node in cluster.nodes {
                    let notes = try await node.check("cat \(cluster.nodeState(node))/unlocks")
                    #expect(notes.contains("@ctl9") && notes.contains("reason=why not"), "\(notes)")
                }
                let again = try await cluster.pawl(cluster.unlockArguments)
                #expect(again.stdout == "nobody holds the lock\n", "\(again.all)")
                try await cluster.expectResumed()
                try await cluster.expectUnlocked()
            }
        }

        @Test func `of two that resume one run in the same instant exactly one goes on`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let first = try await cluster.rollingOrder()[0]
                try await cluster.expectKilled(cluster.runArguments(), at: "backup", on: first.name)
                // Each has a journal of its own and takes the run from the nodes, so both look for the same lock.
                let outputs = try await withThrowingTaskGroup(of: ClusterFixture.Output.self) { group in
                    for number in 0..<2 {
                        let state = "\(cluster.directory)/resumed-\(number)"
                        group.addTask { try await cluster.pawl(["resume", "-i", cluster.inventory, "--state", state]) }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(outputs.map(\.exitCode).sorted() == [0, 5], "\(outputs.map(\.all))")
                try await cluster.expectMigrated()
                try await cluster.expectUnlocked()
            }
        }

        @Test func `a killed controller of this machine is resumed without a word`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let second = try await cluster.rollingOrder()[1]
                try await cluster.expectKilled(cluster.runArguments(), at: "backup", on: second.name)
                let held = try await second.run("cat \(cluster.nodeState(second))/lock")
                #expect(held.standardOutput.contains("reason=run"), "\(held)")
                try await cluster.expectResumed()
                try await cluster.expectUnlocked()
            }
        }
    }
}

extension ClusterFixture {
    /// A controller with a journal of its own, as on another machine.
    fileprivate var otherRunArguments: [String] {
        ["run", "-i", inventory, Self.playbook, "--yes", "--state", "\(directory)/other-state"]
    }

    fileprivate var unlockArguments: [String] { ["unlock", "-i", inventory, "--yes", "--reason", "why not"] }

    /// The directory in which a node keeps its lock.
    fileprivate func nodeState(_ node: LabNode) -> String {
        node.kind == .plain ? "\(node.directory)/state" : "/var/lib/pawl"
    }

    fileprivate func expectUnlocked(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for node in nodes {
            let files = try await node.run("ls -A \(nodeState(node))").standardOutput
            let isFree = !files.split(separator: "\n").contains("lock")
            #expect(isFree, "\(node.name): \(files)", sourceLocation: sourceLocation)
        }
    }
}
