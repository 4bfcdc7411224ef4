// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// `pawl check` against hosts of which each has one thing wrong with it.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct CheckTests {
        private struct Line: Decodable {
            struct Problem: Decodable {
                var kind: String
                var message: String
                var remedy: String?
                var isWarning: Bool
            }
            var host: String
            var isUsable: Bool
            var problems: [Problem]
        }

        /// What is wrong with a host, and what its line must say of it and of what to do.
        private struct Fault {
            var host: String
            var kind: String
            var words: [String]
        }

        private static let faults = [
            Fault(host: "wrong-key", kind: "authentication", words: ["was not let in", "authorized_keys"]),
            Fault(host: "wrong-user", kind: "authentication", words: ["user stranger was not let in", "ansible_user"]),
            Fault(host: "other-key", kind: "host_key", words: ["THE HOST KEY HAS CHANGED", "ssh-keygen -R"]),
            Fault(host: "closed", kind: "unreachable", words: ["Connection refused", "check the address and port"]),
            Fault(
                host: "unknown",
                kind: "unreachable",
                words: ["nowhere.invalid is not known", "correct ansible_host"]
            ),
            Fault(
                host: "no-etcdctl",
                kind: "etcdctl",
                words: ["no etcdctl (/nowhere/etcdctl)", "install etcd-client"]
            ),
            Fault(host: "etcd1", kind: "clock", words: ["the clock is at least", "behind", "NTP"]),
            Fault(host: "etcd2", kind: "become", words: ["sudo to root asks for the password of admin", "NOPASSWD"]),
            Fault(host: "etcd3", kind: "disk", words: ["the disk is full", "make room"]),
        ]

        @Test func `each kind of fault is one line that says what to do`() async throws {
            let options = LabOptions(limitedDisk: .init(path: "/var/backups/pawl", megabytes: 400))
            try await ClusterFixture.with(options: options) { cluster in
                let well = try await cluster.pawl(["check", "-i", cluster.inventory])
                #expect(well.exitCode == 0, "\(well.all)")
                #expect(well.stdout.hasSuffix("3 hosts, all usable\n"), "\(well.stdout)")
                #expect(!well.stdout.contains("etcd1: "), "\(well.stdout)")

                let inventory = try await Self.breakAll(cluster)
                let output = try await cluster.pawl(["check", "-i", inventory])
                #expect(output.exitCode == 4, "\(output.all)")
                let said = output.stdout.split(separator: "\n")
                for fault in Self.faults {
                    let lines = said.filter { $0.hasPrefix("\(fault.host): ") }
                    #expect(lines.count == 1, "\(fault.host): \(output.stdout)")
                    for word in fault.words {
                        #expect(lines.first?.contains(word) == true, "\(fault.host) lacks '\(word)': \(output.stdout)")
                    }
                }
                let lines = try await cluster.pawl(["check", "-i", inventory] + ClusterFixture.json)
                let decoder = JSONDecoder()
                decoder.keyDecodingStrategy = .convertFromSnakeCase
                let answers = try lines.stdout.split(separator: "\n")
                    .map { try decoder.decode(Line.self, from: Data($0.utf8)) }
                for fault in Self.faults {
                    let answer = try #require(answers.first { $0.host == fault.host })
                    // The way to no etcdctl is another one to the third node.
                    let others = ["no-etcdctl", "etcd3"].contains(fault.host) ? ["same_node"] : []
                    #expect(answer.problems.map(\.kind) == [fault.kind] + others, "\(answer)")
                    #expect(answer.isUsable == (fault.kind == "clock"), "\(answer)")
                    #expect(answer.problems.first?.remedy?.isEmpty == false)
                }
            }
        }

        /// - Returns: an inventory of the three nodes, and of six more ways to the first of them.
        private static func breakAll(_ cluster: ClusterFixture) async throws -> String {
            let address = cluster.nodes[2].address
            let stranger = "\(cluster.directory)/stranger"
            let key = try await Program.run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", stranger])
            try #require(key.exitCode == 0, "\(key.stderr)")
            let record = "\(cluster.directory)/other_known_hosts"
            let publicKey = try String(contentsOfFile: "\(stranger).pub", encoding: .utf8)
            try "\(address) \(publicKey)".write(toFile: record, atomically: true, encoding: .utf8)

            // A container has the clock of its machine, so what tells the time there lies.
            try await cluster.nodes[0].replaceProgram("/usr/bin/date", with: #"exec $ORIGINAL -d '-40 seconds' "$@""#)
            try await cluster.nodes[1].check("mv /etc/sudoers.d/pawl-lab /root/pawl-lab")
            try await cluster.nodes[2].check("fallocate -l 390M /var/backups/pawl/filler")
            return try cluster.inventory("broken.yaml") { text in
                text.replacing(
                    "  hosts:\n",
                    with: """
                          hosts:
                            wrong-key: { ansible_host: \(address), ansible_ssh_private_key_file: \(stranger) }
                            wrong-user: { ansible_host: \(address), ansible_user: stranger }
                            other-key: { ansible_host: \(address), ansible_ssh_args: -o UserKnownHostsFile=\(record) }
                            closed: { ansible_host: \(address), ansible_port: 1 }
                            unknown: { ansible_host: nowhere.invalid }
                            no-etcdctl: { ansible_host: \(address), etcdctl: /nowhere/etcdctl, backup_dir: /var/tmp/x }

                        """
                )
            }
        }
    }
}
