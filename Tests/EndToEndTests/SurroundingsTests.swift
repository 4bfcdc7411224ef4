// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// Clusters that are set up in other ways than Debian's package does, and inventories that do not fit.
    @Suite(.serialized)
    struct SurroundingsTests {
        // MARK: - Each node another way

        /// `--wal-dir` by the environment file, and another name of the member.
        private static func useWALDir(_ node: LabNode) async throws {
            try await node.check(
                """
                set -e; systemctl stop etcd
                install -d -o etcd -g etcd -m 700 /var/lib/etcd-wal
                mv /var/lib/etcd/default/member/wal /var/lib/etcd-wal/wal
                sed -i '/^ETCD_NAME=/d' /etc/default/etcd
                echo 'ETCD_NAME="alpha"' >>/etc/default/etcd
                echo 'ETCD_WAL_DIR="/var/lib/etcd-wal/wal"' >>/etc/default/etcd
                systemctl start etcd
                """
            )
        }

        /// A configuration file, and a data dir elsewhere.
        private static func useConfigurationFile(_ node: LabNode) async throws {
            try await node.check(
                """
                set -e; systemctl stop etcd
                install -d -o etcd -g etcd -m 700 /srv/etcd
                mv /var/lib/etcd/default /srv/etcd/beta
                cat >/etc/etcd-main.yaml <<'END'
                # Of the cluster's second member.
                name: 'beta'
                data-dir: "/srv/etcd/beta"
                listen-client-urls: \(node.clientURL),http://127.0.0.1:2379
                advertise-client-urls: \(node.clientURL)
                listen-peer-urls: \(node.peerURL)
                initial-advertise-peer-urls: \(node.peerURL)
                enable-v2: true
                END
                echo 'DAEMON_ARGS="--config-file /etc/etcd-main.yaml"' >/etc/default/etcd
                systemctl start etcd
                """
            )
        }

        /// A template unit with an environment file of its own, for a user of its own.
        private static func useOwnUnit(_ node: LabNode) async throws {
            try await node.check(
                """
                set -e; systemctl disable -q --now etcd
                useradd --system --no-create-home etcd3
                install -d -o etcd3 -g etcd3 -m 700 /data
                mv /var/lib/etcd/default /data/etcd
                chown -R etcd3:etcd3 /data/etcd
                mkdir /etc/etcd3
                sed -e 's|^ETCD_DATA_DIR=.*|ETCD_DATA_DIR=/data/etcd|' -e 's|^ETCD_NAME=.*|ETCD_NAME=gamma|' \
                    /etc/default/etcd >/etc/etcd3/main.conf
                rm /etc/default/etcd
                cat >/etc/systemd/system/etcd3@.service <<'END'
                [Unit]
                After=network.target
                [Service]
                Type=notify
                User=etcd3
                EnvironmentFile=/etc/etcd3/%i.conf
                ExecStart=/usr/bin/etcd
                [Install]
                WantedBy=multi-user.target
                END
                systemctl daemon-reload
                systemctl enable -q --now etcd3@main
                """
            )
        }

        /// An inventory whose hosts have names of their own, in this order, and that says of etcd only what is given.
        private static func inventory(
            _ cluster: ClusterFixture,
            _ hosts: [(name: String, node: LabNode)]
        ) throws -> String {
            let lines = hosts.map { "    \($0.name): { ansible_host: \($0.node.address) }\n" }.joined()
            return try cluster.inventory("inventory-\(UUID().uuidString.prefix(4)).yaml") { lab in
                let common = try #require(lab.components(separatedBy: "  vars:\n").last)
                return "etcd:\n  hosts:\n\(lines)  vars:\n\(common)"
            }
        }

        private static func waitForHealth(_ cluster: ClusterFixture) async throws {
            for node in cluster.nodes {
                try await node.check(
                    "for i in $(seq 100); do curl -sf --noproxy '*' \(node.clientURL)/health | grep -q true && exit 0; "
                        + "sleep 0.1; done; exit 1"
                )
            }
        }

        @Test func `three members set up in three ways are discovered, migrated, resumed and taken back`() async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                try await Self.useWALDir(cluster.nodes[0])
                try await Self.useConfigurationFile(cluster.nodes[1])
                try await Self.useOwnUnit(cluster.nodes[2])
                try await Self.waitForHealth(cluster)
                let names = ["one", "two", "three"]
                let inventory = try Self.inventory(cluster, Array(zip(names, cluster.nodes)).reversed())

                let plan = try await cluster.pawl(["plan", "-i", inventory, ClusterFixture.playbook])
                #expect(plan.exitCode == 0, "\(plan.all)")
                for found in [
                    "discovered on one: etcd_data_dir=/var/lib/etcd/default etcd_endpoint=http://127.0.0.1:2379 "
                        + "etcd_service=etcd etcd_user=etcd etcd_wal_dir=/var/lib/etcd-wal/wal",
                    "discovered on two: etcd_data_dir=/srv/etcd/beta etcd_endpoint=http://127.0.0.1:2379",
                    "discovered on three: etcd_data_dir=/data/etcd etcd_endpoint=http://127.0.0.1:2379 "
                        + "etcd_service=etcd3@main etcd_user=etcd3 etcd_wal_dir=\"\"",
                ] {
                    #expect(plan.stdout.contains(found), "\(plan.stdout)")
                }
                let arguments = cluster.runArguments(ClusterFixture.inPlace, inventory: inventory)
                try await cluster.expectKilled(arguments, at: "backup")
                // Its etcd is stopped now, so nothing could be discovered any more.
                let resumed = try await cluster.pawl(cluster.resumeArguments)
                #expect(resumed.exitCode == 0, "\(resumed.all)")
                try await cluster.expectMigrated()
                #expect(try await cluster.nodes[2].check("stat -c %U /data/etcd/member/snap/db") == "etcd3\n")
                try await cluster.expectTakenBack()
                let again = try await cluster.pawl(cluster.runArguments(inventory: inventory))
                #expect(again.exitCode == 0, "\(again.all)")
                try await cluster.expectMigrated()
            }
        }

        @Test func `a plan that was made before a data dir was moved is not performed`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                try await cluster.seed(LabSeed(keys: 10))
                let plan = "\(cluster.directory)/plan.json"
                let made = try await cluster.pawl(
                    ["plan", "-i", cluster.inventory, ClusterFixture.playbook, "--out", plan]
                )
                #expect(made.exitCode == 0, "\(made.all)")
                try await Self.useConfigurationFile(cluster.nodes[0])
                try await Self.waitForHealth(cluster)
                let drifted = try await cluster.pawl(cluster.runArguments(ClusterFixture.playbook, ["--plan", plan]))
                #expect(drifted.exitCode == 6, "\(drifted.all)")
                #expect(
                    drifted.stderr.contains(
                        "etcd_data_dir of etcd1 was /var/lib/etcd/default, now /srv/etcd/beta"
                    ),
                    "\(drifted.stderr)"
                )
            }
        }

        // MARK: - Sizes

        @Test(arguments: [1, 5, 7])
        func `a cluster of this size is migrated`(nodes: Int) async throws {
            try await ClusterFixture.with(nodes: nodes) { cluster in
                try await cluster.seed(LabSeed(keys: 10))
                let output = try await cluster.pawl(cluster.runArguments())
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
            }
        }

        // MARK: - Inventories that do not fit

        @Test func `an inventory that misses a member, a learner, and a foreign member are refused by name`()
            async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 10))
                let before = try await cluster.traces(of: cluster.nodes)
                let two = try Self.inventory(cluster, cluster.nodes.prefix(2).map { ($0.name, $0) })
                try await Self.expectRefusal(cluster, two, naming: ["etcd3"])

                let learner = "\(cluster.lab.network).99"
                // etcd takes no member in before its members have been connected for a while.
                let id = try await cluster.nodes[0].check(
                    """
                    export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=\(cluster.nodes[0].clientURL)
                    for i in $(seq 100); do
                        etcdctl member add late --learner --peer-urls=http://\(learner):2380 >/tmp/added 2>/dev/null && break
                        sleep 0.2
                    done
                    awk '$1 == "Member" { print $2; exit }' /tmp/added; rm /tmp/added
                    """
                ).trimmingCharacters(in: .whitespacesAndNewlines)
                try #require(!id.isEmpty)
                try await Self.expectRefusal(cluster, cluster.inventory, naming: [id, "was added and never started"])
                let removed = try await cluster.etcdctl(cluster.nodes[0], "member remove \(id)")
                #expect(removed.exitCode == 0, "\(removed.all)")
                try await cluster.expectUntouched(cluster.nodes, since: before)

                // The third node runs a cluster of its own.
                let node = cluster.nodes[2]
                try await node.check(
                    """
                    set -e; systemctl stop etcd; mv /var/lib/etcd/default /var/lib/etcd/old
                    sed -i '/^ETCD_INITIAL_CLUSTER=/d' /etc/default/etcd
                    echo 'ETCD_INITIAL_CLUSTER="etcd3=\(node.peerURL)"' >>/etc/default/etcd
                    echo 'ETCD_INITIAL_CLUSTER_TOKEN="another"' >>/etc/default/etcd
                    systemctl start etcd
                    """
                )
                try await Self.waitForHealth(cluster)
                let others = Array(cluster.nodes.prefix(2))
                let traces = try await cluster.traces(of: others)
                try await Self.expectRefusal(cluster, cluster.inventory, naming: ["etcd3"])
                try await cluster.expectUntouched(others, since: traces)
            }
        }

        private static func expectRefusal(
            _ cluster: ClusterFixture,
            _ inventory: String,
            naming words: [String],
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let output = try await cluster.pawl(
                cluster.runArguments(ClusterFixture.playbook, ClusterFixture.json, inventory: inventory)
            )
            #expect(output.exitCode == 4, "\(output.all)", sourceLocation: sourceLocation)
            for word in words { #expect(output.all.contains(word), "\(output.all)", sourceLocation: sourceLocation) }
        }
    }
}
