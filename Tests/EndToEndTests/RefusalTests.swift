// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// What refuses a run before anything is changed; the run is done when that is mended.
    @Suite(.serialized)
    struct RefusalTests {
        @Test func `a host key that is wrong or unknown is refused and named with its remedy`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let before = try await cluster.traces(of: cluster.nodes)
                let address = cluster.nodes[1].address
                let known = try String(contentsOfFile: cluster.lab.layout.knownHosts, encoding: .utf8)
                    .split(separator: "\n").map(String.init)
                let others = known.filter { !$0.contains(address) }
                let otherKey = try #require(others.first).split(separator: " ").dropFirst().joined(separator: " ")

                for (text, word) in [(others + ["\(address) \(otherKey)"], "changed"), (others, "not on record")] {
                    let inventory = try Self.inventory(of: cluster, knownHosts: text)
                    let check = try await cluster.pawl(["check", "-i", inventory])
                    #expect(check.exitCode == 4, "\(check.all)")
                    let lines = check.stdout.split(separator: "\n")
                    let said = lines.filter { $0.hasPrefix("etcd2: ") }
                    #expect(said.count == 1, "\(word): \(check.stdout)")
                    #expect(
                        check.stdout.contains("ssh-keygen") || check.stdout.contains("ssh-keyscan"),
                        "\(check.stdout)"
                    )
                    let output = try await cluster.pawl(
                        cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json, inventory: inventory)
                    )
                    #expect(output.exitCode == 4, "\(output.all)")
                    #expect(output.all.lowercased().contains("host key"), "\(output.all)")
                    try await cluster.expectUntouched(cluster.nodes, since: before)
                }
                let inventory = try Self.inventory(of: cluster, knownHosts: known)
                let output = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json, inventory: inventory)
                )
                #expect(output.exitCode == 0, "\(output.all)")
                #expect(try output.events().last?.event == "finished")
                try await cluster.expectMigrated()
            }
        }

        @Test func `sudo that is refused on one node is said and never waited for`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let before = try await cluster.traces(of: cluster.nodes)
                let node = cluster.nodes[2]
                let rule = "/etc/sudoers.d/pawl-lab"
                try await node.check("mv \(rule) /root/pawl-lab")
                let check = try await cluster.pawl(["check", "-i", cluster.inventory])
                #expect(check.exitCode == 4, "\(check.all)")
                #expect(check.stdout.contains("etcd3: ") && check.stdout.contains("sudo"), "\(check.stdout)")
                let started = ContinuousClock.now
                let refused = try await cluster.pawl(cluster.runArguments())
                #expect(refused.exitCode == 4, "\(refused.all)")
                #expect(refused.all.contains("sudo to root asks for the password of admin"), "\(refused.all)")
                #expect(ContinuousClock.now - started < .seconds(20))
                try await cluster.expectUntouched(cluster.nodes, since: before)

                // The other way: the rule goes while the member is about to be stopped.
                try await node.check("mv /root/pawl-lab \(rule)")
                let last = try #require(try await cluster.rollingOrder().last)
                let halted = try await cluster.follow(
                    cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)
                ) {
                    try await $0.wait(for: "start of the first backup") { $0.starts("backup") }
                    try await last.check("mv \(rule) /root/pawl-lab")
                }
                #expect(halted.exitCode == 3, "\(halted.all)")
                #expect(try halted.report().reason?.contains("sudo") == true, "\(halted.all)")
                #expect(try await cluster.isHealthy(last))
                try await last.check("mv /root/pawl-lab \(rule)")
                try await cluster.expectResumed()
            }
        }

        @Test func `what preflight does not like changes nothing`() async throws {
            let options = LabOptions(limitedDisk: .init(path: "/var/backups/pawl", megabytes: 400))
            try await ClusterFixture.with(options: options) { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let before = try await cluster.traces(of: cluster.nodes)
                let arguments = cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json)

                let node = cluster.nodes[1]
                try await cluster.putV2(node, "/session/token", "x", ttl: 3600)
                let expiring = try await cluster.pawl(arguments)
                #expect(expiring.exitCode == 4, "\(expiring.all)")
                #expect(try expiring.report().reason?.contains("/session/token") == true, "\(expiring.all)")
                try await node.check(
                    "curl -sS --fail --noproxy '*' -o /dev/null -X DELETE '\(node.clientURL)/v2/keys/session/token'"
                )
                try await cluster.expectUntouched(cluster.nodes, since: before)

                try await node.check("fallocate -l 390M /var/backups/pawl/filling")
                let full = try await cluster.pawl(arguments)
                #expect(full.exitCode == 4, "\(full.all)")
                #expect(try full.report().host == node.name, "\(full.all)")
                #expect(try full.events().last?.event == "halted")
                try await node.check("rm /var/backups/pawl/filling")
                try await cluster.expectUntouched(cluster.nodes, since: before)

                let interrupted = try await cluster.follow(arguments) { pawl in
                    try await pawl.wait(for: "start of the preflight") {
                        $0.event == "step_started" && $0.phase == "preflight"
                    }
                    pawl.send(SIGTERM)
                }
                #expect(interrupted.exitCode == 130, "\(interrupted.all)")
                #expect(try interrupted.report().exitCode == 130)
                try await cluster.expectUntouched(cluster.nodes, since: before)
                try await cluster.expectResumed()
            }
        }

        @Test func `the journal tells what preflight found and by which policy it was let pass`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let before = try await cluster.traces(of: cluster.nodes)
                try await cluster.putV2(cluster.nodes[1], "/_secret/x", "1")

                let strict = try cluster.editedPlaybook(
                    replacing: [("preflight_checks: {}", "preflight_checks: { snapshot_file: refuse }")]
                )
                let refused = try await cluster.pawl(cluster.runArguments(strict, ClusterFixture.json))
                #expect(refused.exitCode == 4, "\(refused.all)")
                let reason = try refused.report().reason ?? ""
                let lines = reason.split(separator: "\n")
                #expect(lines.contains { $0.contains("/_secret/x") && $0.hasSuffix("[hidden_keys]") }, "\(reason)")
                #expect(
                    lines.contains { $0.hasSuffix("[checks.snapshot_file]") && !$0.contains("warning") },
                    "\(reason)"
                )
                try await cluster.expectUntouched(cluster.nodes, since: before)
                let export = ["journal", "export", "--state", cluster.stateDirectory]
                let journal = try await cluster.pawl(export)
                #expect(journal.stdout.contains(#""name":"policy.snapshot_file""#), "\(journal.all)")
                #expect(journal.stdout.contains("[hidden_keys]"), "\(journal.all)")

                let allowed = try await cluster.pawl(
                    cluster.runArguments(ClusterFixture.playbook, ["-e", "hidden_keys=allow"])
                )
                #expect(allowed.exitCode == 0, "\(allowed.all)")
                let status = try await cluster.pawl(
                    ["status", "--state", cluster.stateDirectory] + ClusterFixture.json
                )
                let told = status.stdout
                #expect(told.contains(#""policy.hidden_keys":"allow""#), "\(told)")
                #expect(
                    told.contains(#""finding.hidden_keys":"allowed by policy: 1 hidden keys: /_secret/x"#),
                    "\(told)"
                )
                #expect(told.contains(#""finding.snapshot_file":"warning: no snapshot exists on"#), "\(told)")
            }
        }

        /// The inventory of the lab with another record of host keys.
        private static func inventory(of cluster: ClusterFixture, knownHosts: [String]) throws -> String {
            let record = "\(cluster.directory)/known_hosts"
            try (knownHosts.joined(separator: "\n") + "\n").write(toFile: record, atomically: true, encoding: .utf8)
            return try cluster.inventory { $0.replacing(cluster.lab.layout.knownHosts, with: record) }
        }
    }
}
