// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import Subprocess
import TestSupport
import Testing

extension EndToEnd {
    /// `pawl exec` over real nodes.
    @Suite(.serialized)
    struct ExecTests {
        private struct Line: Decodable {
            struct Failure: Decodable {
                var code: String
                var message: String
                var remedy: String?
            }
            var host: String
            var exitCode: Int?
            var stdout: String?
            var stderr: String?
            var durationSeconds: Double
            var error: Failure?
        }

        private static func lines(_ output: ClusterFixture.Output) throws -> [String: Line] {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let lines = try output.stdout.split(separator: "\n").map {
                try decoder.decode(Line.self, from: Data($0.utf8))
            }
            return Dictionary(uniqueKeysWithValues: lines.map { ($0.host, $0) })
        }

        /// The lab's inventory with a member where nobody listens.
        private static func inventoryWithDead(_ cluster: ClusterFixture) throws -> String {
            try cluster.inventory("with-dead.yaml") { text in
                text.replacing("  hosts:\n", with: "  hosts:\n    dead: { ansible_host: 127.0.0.1, ansible_port: 1 }\n")
            }
        }

        @Test func `equal answers stand together, and the exit code says whether anything was begun`() async throws {
            try await ClusterFixture.with(options: LabOptions(kind: .plain)) { cluster in
                let good = try await cluster.pawl(["exec", "-i", cluster.inventory, "echo same; echo word >&2"])
                #expect(good.exitCode == 0, "\(good.all)")
                #expect(
                    good.stdout
                        == "etcd[1-3] (3 hosts): exit code 0\n  same\n  stderr: word\n\n3 hosts: 3 ok\n",
                    "\(good.stdout)"
                )
                #expect(good.stderr.isEmpty, "what is quick says nothing: \(good.stderr)")

                let inventory = try Self.inventoryWithDead(cluster)
                let some = try await cluster.pawl([
                    "exec", "-i", inventory, "test $(uname -s) = Linux || exit 3; exit 7",
                ])
                #expect(some.exitCode == 3, "\(some.all)")
                #expect(some.stdout.contains("etcd[1-3] (3 hosts): exit code 7\n"), "\(some.stdout)")
                #expect(some.stdout.contains("dead: not begun, not reached\n"), "\(some.stdout)")
                #expect(some.stdout.hasSuffix("4 hosts: 0 ok, 3 failed (3 with exit code 7), 1 not reached\n"))

                let none = try await cluster.pawl(
                    ["exec", "-i", inventory, "-l", "dead", "true"] + ClusterFixture.json
                )
                #expect(none.exitCode == 4, "\(none.all)")
                let dead = try #require(try Self.lines(none)["dead"])
                #expect(dead.error?.code == "unreachable" && dead.error?.remedy != nil && dead.exitCode == nil)
            }
        }

        @Test func `the command line reaches the shell of the node as it is`() async throws {
            try await ClusterFixture.with(nodes: 1, options: LabOptions(kind: .plain)) { cluster in
                let odd = #"it's "$HOME" `id` \ ! * | ü % # {a,b}"#
                let line = "cat <<'END'\n\(odd)\nEND\nread -r x || echo no input >&2; exit 9"
                let output = try await cluster.pawl(["exec", "-i", cluster.inventory, line] + ClusterFixture.json)
                let answer = try #require(try Self.lines(output)["etcd1"])
                #expect(answer.stdout == odd + "\n")
                #expect(answer.stderr == "no input\n")
                #expect(answer.exitCode == 9 && answer.durationSeconds > 0)
                #expect(output.exitCode == 3)
            }
        }

        @Test func `a command whose end nobody saw is in doubt and not sent again`() async throws {
            try await ClusterFixture.with(nodes: 1, options: LabOptions(kind: .plain)) { cluster in
                let file = "\(cluster.directory)/count"
                // The parent is the session's sshd: with it goes the connection.
                let line = "echo begun >>\(file); kill -9 $PPID; sleep 5"
                let output = try await cluster.pawl(["exec", "-i", cluster.inventory, line] + ClusterFixture.json)
                #expect(try Self.lines(output)["etcd1"]?.error?.code == "inDoubt", "\(output.all)")
                #expect(output.exitCode == 3)
                #expect(try String(contentsOfFile: file, encoding: .utf8) == "begun\n")
            }
        }

        @Test func `a signal begins no further host and tells those at work as in doubt`() async throws {
            try await ClusterFixture.with(options: LabOptions(kind: .plain)) { cluster in
                let began = "\(cluster.directory)/began"
                let command = ["exec", "-i", cluster.inventory, "--forks", "1", "touch \(began).$$; sleep 20"]
                let started = ContinuousClock.now
                let output = try await cluster.follow(command + ClusterFixture.json) { pawl in
                    try await cluster.waitForFile(in: cluster.directory, beginning: "began.")
                    pawl.send(SIGINT)
                }
                #expect(ContinuousClock.now - started < .seconds(15))
                #expect(output.exitCode == 130, "\(output.all)")
                let lines = try Self.lines(output)
                #expect(lines["etcd1"]?.error?.code == "inDoubt", "\(output.all)")
                #expect(lines["etcd2"]?.error?.code == "interrupted" && lines["etcd3"]?.error?.code == "interrupted")
                #expect(output.stderr.contains("no further host is begun"))
            }
        }

        @Test(.enabled("needs booted nodes") { geteuid() == 0 })
        func `-b runs it as root, and the inventory has the last word`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                func user(_ arguments: [String], _ inventory: String) async throws -> String {
                    let output = try await cluster.pawl(["exec", "-i", inventory, "id -un"] + arguments)
                    return output.stdout
                }
                // The lab's inventory says `ansible_become: true`.
                let open = try cluster.inventory("open.yaml") { $0.replacing("    ansible_become: true\n", with: "") }
                let never = try cluster.inventory("never.yaml") { $0.replacing("become: true", with: "become: false") }
                let login = try #require(cluster.nodes.first).user
                #expect(try await user([], open).contains("  \(login)\n"))
                #expect(try await user(["-b"], open).contains("  root\n"))
                #expect(try await user(["-b", "--become-user", "etcd"], open).contains("  etcd\n"))
                #expect(try await user([], cluster.inventory).contains("  root\n"))
                #expect(try await user(["-b"], never).contains("  \(login)\n"))
            }
        }

        @Test func `a hundred hosts are done by few threads, and none fails`() async throws {
            // The script starts a real sshd for each address, and ends with 1 where threads or failures are too many.
            let output = try await Program.run(
                "\(ClusterFixture.repository)/scripts/bench-hosts",
                ["--hosts", "100"],
                environment: ["PAWL_BINARY": ClusterFixture.binary]
            )
            #expect(output.exitCode == 0, "\(output.stdout)\(output.stderr)")
            #expect(output.stdout.contains("100 hosts in"), "\(output.stdout)")
        }
    }
}

extension ClusterFixture {
    /// Waits until a file is there whose name begins so.
    fileprivate func waitForFile(in directory: String, beginning: String) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while try !FileManager.default.contentsOfDirectory(atPath: directory).contains(where: {
            $0.hasPrefix(beginning)
        }) {
            if ContinuousClock.now > deadline { throw LabError(.notReady, "no \(beginning)… in \(directory)") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
