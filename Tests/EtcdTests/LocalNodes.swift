// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Remote
import TestSupport

extension EtcdCluster {
    /// The members as nodes, each spoken to at its own endpoint on this machine.
    func nodes(_ variables: [String: Value] = [:]) -> [EtcdNode] {
        members.map { node($0, variables) }
    }

    func node(_ member: Member, _ variables: [String: Value] = [:]) -> EtcdNode {
        let defaults: [String: Value] = [
            "etcd_endpoint": .string(member.clientURL), "etcd_data_dir": .string(member.dataDir),
            "etcd_user": .string("root"),
        ]
        return EtcdNode(
            name: member.name,
            host: LocalHost(name: member.name),
            settings: EtcdSettings(variables: defaults.merging(variables) { $1 })
        )
    }
}
