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
        /// What is the same of it however it is quoted or escaped.
        private static let telltale = "a-Secret:of"
        private static let file = "/etc/etcd-root-password"

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

                let words = ["-v", "-e", "hidden_keys=copy", "-e", "canary=each"]
                let outputs = try await Self.migrate(cluster, ClusterFixture.playbook, words)
                for output in [refused, wrong] + outputs { #expect(!output.all.contains(Self.telltale)) }
                for node in cluster.nodes {
                    let got = try await Self.asRoot(node, "get /_hidden --print-value-only --consistency=s")
                    #expect(got == "secret place\n")
                    // Nothing that was left there has it, but the WAL, where etcd writes it, and what shows that this is seen.
                    let found = try await node.run(
                        """
                        cp \(Self.file) /tmp/seen
                        find /var/lib/pawl /var/backups /var/log /tmp /root -type f -cnewer \(Self.file) ! -name '*.wal' \
                            -exec grep -lF -e '\(Self.telltale)' {} +
                        """
                    )
                    #expect(found.standardOutput == "/tmp/seen\n", "\(node.name): \(found.standardOutput)")
                }
                let kept = try await cluster.run("/usr/bin/grep", ["-rlF", Self.telltale, cluster.stateDirectory])
                #expect(kept.exitCode == 1, "\(kept.stdout)")
            }
        }

        @Test(arguments: [ClusterFixture.inPlace, ClusterFixture.stopped, ClusterFixture.reseed])
        func `the other ways migrate it as root, too`(_ playbook: String) async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                try await Self.turnOn(cluster)
                try await Self.migrate(cluster, playbook)
                // The proof that knows nothing of pawl has no user.
                try await Self.turnOff(cluster)
                try await cluster.expectMigrated()
            }
        }

        @Test func `a run that halted with a member down is taken back as root`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                try await Self.turnOn(cluster)
                let inventory = try Self.inventory(cluster)
                let order = try await cluster.rollingOrder(inventory: inventory)
                for node in cluster.nodes { try await Self.writeDownCommandLines(on: node) }
                let offered = try await RollbackTests.haltWithMemberDown(cluster, order[1], inventory: inventory)
                let back = try await cluster.pawl(offered + ["--yes"])
                #expect(back.exitCode == 0, "\(back.all)")
                try await Self.expectNoCommandLineShows(cluster)
                try await Self.expectOn(cluster)
                try await Self.turnOff(cluster)
                try await cluster.expectBack()
            }
        }

        @Test func `keys and users that v3 was given since are named, and lost only where they are given up`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 200))
                try await Self.turnOn(cluster)
                try await Self.migrate(cluster, ClusterFixture.playbook)
                _ = try await Self.asRoot(cluster.nodes[0], "put app/one x")
                _ = try await Self.asRoot(cluster.nodes[0], "user add 'late:\(Self.password)'")
                let before = try await cluster.traces(of: cluster.nodes)
                let refused = try await cluster.pawl(cluster.rollbackArguments)
                #expect(refused.exitCode == 4, "\(refused.all)")
                for words in ["1 keys hold them: app/one", "1 users were made in v3: late", "--lose-v3-writes"] {
                    #expect(refused.all.contains(words), "\(words) is not in \(refused.all)")
                }
                #expect(try await cluster.traces(of: cluster.nodes) == before)
                let back = try await cluster.pawl(cluster.rollbackArguments + ["--lose-v3-writes"])
                #expect(back.exitCode == 0, "\(back.all)")
                try await Self.expectOn(cluster)
                try await Self.turnOff(cluster)
                try await cluster.expectBack()
            }
        }

        // MARK: - Authentication

        private static func turnOn(_ cluster: ClusterFixture) async throws {
            for node in cluster.nodes {
                try await node.check("umask 077; printf '%s\\n' '\(password)' >\(file)")
            }
            for line in ["user add 'root:\(password)'", "user grant-role root root", "auth enable"] {
                let output = try await cluster.etcdctl(cluster.nodes[0], line)
                try #require(output.exitCode == 0, "\(output.all)")
            }
        }

        private static func turnOff(_ cluster: ClusterFixture) async throws {
            _ = try await asRoot(cluster.nodes[0], "auth disable")
        }

        /// Every member still wants a user, and it is the one that it has always been.
        private static func expectOn(_ cluster: ClusterFixture) async throws {
            for node in cluster.nodes {
                #expect(try await asRoot(node, "user list") == "root\n", "authentication stays as it is")
                let open = try await cluster.etcdctl(node, "get /_hidden")
                #expect(open.exitCode != 0 && open.all.contains("user name is empty"), "\(open.all)")
            }
        }

        private static func asRoot(_ node: LabNode, _ words: String) async throws -> String {
            let user = "ETCDCTL_API=3 ETCDCTL_USER=root:\"$(cat \(file))\""
            return try await node.check("\(user) etcdctl --endpoints=\(node.clientURL) \(words)")
        }

        /// An inventory with the user, and with the password in this file on the nodes.
        private static func inventory(_ cluster: ClusterFixture, _ file: String = file) throws -> String {
            try cluster.inventory(
                "inventory-\(file.replacing("/", with: "-")).yaml",
                adding: "etcd_auth_user: root\netcd_auth_password_file: \(file)"
            )
        }

        /// Migrates the cluster as root and verifies it, and no command line shows the password meanwhile.
        ///
        /// - Returns: what pawl said.
        @discardableResult
        private static func migrate(
            _ cluster: ClusterFixture,
            _ playbook: String,
            _ words: [String] = []
        ) async throws -> [ClusterFixture.Output] {
            for node in cluster.nodes { try await writeDownCommandLines(on: node) }
            let inventory = try inventory(cluster)
            let run = try await cluster.pawl(cluster.runArguments(playbook, words, inventory: inventory))
            #expect(run.exitCode == 0, "\(run.all)")
            let verified = try await cluster.pawl(["verify", "-i", inventory, playbook])
            #expect(verified.exitCode == 0, "\(verified.all)")
            try await expectNoCommandLineShows(cluster)
            try await expectOn(cluster)
            return [run, verified]
        }

        // MARK: - What other users of a node can see

        private static let log = "/run/command-lines"
        /// What pawl's scripts give data to, or start other programs with.
        private static let programs = [
            "awk", "curl", "env", "etcdctl", "grep", "runuser", "sed", "sha256sum", "timeout", "tr",
        ]

        /// From now on each of the programs writes down on the node what it is called with.
        private static func writeDownCommandLines(on node: LabNode) async throws {
            try await node.check("install -m 666 /dev/null \(log)")
            for program in programs {
                let path = try await node.check("command -v \(program)").trimmingCharacters(in: .newlines)
                let script = #"printf '%s\n' "\#(program) $*" >>\#(log); exec $ORIGINAL "$@""#
                try await node.replaceProgram(path, with: script)
            }
        }

        /// Comes before the test's own command lines, some of which have the password.
        private static func expectNoCommandLineShows(_ cluster: ClusterFixture) async throws {
            for node in cluster.nodes {
                let lines = try await node.check("cat \(log)").split(separator: "\n")
                for program in ["etcdctl", "curl", "sed"] {
                    #expect(
                        lines.contains { $0.hasPrefix("\(program) ") },
                        "\(node.name): no \(program) was written down"
                    )
                }
                let shown = lines.filter { $0.contains(telltale) }
                #expect(shown.isEmpty, "\(node.name): \(shown)")
            }
        }
    }
}
