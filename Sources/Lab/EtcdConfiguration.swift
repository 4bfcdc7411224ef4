// SPDX-License-Identifier: Apache-2.0

/// How a lab's etcd is started, the same for both kinds of nodes.
enum EtcdConfiguration {
    static func environment(of node: LabNode, in state: LabState) -> [String: String] {
        var environment = [
            "ETCD_NAME": node.name,
            "ETCD_DATA_DIR": node.dataDirectory,
            "ETCD_LISTEN_CLIENT_URLS": node.listenURLs.joined(separator: ","),
            "ETCD_ADVERTISE_CLIENT_URLS": node.clientURL,
            "ETCD_LISTEN_PEER_URLS": node.peerURL,
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": node.peerURL,
            "ETCD_INITIAL_CLUSTER": state.nodes.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ","),
            "ETCD_INITIAL_CLUSTER_TOKEN": "pawl-lab-\(state.id.prefix(8))",
            "ETCD_INITIAL_CLUSTER_STATE": "new",
            // Off by default since 3.4.0 (etcd #10935); without it there is nothing to migrate from.
            "ETCD_ENABLE_V2": "true",
        ]
        if node.tls == true { environment.merge(certificates(node.certificates)) { $1 } }
        if let count = state.options.snapshotCount { environment["ETCD_SNAPSHOT_COUNT"] = "\(count)" }
        environment.merge(state.options.extras(of: node.name).environment) { $1 }
        return environment
    }

    private static func certificates(_ files: LabCertificates) -> [String: String] {
        var environment: [String: String] = [:]
        for prefix in ["ETCD_", "ETCD_PEER_"] {
            environment["\(prefix)CERT_FILE"] = files.certificate("server")
            environment["\(prefix)KEY_FILE"] = files.key("server")
            environment["\(prefix)TRUSTED_CA_FILE"] = files.authority
            environment["\(prefix)CLIENT_CERT_AUTH"] = "true"
        }
        return environment
    }
}
