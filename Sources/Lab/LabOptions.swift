// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a lab is to be.
package struct LabOptions: Sendable, Hashable, Codable {
    package enum Kind: String, Sendable, Hashable, Codable, CaseIterable {
        /// Booted nodes where this machine can have them, plain ones elsewhere.
        case auto
        /// Each node boots its own systemd, sshd and etcd in a container with an address of its own.
        ///
        /// Needs root.
        case booted
        /// Each node is one sshd and one etcd of the current user on a loopback address.
        case plain
    }

    /// A small disk of its own for one path of every node, so that a full disk can be tested.
    package struct LimitedDisk: Sendable, Hashable, Codable {
        /// Absolute, as seen on the node.
        package var path: String
        package var megabytes: Int

        package init(path: String, megabytes: Int) {
            self.path = path
            self.megabytes = megabytes
        }
    }

    /// What one node, or every node, gives its etcd beyond what the lab sets.
    package struct EtcdExtras: Sendable, Hashable, Codable {
        /// `ETCD_…` variables; they win over those of the lab.
        package var environment: [String: String]
        /// Arguments for the program; they win over the environment.
        package var arguments: [String]

        package init(environment: [String: String] = [:], arguments: [String] = []) {
            self.environment = environment
            self.arguments = arguments
        }
    }

    /// 1 to 7, named `etcd1` to `etcd7`.
    package var nodes: Int
    package var kind: Kind
    /// The first three parts of an address, as `10.213.7`; `nil` picks a free one.
    package var network: String?
    /// After how many entries etcd takes a raft snapshot; `nil` leaves etcd's default of 100,000.
    package var snapshotCount: Int?
    /// For the etcd of every node.
    package var etcd: EtcdExtras
    /// For the etcd of single nodes, by their name.
    package var etcdOfNode: [String: EtcdExtras]
    /// Booted nodes only.
    package var limitedDisk: LimitedDisk?
    /// Whether clients and peers speak https, and must show a certificate.
    package var tls: Bool?
    /// A directory of this machine with other `etcd` and `etcdctl` programs than those in the PATH; absolute.
    package var etcdDirectory: String?
    /// How long the whole may take to come up.
    package var timeoutSeconds: Int

    package init(
        nodes: Int = 3,
        kind: Kind = .auto,
        network: String? = nil,
        snapshotCount: Int? = nil,
        etcd: EtcdExtras = EtcdExtras(),
        etcdOfNode: [String: EtcdExtras] = [:],
        limitedDisk: LimitedDisk? = nil,
        tls: Bool = false,
        etcdDirectory: String? = nil,
        timeoutSeconds: Int = 90
    ) {
        self.nodes = nodes
        self.kind = kind
        self.network = network
        self.snapshotCount = snapshotCount
        self.etcd = etcd
        self.etcdOfNode = etcdOfNode
        self.limitedDisk = limitedDisk
        self.tls = tls ? true : nil
        self.etcdDirectory = etcdDirectory
        self.timeoutSeconds = timeoutSeconds
    }

    /// Throws what cannot be, before anything is made.
    func validate() throws(LabError) {
        guard (1...7).contains(nodes) else {
            throw LabError(.options, "\(nodes) nodes", remedy: "a lab has 1 to 7 nodes")
        }
        if let network {
            let parts = network.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 3, parts.allSatisfy({ UInt8($0) != nil }) else {
                throw LabError(
                    .options,
                    "network '\(network)'",
                    remedy: "give the first three parts of an address, as 10.213.7"
                )
            }
        }
        if let limitedDisk {
            guard limitedDisk.megabytes > 0, limitedDisk.path.hasPrefix("/"), limitedDisk.path.isPlainPath else {
                throw LabError(
                    .options,
                    "a disk of \(limitedDisk.megabytes) MB at '\(limitedDisk.path)'",
                    remedy: "give an absolute path and a size from 1 MB"
                )
            }
        }
        if let count = snapshotCount, count < 1 {
            throw LabError(.options, "snapshot count \(count)", remedy: "it is a number of entries, from 1")
        }
        for name in etcdDirectory == nil ? [] : ["etcd", "etcdctl"] {
            let program = "\(etcdDirectory ?? "")/\(name)"
            guard program.hasPrefix("/"), program.isPlainPath, access(program, X_OK) == 0 else {
                throw LabError(.options, "\(program) is no program", remedy: "give an absolute path")
            }
        }
        let names = Set((1...nodes).map { "etcd\($0)" })
        for name in etcdOfNode.keys.sorted() where !names.contains(name) {
            throw LabError(.options, "no node is called '\(name)'", remedy: "they are etcd1 to etcd\(nodes)")
        }
    }

    /// The extras of one node: those of every node, then its own.
    func extras(of node: String) -> EtcdExtras {
        let own = etcdOfNode[node] ?? EtcdExtras()
        var all = etcd
        all.environment.merge(own.environment) { $1 }
        all.arguments += own.arguments
        return all
    }
}

extension String {
    /// Whether it can stand in mount options, sshd_config and a shell without quoting.
    var isPlainPath: Bool {
        !isEmpty && allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+@".contains($0)) }
    }
}
