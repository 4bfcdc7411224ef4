// SPDX-License-Identifier: Apache-2.0

/// How a lab's etcd is started, the same for both kinds of nodes.
enum EtcdConfiguration {
    static func environment(of node: LabNode, in state: LabState) -> [String: String] {
        var clients = [node.clientURL]
        if node.kind == .booted { clients.append("http://127.0.0.1:\(node.clientPort)") }
        var environment = [
            "ETCD_NAME": node.name,
            "ETCD_DATA_DIR": node.dataDirectory,
            "ETCD_LISTEN_CLIENT_URLS": clients.joined(separator: ","),
            "ETCD_ADVERTISE_CLIENT_URLS": node.clientURL,
            "ETCD_LISTEN_PEER_URLS": node.peerURL,
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": node.peerURL,
            "ETCD_INITIAL_CLUSTER": state.nodes.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ","),
            "ETCD_INITIAL_CLUSTER_TOKEN": "pawl-lab-\(state.id.prefix(8))",
            "ETCD_INITIAL_CLUSTER_STATE": "new",
            // Off by default since 3.4.0 (etcd #10935); without it there is nothing to migrate from.
            "ETCD_ENABLE_V2": "true",
        ]
        if let count = state.options.snapshotCount { environment["ETCD_SNAPSHOT_COUNT"] = "\(count)" }
        environment.merge(state.options.extras(of: node.name).environment) { $1 }
        return environment
    }
}
