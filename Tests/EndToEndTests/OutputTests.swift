// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import Subprocess
import TestSupport
import Testing

extension EndToEnd {
    /// What becomes of a command when nobody takes what it prints.
    @Suite(.serialized)
    struct OutputTests {
        private func shell(_ script: String, _ arguments: [String] = []) async throws -> Program.Output {
            try await Program.run("/bin/sh", ["-c", script, ClusterFixture.binary] + arguments)
        }

        @Test func `a result that cannot be written is no success`() async throws {
            let full = try await shell("exec \"$0\" actions >/dev/full")
            #expect(full.exitCode == 74, "\(full)")
            #expect(full.stderr == "error: not all could be written to stdout: No space left on device\n")
            let inventory = FileManager.default.temporaryDirectory.path + "/pawl-nowhere-\(UUID().uuidString)"
            try "n1 ansible_host=127.0.0.1 ansible_port=1\n".write(toFile: inventory, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: inventory) }
            for format in ["text", "json"] {
                let exec = try await shell(
                    "exec \"$0\" \"$@\" >/dev/full",
                    ["exec", "-i", inventory, "--format", format, "true"]
                )
                // What became of the host counts.
                #expect(exec.exitCode == 4, "\(exec)")
                #expect(exec.stderr.contains("warning: not all could be written to stdout"), "\(exec)")
            }
            // Whoever closed it does not want it, and it is not what is opened next.
            let closed = try await shell("exec \"$0\" actions >&- 2>&-")
            #expect(closed.exitCode == 0, "\(closed)")
            let mute = try await shell("exec \"$0\" inventory -i nowhere --list 2>/dev/full")
            #expect(mute.exitCode == 65, "\(mute)")
        }

        @Test(arguments: [
            ("exec \"$0\" \"$@\" >/dev/full", "No space left on device"),
            (
                "{ \"$0\" \"$@\"; echo $? >&3; } 3>\"$PAWL_CODE\" | head -n 1; exit \"$(cat \"$PAWL_CODE\")\"",
                "Broken pipe"
            ),
        ])
        func `a run goes on where nobody takes what it prints`(_ script: String, _ why: String) async throws {
            try await ClusterFixture.with(nodes: 1, options: LabOptions(kind: .plain)) { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let output = try await Program.run(
                    "/bin/sh",
                    ["-c", script, ClusterFixture.binary] + cluster.runArguments(),
                    environment: ["PAWL_CODE": "\(cluster.directory)/code"]
                )
                #expect(output.exitCode == 0, "\(output)")
                #expect(output.stderr.contains("warning: not all could be written to stdout: \(why)"), "\(output)")
                try await cluster.expectMigrated()
            }
        }

        /// The shell and the kernel both send it.
        @Test func `a terminal that is closed brings the run to a safe point`() async throws {
            try await withSlowCopy { cluster, node in
                let arguments = cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                let output = try await cluster.follow(arguments) { pawl in
                    try await pawl.wait(for: "the copy") { $0.starts("etcd_prepare", on: node.name) }
                    pawl.send(SIGHUP)
                    try await pawl.wait(forMessage: "safe point")
                    pawl.send(SIGHUP)
                }
                #expect(output.exitCode == 130, "\(output.all)")
                #expect(!output.stderr.contains("no longer waiting"), "\(output.all)")
                try await cluster.expectResumed()
            }
        }

        @Test func `under nohup a terminal that is closed is nothing to the run`() async throws {
            try await withSlowCopy { cluster, node in
                let arguments = cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                let output = try await cluster.follow(arguments, by: "trap '' HUP; exec") { pawl in
                    try await pawl.wait(for: "the copy") { $0.starts("etcd_prepare", on: node.name) }
                    pawl.send(SIGHUP)
                }
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
            }
        }

        /// A cluster of one member, whose migration takes two seconds longer.
        private func withSlowCopy(_ body: (ClusterFixture, LabNode) async throws -> Void) async throws {
            try await ClusterFixture.with(nodes: 1, options: LabOptions(kind: .plain)) { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let node = try #require(cluster.nodes.first)
                try await node.replaceProgram(
                    "/usr/bin/etcdctl",
                    with: #"case "$*" in *migrate*--help*) ;; *migrate*) sleep 2 ;; esac; exec $ORIGINAL "$@""#
                )
                try await body(cluster, node)
            }
        }
    }
}
