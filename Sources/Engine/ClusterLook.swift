// SPDX-License-Identifier: Apache-2.0

import Etcd
import Playbooks

/// A last look at the members, for the halt report.
///
/// Read-only, and what cannot be asked is said so.
enum ClusterLook {
    /// What each member shows, in few words; empty for a play that knows no etcd.
    static func words(_ play: Play, _ hosts: HostDirectory) async -> [String: String] {
        guard play.knowsEtcd else { return [:] }
        return await ClusterProbe.health(hosts.readOnly().etcdNodes(of: play)).mapValues { answer in
            switch answer {
            case .success(let health):
                health.isHealthy
                    ? "healthy, v3 revision \(health.status.revision)"
                    : "not healthy: " + health.complaints.joined(separator: "; ")
            case .failure(let error): error.code == .node ? "unreachable: \(error.message)" : "down: \(error.message)"
            }
        }
    }
}
