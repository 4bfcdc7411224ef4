// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What is asked at a terminal, and what the keys do there.
    struct TerminalTests {
        /// An inventory of a host that is nowhere, and a playbook for it.
        private static func with(_ body: (_ directory: String) async throws -> Void) async throws {
            let directory = FileManager.default.temporaryDirectory.path + "/pawl-terminal-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            try "n1 ansible_host=127.0.0.1 ansible_port=1\n".write(
                toFile: directory + "/hosts",
                atomically: true,
                encoding: .utf8
            )
            try "name: Nothing\nhosts: all\nsteps:\n  - command: { run: 'true', redo: safe }\n".write(
                toFile: directory + "/book.yaml",
                atomically: true,
                encoding: .utf8
            )
            try await body(directory)
        }

        @Test(
            arguments: [
                ["exec", "true"], ["check"], ["plan", "book.yaml"], ["run", "book.yaml", "--state", "state"],
                ["run", "book.yaml", "--state", "state", "--each", "all"],
            ],
            [("\u{3}", SIGINT), ("\u{1c}", SIGQUIT), ("half\u{3}", SIGINT)]
        )
        func `a key that ends a program ends it at the question for a password`(
            _ words: [String],
            _ key: (typed: String, signal: Int32)
        ) async throws {
            try await Self.with { directory in
                let arguments = [words[0], "-i", "hosts", "-K"] + words.dropFirst()
                let output = try await ProgramAtTerminal.run(ClusterFixture.binary, arguments, in: directory) {
                    terminal in
                    try await terminal.wait(for: "BECOME password: ")
                    #expect(!terminal.isEchoing)
                    terminal.type(key.typed)
                    try await terminal.waitForEcho()
                }
                #expect(output.exitCode == 128 + Int(key.signal), "\(output.stdout)")
                #expect(!output.stdout.contains("half"))
                #expect(!FileManager.default.fileExists(atPath: directory + "/state"))
            }
        }

        @Test func `what is typed is not shown, and taken with the first Return`() async throws {
            try await Self.with { directory in
                let arguments = ["exec", "-i", "hosts", "-k", "-K", "true"]
                let output = try await ProgramAtTerminal.run(ClusterFixture.binary, arguments, in: directory) {
                    terminal in
                    try await terminal.wait(for: "SSH password: ")
                    terminal.type("first secret\r")
                    try await terminal.wait(for: "BECOME password[defaults to SSH password]: ")
                    terminal.type("second secret\r")
                }
                // The host is nowhere.
                #expect(output.exitCode != 0 && output.stdout.contains("n1"), "\(output.stdout)")
                #expect(!output.stdout.contains("secret"), "\(output.stdout)")
            }
        }

        @Test func `Return alone is the password that was typed before, and none at the first question`() async throws {
            try await Self.with { directory in
                for answers in [["first secret\r", "\r"], ["\r"]] {
                    let output = try await ProgramAtTerminal.run(
                        ClusterFixture.binary,
                        ["exec", "-i", "hosts", "-k", "-K", "true"],
                        in: directory
                    ) { terminal in
                        for (question, answer) in zip(["SSH password: ", "to SSH password]: "], answers) {
                            try await terminal.wait(for: question)
                            terminal.type(answer)
                        }
                    }
                    let isAnswered = answers.count == 2
                    #expect(output.stdout.contains("not begun, not reached") == isAnswered, "\(output.stdout)")
                    #expect(output.stdout.contains("`SSH password:` is empty") != isAnswered, "\(output.stdout)")
                }
            }
        }

        /// Objects and the progress would stand in one line.
        @Test func `objects have the terminal for themselves`() async throws {
            try await Self.with { directory in
                let output = try await ProgramAtTerminal.run(
                    ClusterFixture.binary,
                    ["exec", "-i", "hosts", "--format", "json", "true"],
                    in: directory
                ) { _ in }
                #expect(output.stdout.hasPrefix("{"), "\(output.stdout)")
            }
        }

        @Test func `where there is no answer, nothing is begun`() async throws {
            try await Self.with { directory in
                let output = try await ProgramAtTerminal.run(
                    ClusterFixture.binary,
                    ["exec", "-i", "hosts", "-K", "true"],
                    in: directory
                ) { terminal in
                    try await terminal.wait(for: "BECOME password: ")
                    terminal.type("\u{4}")
                }
                #expect(output.exitCode == 65 && output.stdout.contains("was not answered"), "\(output.stdout)")
            }
        }
    }
}
