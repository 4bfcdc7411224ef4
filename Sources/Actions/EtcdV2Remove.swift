// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_v2_remove`: removes all v2 data of a migrated cluster, after it was exported.
///
/// Hidden names are taken from a member's newest snapshot. One that was written since is found by `etcd_upgrade_ready` when
/// the members have written new ones; then this is done again.
package struct EtcdV2Remove: Action {
    package static let schema = ActionSchema(
        word: "etcd_v2_remove",
        summary: """
            Remove all v2 keys, hidden ones too, and v2 users and roles, after an export on the first host. v3 is not touched. \
            It cannot be undone.
            """,
        parameters: [
            .init(
                "export_to",
                .path,
                required: true,
                "Where the export goes: TO/HOST-RUN-v2, keys.json and the newest snapshot."
            ),
            .init(
                "guard",
                .boolean,
                default: .bool(false),
                "Put a key where each directory or key in / was, so that old clients fail instead of beginning anew. It is v2 data, so etcd 3.6 refuses it."
            ),
        ],
        example: """
            - name: Remove v2 data
              etcd_v2_remove: { export_to: /var/backups/pawl, guard: false }
            """
    )
    package static let scope = ActionScope.cluster
    private static let words = "migrated+to+the+v3+store"

    private let exportDir: String
    private let isGuarded: Bool

    package init(_ parameters: Parameters) throws(ActionFailure) {
        exportDir = try requirePath(parameters.string("export_to"), "export_to")
        isGuarded = parameters.boolean("guard") ?? false
    }

    package var traits: ActionTraits { ActionTraits(effect: .repeatable, defaultTimeout: .seconds(900)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("what is gone stays gone, so that it can be done again")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        throw ActionFailure("removed v2 keys are not put back; their export is in \(exportDir)")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard let target = context.cluster.first else { throw ActionFailure("etcd_v2_remove needs at least one host") }
        let node = target.etcdNode
        let removal = V2Removal(node)
        let roots = try await look(node)
        if roots.isAuthOn {
            throw ActionFailure(
                "v2 authentication is on, and pawl has no password for it",
                remedy: "turn it off first: ETCDCTL_API=2 etcdctl -u root auth disable"
            )
        }
        let path = "\(exportDir)/\(ColdBackup.fileName(node.name))-\(context.run)-v2"
        let export = try await target.report(removal.exportCommand(to: path, timeout: context.timeout))
        let names = try await guarded(roots, context)
        if !roots.isEmpty { _ = try await target.report(removal.removeCommand(roots, timeout: context.timeout)) }
        let left = try await look(node)
        let unguarded = left.nodes.filter { !names.contains($0.name) && !$0.name.hasPrefix("/_") }
        if !unguarded.isEmpty || !left.users.isEmpty || !left.roles.isEmpty {
            let all = unguarded.map(\.name) + left.users.map { "user \($0)" } + left.roles.map { "role \($0)" }
            throw ActionFailure(
                "v2 data is left: \(all.prefix(10).joined(separator: ", "))",
                remedy: "stop whoever writes to v2, then `pawl resume`"
            )
        }
        if !names.isEmpty {
            let command = removal.guardCommand(names, words: Self.words, timeout: context.timeout)
            _ = try await target.report(command)
        }
        let hidden = roots.nodes.count { $0.name.hasPrefix("/_") }
        return Evidence(
            "\(roots.nodes.count) keys and directories in / are removed from v2, \(hidden) of them hidden, and "
                + "\(roots.users.count) users and \(roots.roles.count) roles; exported to \(node.name):\(path)"
                + (names.isEmpty ? "" : "; \(names.count) names are guarded, which etcd 3.6 refuses"),
            [
                "export": path, "bytes": export["bytes"] ?? "", "removed": "\(roots.nodes.count)",
                "guards": "\(names.count)",
            ]
        )
    }

    /// The names that get a guard: those that were there when the step was tried first, because a second attempt finds
    /// guards, or nothing.
    private func guarded(_ roots: V2Roots, _ context: ActionContext) async throws(ActionFailure) -> [String] {
        guard isGuarded else { return [] }
        if let noted = try await context.fact("v2_guards") { return noted.split(separator: "\n").map(String.init) }
        let names = roots.nodes.map(\.name).filter { !$0.hasPrefix("/_") && !$0.contains("\n") }
        try await context.facts.record("v2_guards", names.joined(separator: "\n"))
        return names
    }

    private func look(_ node: EtcdNode) async throws(ActionFailure) -> V2Roots {
        do throws(EtcdProbeError) {
            return try await ClusterProbe.v2Roots(node)
        } catch {
            throw ActionFailure(error)
        }
    }
}
