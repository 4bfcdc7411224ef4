// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import Subprocess
import TestSupport
import Testing

extension EndToEnd {
    /// Whole runs on nodes that let nobody in, or nobody become root, without a password.
    @Suite(.serialized, .enabled("needs booted nodes") { geteuid() == 0 })
    struct WaysInTests {
        /// What the fixture `vault-values` of the inventories has, made by `ansible-vault`.
        private static let password = "hünter2"
        private static let vaultPassword = "the default password"
        private static let vaulted = """
            ansible_become_password: !vault |
              $ANSIBLE_VAULT;1.1;AES256
              61653765383030396161363336666635666238346133666561313133363634383131666433343064
              3435663538353966383933636166666536393933333433610a396138633464656161393036353937
              66633639303136393636376233663031633139633461306632656131306337316163303836663431
              3734373364323434380a653437653539616533663063623237343463333962633732666632306361
              6332
            """

        @Test func `a run with sudo's password in a vault is killed, resumed and taken back, and nothing shows it`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                for node in cluster.nodes { try await Self.demandPassword(on: node) }
                let inventory = try cluster.inventory(adding: Self.vaulted)
                let keyring = "\(cluster.directory)/vault-password"
                try Self.vaultPassword.write(toFile: keyring, atomically: true, encoding: .utf8)
                let opened = ["--vault-password-file", keyring]

                let closed = try await cluster.pawl(cluster.runArguments(inventory: inventory))
                #expect(closed.exitCode == 65 && closed.all.contains("--vault-password-file"), "\(closed.all)")
                let unknown = try await cluster.pawl(cluster.runArguments())
                #expect(unknown.exitCode == 4 && unknown.all.contains("ansible_become_password"), "\(unknown.all)")

                let plan = try await cluster.pawl(["plan", "-i", inventory, ClusterFixture.playbook] + opened)
                #expect(plan.exitCode == 0, "\(plan.all)")
                let killed = try await cluster.expectKilled(
                    cluster.runArguments(ClusterFixture.playbook, ["-v"] + opened, inventory: inventory),
                    at: "etcd_migrate"
                )
                // Where the vault's password is was journalled, and that only.
                let resumed = try await cluster.pawl(cluster.resumeArguments + ["-v"])
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await cluster.expectMigrated()
                let back = try await cluster.pawl(cluster.rollbackArguments + ["-v"])
                #expect(back.exitCode == 0, "\(back.all)")
                try await cluster.expectBack()
                let journal = try await cluster.pawl(["journal", "export", "--state", cluster.stateDirectory])
                #expect(journal.exitCode == 0 && !journal.stdout.isEmpty, "\(journal.all)")

                for output in [closed, unknown, plan, killed, resumed, back, journal] {
                    #expect(!output.all.contains(Self.password))
                }
                try await Self.expectNothingHolds(Self.password, cluster)
            }
        }

        @Test func `at a terminal both passwords are asked for once, and a run is shown to its end`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 100))
                for node in cluster.nodes {
                    try await Self.demandPassword(on: node)
                    try await node.check(
                        """
                        set -e; mv /home/admin/.ssh /home/admin/put-away
                        sed -i 's/^PasswordAuthentication no/PasswordAuthentication yes/' /etc/ssh/sshd_config
                        systemctl restart ssh
                        """
                    )
                }
                let inventory = try cluster.inventory { lab in
                    lab.split(separator: "\n").filter { !$0.contains("ansible_ssh_private_key_file") }
                        .joined(separator: "\n") + "\n"
                }
                let arguments = cluster.runArguments(inventory: inventory).filter { $0 != "--yes" } + ["-k", "-K"]
                let output = try await ProgramAtTerminal.run(
                    ClusterFixture.binary,
                    arguments,
                    in: cluster.directory
                ) { terminal in
                    for question in ["SSH password: ", "BECOME password[defaults to SSH password]: "] {
                        try await terminal.wait(for: question)
                        terminal.type(Self.password + "\r")
                    }
                    try await terminal.wait(for: "[y/N] ")
                    terminal.type("y\r")
                }
                #expect(output.exitCode == 0, "\(output.stdout)")
                #expect(!output.stdout.contains(Self.password))
                for question in ["SSH password: ", "BECOME password[defaults to SSH password]: "] {
                    #expect(output.stdout.components(separatedBy: question).count == 2)
                }
                try await Self.expectNothingHolds(Self.password, cluster)
                // The proof that knows nothing of pawl comes with a key.
                for node in cluster.nodes { try await node.check("mv /home/admin/put-away /home/admin/.ssh") }
                try await cluster.expectMigrated()
            }
        }

        @Test func `an inventory that leaves the way in to ansible.cfg works, and a rollback remembers which`()
            async throws
        {
            try await ClusterFixture.with(nodes: 1) { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let node = try #require(cluster.nodes.first)
                let inventory = "\(cluster.directory)/hosts"
                try "[etcd]\n\(node.name) ansible_host=\(node.address)\n".write(
                    toFile: inventory,
                    atomically: true,
                    encoding: .utf8
                )
                let settings = "\(cluster.directory)/settings.cfg"
                try """
                [defaults]
                remote_user = \(node.user)
                private_key_file = \(cluster.lab.layout.privateKey)
                [privilege_escalation]
                become = True
                [ssh_connection]
                ssh_args = -F none -o UserKnownHostsFile=\(cluster.lab.layout.knownHosts)
                """.write(toFile: settings, atomically: true, encoding: .utf8)
                let none = try await cluster.pawl(
                    ["check", "-i", inventory],
                    environment: ["ANSIBLE_CONFIG": "/dev/null"]
                )
                #expect(none.exitCode == 4, "\(none.all)")
                let run = try await cluster.pawl(
                    cluster.runArguments(inventory: inventory),
                    environment: ["ANSIBLE_CONFIG": settings]
                )
                #expect(run.exitCode == 0, "\(run.all)")
                try await cluster.expectMigrated()
                let back = try await cluster.pawl(
                    cluster.rollbackArguments,
                    environment: ["ANSIBLE_CONFIG": "/dev/null"]
                )
                #expect(back.exitCode == 0, "\(back.all)")
                try await cluster.expectBack()
            }
        }

        /// The user of the inventory gets a password, which sudo asks for.
        private static func demandPassword(on node: LabNode) async throws {
            try await node.check(
                """
                set -e; echo 'admin:\(password)' | chpasswd
                echo 'admin ALL=(ALL:ALL) ALL' >/etc/sudoers.d/pawl-lab
                """
            )
        }

        /// No file and no log has the secret in plain, neither on the nodes nor here.
        private static func expectNothingHolds(_ secret: String, _ cluster: ClusterFixture) async throws {
            for node in cluster.nodes {
                // A file with the secret shows that it would be seen.
                let found = try await node.check(
                    """
                    printf %s '\(secret)' >/tmp/control
                    find /var/lib/pawl /var/backups /var/log /tmp /home /run -xdev -type f \
                        -cnewer /etc/sudoers.d/pawl-lab -exec grep -lF -e '\(secret)' {} +
                    journalctl --no-pager | grep -F -e '\(secret)' || true
                    rm /tmp/control
                    """
                )
                #expect(found == "/tmp/control\n", "\(node.name): \(found)")
            }
            let kept = try await cluster.run("/usr/bin/grep", ["-rlF", secret, cluster.stateDirectory])
            #expect(kept.exitCode == 1, "\(kept.stdout)")
        }
    }
}
