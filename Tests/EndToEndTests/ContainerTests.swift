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
        private static func commands() throws -> String {
            try ClusterFixture.exampleCommands("containers.yaml").replacing("docker ", with: "podman ")
        }

        @Test func `members in containers are migrated with the commands of the example, and taken back`() async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                for node in cluster.nodes { try await node.check(Self.move) }
                let inventory = try cluster.inventory(adding: Self.commands())
                try await cluster.expectMigratedAndTakenBack(
                    inventory: inventory,
                    finding: ["etcd_data_dir=/var/lib/etcd/default", "etcd_user=root"]
                )
                for node in cluster.nodes {
                    #expect(try await node.check("podman ps --quiet --filter 'name=^etcd$'") != "")
                }
            }
        }

        @Test func `a container that is started behind pawl's back is not migrated`() async throws {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                for node in cluster.nodes { try await node.check(Self.move) }
                // Whoever looks after the containers starts this one again as soon as it is down.
                let stop = "podman stop --time 100 etcd"
                let commands = try Self.commands()
                try #require(commands.contains(stop))
                let inventory = try cluster.inventory(
                    adding: commands.replacing(stop, with: "\(stop); podman start etcd")
                )
                let output = try await cluster.pawl(cluster.runArguments(inventory: inventory))
                #expect(output.exitCode == 3, "\(output.all)")
                for node in cluster.nodes { #expect(try await cluster.revision(of: node) == 1) }
            }
        }
    }
}
