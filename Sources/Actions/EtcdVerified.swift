// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_verified`: the proof at the end that every member was migrated to the same store, and to the right one.
///
/// Everything is compared as of the revision that the migration left, so that v3 clients may already write.
package struct EtcdVerified: Action {
    package static let schema = ActionSchema(
        word: "etcd_verified",
        summary: "Prove that all members' v3 stores are equal, and that v2 and v3 agree key by key.",
        parameters: [],
        example: """
            - etcd_verified: {}
            """
    )
    package static let scope = ActionScope.cluster

    package init(_ parameters: Parameters) throws(ActionFailure) {}

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(600)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a proof is made anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the step only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let nodes = context.etcdNodes
        guard let reader = nodes.last else { throw ActionFailure("etcd_verified needs at least one host") }
        let isShort = try await context.leavesTTLKeysOut()
        let fact = isShort ? "gate_permanent_max_index" : "gate_max_index"
        let frozen = try await context.fact(fact).flatMap { Int64($0) }
        let migrated = try await Self.migratedRevision(context, frozen: frozen)
        // Revision 0 means “the newest” to etcdctl, and 1 is the one of a store without keys.
        let revision = migrated.map { max($0, 1) }
        async let compared = ClusterProbe.compareHashes(nodes, at: revision)
        async let read = Self.listings(reader, at: revision)
        let comparison = await compared
        try await refuseSick(comparison.states, context)
        guard let hash = comparison.common else {
            throw ActionFailure("the members' v3 stores are not equal", problems: comparison.problems)
        }
        let stores: StoreListings
        do throws(EtcdProbeError) { stores = try (await read).get() } catch { throw ActionFailure(error) }
        let expired = try await context.fact("gate_ttl_keys").flatMap { Int($0) } ?? 0
        try Self.compare(stores, withoutTTL: isShort, mayHaveExpired: isShort ? 0 : expired, on: reader.name)
        var values = ["hash": "\(hash.hash)", "revision": "\(hash.revision)", "keys": "\(stores.v3.keys.count)"]
        for node in nodes {
            for name in ["hash", "revision", "keys"] {
                let value = values[name] ?? ""
                values["\(node.name):\(name)"] = value
                try await context.facts.record("\(node.name):\(name)", value)
            }
        }
        return Evidence(
            "\(nodes.count) members equal (\(hash)); \(stores.v3.keys.count) keys agree between v2 and v3",
            values
        )
    }

    /// The revision that the migration left: the highest index at the freeze, or below it where the newest key expired before
    /// its member was migrated.
    private static func migratedRevision(
        _ context: ActionContext,
        frozen: Int64?
    ) async throws(ActionFailure) -> Int64? {
        guard var lowest = frozen else { return nil }
        for target in context.cluster {
            let revision = try await context.fact("migrated_revision", of: target.host.name).flatMap { Int64($0) }
            lowest = min(lowest, revision ?? lowest)
        }
        return lowest
    }

    private static func listings(
        _ node: EtcdNode,
        at revision: Int64?
    ) async -> Result<StoreListings, EtcdProbeError> {
        do throws(EtcdProbeError) {
            return .success(try await ClusterProbe.listings(node, at: revision))
        } catch {
            return .failure(error)
        }
    }

    /// Throws the first differences by name.
    ///
    /// `withoutTTL` says that the migration left keys with a TTL out; `mayHaveExpired` how many keys had one at the
    /// freeze, when it did not: migrated, they are permanent, and v2 forgets them.
    static func compare(
        _ stores: StoreListings,
        withoutTTL: Bool,
        mayHaveExpired: Int = 0,
        on host: String
    ) throws(ActionFailure) {
        var (v2, v3) = (stores.v2, stores.v3)
        if withoutTTL { v2.keys = v2.keys.filter { !$0.value.expires } }
        let onlyInV3 = v3.keys.keys.filter { v2.keys[$0] == nil }
        if onlyInV3.count <= mayHaveExpired { for key in onlyInV3 { v3.keys[key] = nil } }
        let differences = v2.differences(from: v3, names: ("v2", "v3"))
        if differences.count == 0 { return }
        let rest = differences.count - differences.lines.count
        throw ActionFailure(
            "v2 and v3 differ on \(host) in \(differences.count) keys",
            problems: differences.lines + (rest > 0 ? ["and \(rest) more keys"] : []),
            remedy: "if clients still write to v2, stop them: what they write is not in v3"
        )
    }
}
