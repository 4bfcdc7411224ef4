// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_verified`: the proof at the end that every member was migrated to the same store, and to the right one.
///
/// Everything is compared as of the revision that the migration left, so that v3 clients may already write. One member's
/// node compares its two stores by itself; that the others have the same v3 store their hashes say.
package struct EtcdVerified: Action {
    package static let schema = ActionSchema(
        word: "etcd_verified",
        summary: "Prove that all members' v3 stores are equal, and that v2 and v3 agree key by key.",
        parameters: [
            .init(
                "v2",
                .choice(["compare", "ignore"]),
                default: .string("compare"),
                "With ignore only the members' v3 stores are compared, with each other."
            ),
            .init(
                "transformer",
                .path,
                """
                The program that keys went through. Then v3 need not hold what v2 does, and they are not compared key by key: \
                the members' v3 stores are compared with each other, and within a run with the records that it made. Empty \
                means none.
                """
            ),
        ],
        example: """
            - etcd_verified: {}
            """
    )
    package static let scope = ActionScope.cluster

    private let comparesV2: Bool
    private let transformer: String?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        comparesV2 = parameters.string("v2") != "ignore"
        transformer = try requireTransformer(parameters)
    }

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
        let transformer = try await context.transformer() ?? transformer
        let views = comparesV2 && transformer == nil ? try await Self.views(reader, context) : []
        let migrated = transformer == nil ? nil : try await context.migratedRevision()
        async let compared = ClusterProbe.compareHashes(nodes, at: views.first?.revision ?? migrated)
        async let agreed = Self.agreement(reader, views)
        let comparison = await compared
        let agreement = await agreed
        try await refuseSick(comparison.states, context)
        guard let hash = comparison.common else {
            throw ActionFailure("the members' v3 stores are not equal", problems: comparison.problems)
        }
        var values = ["hash": "\(hash.hash)", "revision": "\(hash.revision)"]
        let words: String
        if let transformer {
            let transformed = try await TransformedStores(transformer, comparison.states, hash).proof(context)
            values.merge(transformed.values) { $1 }
            words = transformed.summary
        } else {
            let proof = try agreement.get()
            values["keys"] = "\(proof.keys)"
            values["how"] = proof.how
            words =
                views.isEmpty
                ? (comparesV2 ? "v2 holds no keys to compare with" : "v2 was not compared")
                : "\(proof.keys) keys agree between v2 and v3"
        }
        for node in nodes {
            for name in ["hash", "revision", "keys"] {
                guard let value = values[name] else { continue }
                values["\(node.name):\(name)"] = value
                try await context.facts.record("\(node.name):\(name)", value)
            }
        }
        return Evidence("\(nodes.count) members equal (\(hash)); \(words)", values)
    }

    // MARK: - v2 and v3

    /// A state of v3 that must be v2's.
    struct View: Sendable {
        /// Revision 0 means “the newest” to etcdctl, and 1 is the one of a store without keys.
        var revision: Int64
        /// Whether the migration left keys with a TTL of their own out.
        var withoutTTL: Bool
        /// How many keys v3 may have that v2 has forgotten, because they, or a directory above them, have expired.
        var mayHaveExpired = 0
    }

    private struct Proof: Sendable {
        var keys: Int
        var how: String
    }

    /// The views of which one must be right; none where v2 is empty.
    ///
    /// Within a run it is known what the migration left. Otherwise it is found: a migration leaves the highest of the
    /// indexes that it migrated, with or without the keys that have a TTL.
    private static func views(_ reader: EtcdNode, _ context: ActionContext) async throws(ActionFailure) -> [View] {
        let isShort = try await context.leavesTTLKeysOut()
        let gate = isShort ? "gate_permanent_max_index" : "gate_max_index"
        let noted = try await context.fact(gate).flatMap { Int64($0) }
        if let revision = try await context.migratedRevision() ?? noted {
            let expiring = try await context.number(isShort ? "gate_inherited_keys" : "gate_ttl_keys") ?? 0
            let inherited = isShort ? 0 : try await context.number("gate_inherited_keys") ?? 0
            return [View(revision: max(1, revision), withoutTTL: isShort, mayHaveExpired: expiring + inherited)]
        }
        do throws(EtcdProbeError) {
            let print = try await ClusterProbe.fingerprint(reader)
            if print.keys == 0 { return [] }
            return (print.temporaryKeys > 0 ? [true, false] : [false]).map { withoutTTL in
                let newest = Int64(clamping: print.newestIndex(withoutTTL: withoutTTL))
                return View(revision: max(1, newest), withoutTTL: withoutTTL)
            }
        } catch {
            throw ActionFailure(error)
        }
    }

    /// Compares on the node first; the stores are read here only where that does not show that they agree.
    private static func agreement(_ reader: EtcdNode, _ views: [View]) async -> Result<Proof, ActionFailure> {
        if views.isEmpty { return .success(Proof(keys: 0, how: "nothing to compare")) }
        do throws(ActionFailure) {
            for view in views {
                if let found = try? await ClusterProbe.agreement(
                    reader,
                    at: view.revision,
                    withoutTTL: view.withoutTTL
                ), found.doubt == nil {
                    return .success(Proof(keys: found.v3Keys, how: "compared on \(reader.name)"))
                }
            }
            var first: ActionFailure?
            for view in views {
                do throws(ActionFailure) {
                    return .success(try await read(reader, view))
                } catch {
                    first = first ?? error
                }
            }
            throw first ?? ActionFailure("nothing was compared")
        } catch {
            return .failure(error)
        }
    }

    private static func read(_ reader: EtcdNode, _ view: View) async throws(ActionFailure) -> Proof {
        let stores: StoreListings
        do throws(EtcdProbeError) {
            stores = try await ClusterProbe.listings(reader, at: view.revision)
        } catch {
            throw ActionFailure(error)
        }
        try compare(stores, withoutTTL: view.withoutTTL, mayHaveExpired: view.mayHaveExpired, on: reader.name)
        return Proof(keys: stores.v3.keys.count, how: "read from \(reader.name)")
    }

    /// Throws the first differences by name, with the totals of each kind.
    ///
    /// `withoutTTL` says that the migration left keys with a TTL out; `mayHaveExpired` how many keys of v3 v2 may have
    /// forgotten since the freeze: migrated, they are permanent.
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
        let differences = StoreDifferences(v2, v3)
        if differences.count == 0 { return }
        throw ActionFailure(
            "v2 and v3 differ on \(host) in \(differences.count) keys",
            problems: differences.lines(),
            remedy: "if clients still write to v2, stop them: what they write is not in v3; if the keys went through a "
                + "transformer, name it as in the run (-e migrate_transformer=PATH): then they need not agree"
        )
    }
}
