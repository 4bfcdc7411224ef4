// SPDX-License-Identifier: Apache-2.0

import Engine
import Etcd
import Fleet
import Foundation
import Playbooks
import Remote
import TestSupport

/// A play over a real cluster of three members on this machine.
struct LiveCluster: Sendable {
    let cluster: EtcdCluster
    let desk: Desk
    let play: Play
    /// The files that pawl keeps on a node, by the name of the service; of its own for each test.
    let service: String

    var hosts: HostDirectory { HostDirectory(play) { LocalHost(name: $0.name) } }

    /// Runs a test's part over a new cluster, with the text of a playbook or with the shipped migration.
    static func with(playbook: String? = nil, _ body: (LiveCluster) async throws -> Void) async throws {
        try await EtcdCluster.with { cluster in
            let service = "etcd-\(UUID().uuidString.prefix(8))"
            var inventory = "[etcd]\n"
            for member in cluster.members {
                let script = try cluster.controlScript(of: member)
                inventory +=
                    "\(member.name) etcd_endpoint=\(member.clientURL) etcd_data_dir=\(member.dataDir)"
                    + " pawl_state_dir=\(cluster.directory)/state-\(member.name)"
                    + ["start", "stop", "status"].map { " etcd_\($0)='sh \(script) \($0)'" }.joined() + "\n"
            }
            inventory += """
                [etcd:vars]
                etcd_service=\(service)
                etcd_user=\(NSUserName())
                backup_dir=\(cluster.directory)/backups

                """
            let desk = try Desk(["hosts.ini": inventory, "play.yaml": playbook ?? ""])
            var request = desk.request()
            if playbook == nil { request.playbook = "\(repository)/playbooks/migrate_etcd_v2_to_v3.yaml" }
            let live = LiveCluster(
                cluster: cluster,
                desk: desk,
                play: try PlayLoader.load(request),
                service: service
            )
            do {
                try await body(live)
            } catch {
                try await live.removeNotes()
                throw error
            }
            try await live.removeNotes()
        }
    }

    var request: RunRequest {
        var request = desk.request()
        request.playbook = play.playbook.path
        return request
    }

    /// The name of the member that leads.
    func leader() async throws -> String {
        for member in cluster.members {
            let line = try await cluster.sh(
                "etcdctl --endpoints \(member.clientURL) endpoint status | cut -d, -f5 | tr -d ' '"
            )
            if line.trimmingCharacters(in: .whitespacesAndNewlines) == "true" { return member.name }
        }
        throw Leaderless()
    }

    struct Leaderless: Error {}

    private func removeNotes() async throws {
        try await cluster.sh("rm -rf /run/pawl/*.\(service).*")
    }
}
