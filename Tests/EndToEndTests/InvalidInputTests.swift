// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Files that are wrong are refused before anything is contacted.
    ///
    /// No address of the inventories answers, so a command that contacted one would wait, and fail with another code.
    @Suite(.serialized)
    struct InvalidInputTests {
        private static let inventory = """
            etcd:
              hosts:
                etcd1: { ansible_host: 192.0.2.1 }
                etcd2: { ansible_host: 192.0.2.2 }
              vars: { ansible_user: admin }

            """
        private static let playbook = """
            name: Restart
            hosts: etcd
            steps:
              - name: Restart etcd
                service: { name: etcd, state: restarted }

            """

        struct Case: Sendable, CustomTestStringConvertible {
            var testDescription: String
            var inventory = InvalidInputTests.inventory
            var playbook: String? = InvalidInputTests.playbook
            /// Each stands on stderr.
            var expected: [String]
        }

        static let cases = [
            Case(
                testDescription: "an unknown key of a playbook",
                playbook: playbook.replacing("hosts: etcd", with: "hosts: etcd\nseriel: 1"),
                expected: ["playbook.yaml:3:1", "seriel", "serial"]
            ),
            Case(
                testDescription: "an unknown parameter of an action",
                playbook: playbook.replacing("state:", with: "stat:"),
                expected: ["playbook.yaml:5:", "stat", "state"]
            ),
            Case(
                testDescription: "an undefined variable",
                playbook: playbook.replacing("name: etcd,", with: "name: \"{{ etcd_servise }}\","),
                expected: ["playbook.yaml:5:", "etcd_servise"]
            ),
            Case(
                testDescription: "a host that is there twice",
                inventory: inventory.replacing(
                    "    etcd2:",
                    with: "    etcd1: { ansible_host: 192.0.2.3 }\n    etcd2:"
                ),
                expected: ["inventory.yaml:4:5", "etcd1"]
            ),
            Case(testDescription: "a missing playbook", playbook: nil, expected: ["playbook.yaml"]),
            Case(
                testDescription: "a port that is none",
                inventory: inventory.replacing(
                    "ansible_host: 192.0.2.2",
                    with: "ansible_host: 192.0.2.2, ansible_port: 99999"
                ),
                expected: ["inventory.yaml:4:", "99999"]
            ),
            Case(
                testDescription: "a tab in a playbook",
                playbook: playbook.replacing("    service", with: "\tservice"),
                expected: ["playbook.yaml:5:", "tab"]
            ),
            Case(
                testDescription: "a tab in an inventory",
                inventory: inventory.replacing("    etcd2", with: "\tetcd2"),
                expected: ["inventory.yaml:4:", "tab"]
            ),
            Case(testDescription: "an inventory without hosts", inventory: "", expected: ["inventory.yaml"]),
            Case(
                testDescription: "a pattern that matches no host",
                playbook: playbook.replacing("hosts: etcd", with: "hosts: etcds"),
                expected: ["playbook.yaml:2:8", "etcds"]
            ),
        ]

        @Test(arguments: ["plan", "run"], cases)
        func `input that is wrong is refused at its place and nothing is contacted`(
            command: String,
            input: Case
        ) async throws {
            let output = try await Self.pawl(input) { inventory, playbook in
                [command, "-i", inventory, playbook] + (command == "run" ? ["--yes"] : [])
            }
            #expect(output.exitCode == 65, "\(output.stderr)")
            #expect(output.stdout.isEmpty)
            for text in input.expected { #expect(output.stderr.contains(text), "\(output.stderr)") }
            // A report on the file as a whole has no column.
            let place = /[a-z]+\.yaml:[0-9]+:[0-9]+/
            let hasPlace = input.expected.contains { $0.contains(":") }
            #expect(!hasPlace || output.stderr.contains(place), "\(output.stderr)")
            #expect(output.elapsed < .seconds(2), "\(output.elapsed)")
        }

        @Test func `everything that is wrong is said at once`() async throws {
            let broken = Self.playbook.replacing("hosts: etcd", with: "hosts: etcd\nseriel: 1")
                .replacing("state: restarted", with: "state: restartet")
            let output = try await Self.pawl(.init(testDescription: "two", playbook: broken, expected: [])) {
                ["plan", "-i", $0, $1]
            }
            #expect(output.exitCode == 65)
            #expect(output.stderr.contains("playbook.yaml:3:1"), "\(output.stderr)")
            #expect(output.stderr.contains("restartet"), "\(output.stderr)")
        }

        @Test func `a run without a terminal and without yes is refused`() async throws {
            let output = try await Self.pawl(.init(testDescription: "", expected: [])) { ["run", "-i", $0, $1] }
            #expect(output.exitCode == 64, "\(output.stderr)")
            #expect(output.stderr.contains("--yes"))
        }

        @Test func `a run that nobody knows cannot be resumed`() async throws {
            let output = try await Self.pawl(.init(testDescription: "", expected: [])) { inventory, _ in
                ["resume", "--state", inventory + ".state"]
            }
            #expect(output.exitCode == 64, "\(output.stderr)")
        }

        private struct Timed {
            var exitCode: Int
            var stdout: String
            var stderr: String
            var elapsed: Duration
        }

        /// Writes the files of a case and runs pawl on them.
        private static func pawl(_ input: Case, _ arguments: (String, String) -> [String]) async throws -> Timed {
            let directory = FileManager.default.temporaryDirectory.path + "/pawl-e2e-\(UUID().uuidString.prefix(8))"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let inventory = "\(directory)/inventory.yaml"
            let playbook = "\(directory)/playbook.yaml"
            try input.inventory.write(toFile: inventory, atomically: true, encoding: .utf8)
            try input.playbook?.write(toFile: playbook, atomically: true, encoding: .utf8)
            let started = ContinuousClock.now
            let output = try await Program.run(
                ClusterFixture.binary,
                arguments(inventory, playbook),
                in: directory
            )
            return Timed(
                exitCode: output.exitCode,
                stdout: output.stdout,
                stderr: output.stderr,
                elapsed: ContinuousClock.now - started
            )
        }
    }
}
