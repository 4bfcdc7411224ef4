// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// etcd that no unit runs: a supervisor runs it while a manifest is there, in a mount namespace of its own, as a
    /// kubelet does with a static pod.
    @Suite(.serialized)
    struct StaticPodTests {
        /// Runs etcd while `manifests/etcd.yaml` is there, starts it again when it ends, and stops it when the file is gone.
        ///
        /// In its namespace the data dir has another path than on the node.
        private static let supervisor = """
            #!/bin/bash
            manifest=/etc/kubernetes/manifests/etcd.yaml
            pid=
            while sleep 0.1; do
                if [ -n "$pid" ] && ! kill -0 "$pid" 2>/dev/null; then pid=; fi
                if [ -e "$manifest" ] && [ -z "$pid" ]; then
                    unshare --mount --propagation private /usr/local/sbin/etcd-pod &
                    pid=$!
                elif [ ! -e "$manifest" ] && [ -n "$pid" ]; then
                    kill "$pid"; wait "$pid"; pid=
                fi
            done
            """
        private static let pod = """
            #!/bin/bash
            mkdir -p /var/lib/etcd
            mount --bind /srv/etcd-data /var/lib/etcd
            set -a; . /etc/kubernetes/etcd.env
            exec /usr/bin/etcd --data-dir=/var/lib/etcd/member-data
            """
        private static let unit = """
            [Service]
            ExecStart=/usr/local/sbin/kubelet
            [Install]
            WantedBy=multi-user.target
            """

        private static func usePod(_ node: LabNode) async throws {
            func file(_ path: String, _ text: String) -> String {
                "echo \(Data(text.utf8).base64EncodedString()) | base64 -d >\(path)"
            }
            try await node.check(
                """
                set -e; systemctl disable -q --now etcd
                mkdir -p /etc/kubernetes/manifests /srv/etcd-data
                mv /var/lib/etcd/default /srv/etcd-data/member-data
                chown -R root:root /srv/etcd-data
                grep -v ETCD_DATA_DIR /etc/default/etcd >/etc/kubernetes/etcd.env
                rm /etc/default/etcd
                \(file("/usr/local/sbin/kubelet", supervisor))
                \(file("/usr/local/sbin/etcd-pod", pod))
                \(file("/etc/systemd/system/kubelet.service", unit))
                chmod 755 /usr/local/sbin/kubelet /usr/local/sbin/etcd-pod
                echo 'kind: Pod' >/etc/kubernetes/manifests/etcd.yaml
                systemctl daemon-reload
                systemctl enable -q --now kubelet
                for i in $(seq 100); do
                    curl -sf --noproxy '*' \(node.clientURL)/health | grep -q true && exit 0; sleep 0.1
                done; exit 1
                """
            )
        }

        @Test func `static pods are migrated with the commands of the example inventory, and taken back`() async throws
        {
            try await ClusterFixture.with { cluster in
                try await cluster.seed(LabSeed(keys: 50))
                for node in cluster.nodes { try await Self.usePod(node) }
                let inventory = try cluster.inventory(adding: ClusterFixture.exampleCommands("static-pod.yaml"))
                try await cluster.expectMigratedAndTakenBack(
                    inventory: inventory,
                    finding: ["etcd_data_dir=/srv/etcd-data/member-data", "etcd_user=root"]
                )
                for node in cluster.nodes {
                    try await node.check("test -e /etc/kubernetes/manifests/etcd.yaml")
                }
            }
        }
    }
}
