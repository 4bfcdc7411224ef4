// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// etcd that runs in a container of Podman, whose words are Docker's.
    @Suite(
        .serialized,
        .enabled("needs podman (apt-get install --no-install-recommends podman crun) and booted nodes") {
            geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/bin/podman")
        }
    )
    struct ContainerTests {
        /// Moves the member of the node into a container, with the node's etcd as the image.
        ///
        /// The data is at another path in the container than on the node. A node that boots in a container of its own
        /// gives no cgroups and no keyrings away.
        private static let move = #"""
            set -e; systemctl disable -q --now etcd
            image=$(mktemp -d)
            for file in /usr/bin/etcd $(ldd /usr/bin/etcd | grep -o '/[^ ]*'); do
                mkdir -p "$image$(dirname "$file")"; cp -L "$file" "$image$file"
            done
            mkdir -p /etc/containers "$image/tmp"
            printf '[containers]\nkeyring = false\ncgroups = "disabled"\n' >/etc/containers/containers.conf
            printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\n' >/etc/containers/storage.conf
            printf 'graphroot = "/var/lib/containers/storage"\n' >>/etc/containers/storage.conf
            tar -C "$image" -c . | podman import -q - etcd:lab
            rm -rf "$image"
            sed '/^#/d; /ETCD_DATA_DIR/d; s/"//g' /etc/default/etcd >/etc/etcd.env
            rm /etc/default/etcd
            chown -R root:root /var/lib/etcd/default
            podman run -d --name etcd --network host --restart always --env-file /etc/etcd.env -v /var/lib/etcd:/data \
                etcd:lab /usr/bin/etcd --data-dir /data/default
            for i in $(seq 100); do
                curl -sf --noproxy '*' http://127.0.0.1:2379/health | grep -q true && exit 0; sleep 0.1
            done; exit 1
            """#

        /// The commands of the example inventory, with the other program's name.
        private static func inventory(of cluster: ClusterFixture) throws -> String {
            let path = "\(cluster.directory)/containers.yaml"
            let example = try String(
                contentsOfFile: ClusterFixture.repository + "/inventories/containers.yaml",
                encoding: .utf8
            )
            let commands = example.split(separator: "\n").filter { $0.hasPrefix("        etcd_st") }
            try #require(commands.count == 3)
            let words = commands.map { $0.dropFirst(4).replacing("docker ", with: "podman ") + "\n" }.joined()
            let lab = try String(contentsOfFile: cluster.inventory, encoding: .utf8)
            try (lab + words).write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }

        @Test func `members in containers are migrated with the commands of the example, and taken back`() async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                for node in cluster.nodes { try await node.check(Self.move) }
                let inventory = try Self.inventory(of: cluster)

                let plan = try await cluster.pawl(["plan", "-i", inventory, ClusterFixture.playbook])
                #expect(plan.stdout.contains("etcd_data_dir=/var/lib/etcd/default"), "\(plan.all)")
                #expect(plan.stdout.contains("etcd_user=root"), "\(plan.all)")
                let output = try await cluster.pawl(cluster.runArguments(inventory: inventory))
                #expect(output.exitCode == 0, "\(output.all)")
                try await cluster.expectMigrated()
                let back = try await cluster.pawl(["rollback", "--yes", "--state", cluster.stateDirectory])
                #expect(back.exitCode == 0, "\(back.all)")
                for node in cluster.nodes {
                    #expect(try await cluster.revision(of: node) == 1)
                    #expect(try await node.check("podman ps --quiet --filter 'name=^etcd$'") != "")
                }
            }
        }

        @Test func `a container that is started behind pawl's back is not migrated`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                for node in cluster.nodes { try await node.check(Self.move) }
                let inventory = try Self.inventory(of: cluster)
                let path = "\(cluster.directory)/meddled.yaml"
                // Whoever looks after the containers starts this one again as soon as it is down.
                try String(contentsOfFile: inventory, encoding: .utf8)
                    .replacing("podman stop --time 100 etcd", with: "podman stop --time 100 etcd; podman start etcd")
                    .write(toFile: path, atomically: true, encoding: .utf8)
                let output = try await cluster.pawl(cluster.runArguments(inventory: path))
                #expect(output.exitCode == 3, "\(output.all)")
                for node in cluster.nodes { #expect(try await cluster.revision(of: node) == 1) }
            }
        }
    }
}
