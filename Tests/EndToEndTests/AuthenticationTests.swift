// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// A v3 API that wants a user with a password.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct AuthenticationTests {
        private static let password = "a-Secret:of \"the\" lab"
        private static let file = "/etc/etcd-root-password"

        private static func turnOn(_ cluster: ClusterFixture) async throws {
            for node in cluster.nodes {
                try await node.check("umask 077; printf '%s\\n' '\(password)' >\(file)")
            }
            for line in ["user add 'root:\(password)'", "user grant-role root root", "auth enable"] {
                let output = try await cluster.etcdctl(cluster.nodes[0], line)
                try #require(output.exitCode == 0, "\(output.all)")
            }
        }

        /// An inventory with the user, and with the password in this file on the nodes.
        private static func inventory(_ cluster: ClusterFixture, _ file: String = file) throws -> String {
            let path = "\(cluster.directory)/inventory-\(file.replacing("/", with: "-")).yaml"
            let text = try String(contentsOfFile: cluster.inventory, encoding: .utf8)
            try (text + "    etcd_auth_user: root\n    etcd_auth_password_file: \(file)\n")
                .write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }

        @Test func `a cluster with authentication on is migrated as root, and nothing shows the password`() async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                try await cluster.putV2(cluster.nodes[0], "/_hidden", "secret place")
                try await Self.turnOn(cluster)
                let refused = try await cluster.pawl(cluster.runArguments())
                #expect(refused.exitCode == 4 && refused.all.contains("[v3_auth]"), "\(refused.all)")
                for node in cluster.nodes { try await node.check("umask 077; echo wrong >/etc/etcd-wrong-password") }
                let wrong = try await cluster.pawl(
                    cluster.runArguments(inventory: Self.inventory(cluster, "/etc/etcd-wrong-password"))
                )
                #expect(wrong.exitCode == 4 && wrong.all.contains("invalid user ID or password"), "\(wrong.all)")

                for node in cluster.nodes { try await Self.watchCommandLines(on: node) }
                let inventory = try Self.inventory(cluster)
                let words = ["-v", "-e", "hidden_keys=copy", "-e", "canary=each"]
                let run = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.playbook, words, inventory: inventory)
                )
                #expect(run.exitCode == 0, "\(run.all)")
                let verified = try await cluster.pawl(["verify", "-i", inventory, ClusterFixture.playbook])
                #expect(verified.exitCode == 0, "\(verified.all)")
                // The watch ends first: the test's own command lines have the password.
                for node in cluster.nodes {
                    let seen = try await node.check("touch /run/enough; cat /run/seen")
                    #expect(seen.contains("etcdctl") && seen.contains("curl"), "\(node.name): too little was seen")
                    let shown = seen.split(separator: "\n").filter { $0.contains(Self.password) }
                    #expect(shown.isEmpty, "\(shown)")
                }
                for output in [refused, wrong, run, verified] { #expect(!output.all.contains(Self.password)) }
                for node in cluster.nodes {
                    let got = try await Self.asRoot(node, "get /_hidden --print-value-only --consistency=s")
                    #expect(got == "secret place\n")
                    #expect(try await Self.asRoot(node, "user list") == "root\n", "authentication stays as it is")
                    let open = try await cluster.etcdctl(node, "get /_hidden")
                    #expect(open.exitCode != 0 && open.all.contains("user name is empty"), "\(open.all)")
                    // Nothing that is left there has it but the file itself, and the WAL, where etcd writes it.
                    let found = try await node.run(
                        "grep -rlF --exclude='*.wal' -e '\(Self.password)' /var/lib/pawl /var/backups /var/log /tmp /root"
                    )
                    #expect(found.standardOutput.isEmpty, "\(node.name): \(found.standardOutput)")
                }
                let kept = try await cluster.run("/usr/bin/grep", ["-rlF", Self.password, cluster.stateDirectory])
                #expect(kept.exitCode == 1, "\(kept.stdout)")
            }
        }

        /// Writes down in a loop what `ps` shows of curl and etcdctl on the node, where the test looks for the password.
        private static func watchCommandLines(on node: LabNode) async throws {
            try await node.check(
                """
                cat >/run/watch <<'END'
                while [ ! -e /run/enough ]; do
                ps -eo args | grep -E '^(curl|etcdctl|timeout|sed|sh|printf)' >>/run/seen
                sleep 0.02
                done
                END
                systemd-run --quiet sh /run/watch
                """
            )
        }

        private static func asRoot(_ node: LabNode, _ words: String) async throws -> String {
            let user = "ETCDCTL_API=3 ETCDCTL_USER=root:\"$(cat \(file))\""
            return try await node.check("\(user) etcdctl --endpoints=\(node.clientURL) \(words)")
        }
    }
}
