// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// The migration when nothing goes wrong.
    @Suite(.serialized)
    struct MigrationTests {
        @Test func `a cluster with keys of every kind is migrated and proven`() async throws {
            try await ClusterFixture.with { cluster in
                let written = try await cluster.seed(LabSeed(keys: 1000))
                #expect(written.values > 1000)
                let before = try await cluster.traces(of: cluster.nodes)
                try await expectPlanIsHeld(cluster)
                try await cluster.expectUntouched(cluster.nodes, since: before)
                var files: [String: Set<String>] = [:]
                for node in cluster.nodes { files[node.name] = try await Self.files(of: node) }

                let plan = "\(cluster.directory)/plan.json"
                let planned = try await cluster.pawl(
                    ["plan", "-i", cluster.inventory, ClusterFixture.playbook, "--out", plan]
                )
                #expect(planned.exitCode == 0, "\(planned.all)")
                let output = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, ["--plan", plan]))
                #expect(output.exitCode == 0, "\(output.all)")
                let isPlain = output.stdout.unicodeScalars.allSatisfy {
                    $0 == "\n" || $0.properties.generalCategory != .control
                }
                #expect(isPlain, "stdout has control characters")
                try await cluster.expectMigrated()

                for node in cluster.nodes {
                    let left = try await Self.files(of: node).subtracting(files[node.name] ?? [])
                        .filter { !$0.hasPrefix(node.backupDirectory) }
                        .subtracting(["", "/last-run", "/token", "/lock.guard"].map { "/var/lib/pawl\($0)" })
                    #expect(left.isEmpty, "\(node.name): \(left.sorted())")
                    try await expectBackup(on: node)
                }
                try await expectRecords(cluster)
                try await expectSecondRunIsRefused(cluster)
            }
        }

        @Test func `a cluster of one member is migrated and the outage is announced`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                try await cluster.seed(LabSeed(keys: 20))
                let output = try await cluster.pawl(cluster.runArguments())
                #expect(output.exitCode == 0, "\(output.all)")
                #expect(output.stdout.contains("outage"), "\(output.all)")
                try await cluster.expectMigrated()
            }
        }

        @Test func `a cluster without keys is taken over as it is`() async throws {
            try await ClusterFixture.with { cluster in
                let output = try await cluster.pawl(cluster.runArguments())
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
                let put = try await cluster.etcdctl(cluster.nodes[0], "put first key")
                #expect(put.exitCode == 0, "\(put.stderr)")
            }
        }

        @Test func `nodes without systemd are migrated with their own commands`() async throws {
            try await ClusterFixture.with(options: LabOptions(kind: .plain)) { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                let output = try await cluster.pawl(cluster.runArguments())
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
                let verified = try await cluster.pawl(["verify", "-i", cluster.inventory, ClusterFixture.playbook])
                #expect(verified.exitCode == 0, "\(verified.all)")
            }
        }

        /// A plan of another playbook is not performed.
        private func expectPlanIsHeld(_ cluster: ClusterFixture) async throws {
            let playbook = try cluster.editedPlaybook(replacing: [])
            let plan = "\(cluster.directory)/old-plan.json"
            let planned = try await cluster.pawl(["plan", "-i", cluster.inventory, playbook, "--out", plan])
            #expect(planned.exitCode == 0, "\(planned.all)")
            _ = try cluster.editedPlaybook(replacing: [("{ within: 2m }", "{ within: 3m }")])
            let output = try await cluster.pawl(cluster.runArguments(playbook, ["--plan", plan]))
            #expect(output.exitCode == 6, "\(output.all)")
            #expect(output.stderr.contains("the playbook has changed"), "\(output.stderr)")
        }

        private func expectRecords(_ cluster: ClusterFixture) async throws {
            let verified = try await cluster.pawl(["verify", "-i", cluster.inventory, ClusterFixture.playbook])
            #expect(verified.exitCode == 0, "\(verified.all)")
            for command in ["runs", "status"] {
                let output = try await cluster.pawl([command, "--state", cluster.stateDirectory])
                #expect(output.exitCode == 0, "\(output.stderr)")
                #expect(output.stdout.contains("done"), "\(output.all)")
                #expect(!output.stdout.contains("pawl resume"), "\(output.stdout)")
            }
            let resumed = try await cluster.pawl(cluster.resumeArguments)
            #expect(resumed.exitCode == 64, "there is nothing to resume: \(resumed.all)")
            let mode = try FileManager.default.attributesOfItem(atPath: cluster.stateDirectory)[.posixPermissions]
            #expect(mode as? Int == 0o700)
        }

        private func expectSecondRunIsRefused(_ cluster: ClusterFixture) async throws {
            let before = try await cluster.traces(of: cluster.nodes)
            let output = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json))
            #expect(output.exitCode == 4, "\(output.all)")
            let report = try output.report()
            #expect(report.verdict == "refused")
            #expect(report.exitCode == 4)
            #expect(report.reason?.contains("v3") == true, "\(report)")
            #expect(try await cluster.traces(of: cluster.nodes) == before)
        }

        /// One backup, for root's eyes only, with what `pawl` says of it.
        private func expectBackup(on node: LabNode) async throws {
            let names = try await node.check("ls -A \(node.backupDirectory)").split(separator: "\n").map(String.init)
            #expect(names.count == 1, "\(node.name): \(names)")
            let backup = "\(node.backupDirectory)/\(names.first ?? "")"
            let modes = try await node.check("stat -c '%a %U %n' \(backup) \(backup)/manifest \(backup)/backup.json")
            #expect(
                modes == "700 root \(backup)\n600 root \(backup)/manifest\n600 root \(backup)/backup.json\n",
                "\(node.name)"
            )
            struct Description: Decodable { var host: String, files: Int, manifestSHA256: String }
            let text = try await node.check("cat \(backup)/backup.json")
            let description = try JSONDecoder().decode(Description.self, from: Data(text.utf8))
            #expect(description.host == node.name)
            #expect(description.files > 1)
            let sum = try await node.check("sha256sum <\(backup)/manifest").prefix(64)
            #expect(description.manifestSHA256 == sum)
            let open = try await node.check("find \(backup) -perm /077 -not -path '\(backup)/tree/*'")
            #expect(open.isEmpty, "\(node.name): \(open)")
        }

        /// Files on a node that differ from this machine's, or are in memory; without those that etcd, systemd and
        /// logins write.
        private static func files(of node: LabNode) async throws -> Set<String> {
            let upper = "\(node.directory)/upper"
            let onDisk = FileManager.default.enumerator(atPath: upper)?.compactMap { "/\($0)" } ?? []
            let inMemory = try await node.check("find /run /tmp /dev/shm -xdev -not -type s")
            // The directory above the backups is one of them as soon as it is on the node's own disk.
            let others = [
                "/var/lib/etcd", "/var/log", "/var/lib/systemd", "/run/systemd", "/run/log", "/run/sudo", "/run/udev",
                "/run/user", "/var/lib/sudo", "/tmp/systemd-private",
            ]
            return Set(onDisk + inMemory.split(separator: "\n").map(String.init))
                .filter { file in file != "/var/backups" && !others.contains { file.hasPrefix($0) } }
        }
    }
}
