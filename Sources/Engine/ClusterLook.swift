// SPDX-License-Identifier: Apache-2.0

import Etcd
import Playbooks

/// A last look at one member, for the halt report.
///
/// Read-only, and what cannot be asked is said so.
struct ClusterLook: Sendable, Equatable {
    /// What the member shows, in few words.
    var words: String
    /// The newest revision of its v3 store; 1 for one that was never written to, `nil` where it did not say.
    var revision: Int64?
    /// The node answers, and etcd on it does not.
    var isDown = false
    /// The node itself does not answer.
    var isUnreachable = false
    /// The member answers, and says that it is healthy.
    var isWell = false

    init(_ health: MemberHealth) {
        let state = "v3 revision \(health.status.revision)"
        words =
            health.isHealthy
            ? "healthy, \(state)" : "not healthy, \(state): " + health.complaints.joined(separator: "; ")
        revision = health.status.revision
        isWell = health.isHealthy
    }

    init(_ error: EtcdProbeError) {
        isUnreachable = error.code == .node
        isDown = !isUnreachable
        words = (isUnreachable ? "unreachable: " : "down: ") + error.message
    }

    /// Looks at all members of a play, by host; at none where the play knows no etcd.
    static func members(of play: Play, _ hosts: HostDirectory) async -> [String: ClusterLook] {
        guard play.knowsEtcd else { return [:] }
        return await ClusterProbe.health(hosts.readOnly().etcdNodes(of: play)).mapValues { answer in
            switch answer {
            case .success(let health): ClusterLook(health)
            case .failure(let error): ClusterLook(error)
            }
        }
    }
}
