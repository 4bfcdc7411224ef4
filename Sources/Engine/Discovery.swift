// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks

/// Fills in what nobody has said of the members: what runs on the nodes tells it, before the plan is made.
package enum Discovery {
    /// Looks at the members whose inventory leaves something open, read-only, and resolves the play with what they show.
    ///
    /// Where no etcd runs, nothing is discovered, and the playbook's defaults hold.
    ///
    /// - Parameters:
    ///   - play: as it is without having looked.
    ///   - request: what it was made from.
    ///   - hosts: the ways to its hosts.
    /// - Returns: the play with what was discovered, and the same ways to its hosts.
    /// - Throws: ``RunControllerError`` naming every host that cannot be asked or on which it is not clear what runs;
    ///   `DiagnosticsError` when a variable is still missing.
    package static func complete(
        _ play: Play,
        _ request: RunRequest,
        over hosts: HostDirectory
    ) async throws -> (play: Play, hosts: HostDirectory) {
        let isOfUse = play.knowsEtcd || !play.playbook.insertedNames.isDisjoint(with: EtcdDiscovery.names)
        guard isOfUse else { return (play, hosts) }
        let open = hosts.readOnly().etcdNodes(of: play).filter { play.allHosts[$0.name]?.unsaid.isEmpty == false }
        let findings = await withTaskGroup(of: Finding.self) { group in
            for node in open {
                group.addTask { await look(at: node, play.allHosts[node.name]) }
            }
            return await group.reduce(into: [String: Finding]()) { $0[$1.host] = $1 }
        }
        let failures = play.hosts.compactMap { findings[$0]?.failure }
        guard failures.isEmpty else {
            let isUnreachable = failures.contains { $0.code == .node }
            throw RunControllerError(
                isUnreachable ? .unreachable : .refused,
                "nothing was changed; "
                    + (isUnreachable ? "not every host could be asked" : "it is not clear what runs on the nodes")
                    + ":\n  " + failures.map { "\($0)" }.joined(separator: "\n  "),
                remedy: isUnreachable ? "`pawl check` looks at each host by itself" : nil
            )
        }
        let found = findings.mapValues(\.variables)
        let complete = try PlayLoader.load(request, discovered: found)
        return (complete, hosts.serving(complete))
    }

    /// What was found on one host, or why not.
    private struct Finding: Sendable {
        var host: String
        var variables: [String: String] = [:]
        var failure: EtcdProbeError?
    }

    private static func look(at node: EtcdNode, _ host: Play.Host?) async -> Finding {
        let unsaid = host?.unsaid ?? []
        var said: [String: String] = [:]
        for name in EtcdDiscovery.names.subtracting(unsaid) { said[name] = host?.variables[name]?.asString }
        do {
            let found = try await node.discover(said: said)
            return Finding(host: node.name, variables: found.variables.filter { unsaid.contains($0.key) })
        } catch {
            return Finding(host: node.name, failure: error)
        }
    }
}
