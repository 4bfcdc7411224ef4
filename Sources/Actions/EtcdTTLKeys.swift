// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_ttl_keys`: what a migration could not do with keys that expire, done at its end.
///
/// A TTL is in v2 and a lease in v3, and `etcdctl migrate` knows only to make keys permanent or to leave those with a TTL
/// of their own out. Here the keys are read from the v2 store of one member, with the time that they have left, and
/// written to v3 with leases of it. Each write happens only where its key is as the migration left it, so the step may be
/// done again, and what somebody has written to v3 meanwhile stays.
package struct EtcdTTLKeys: Action {
    package static let schema = ActionSchema(
        word: "etcd_ttl_keys",
        summary: """
            After a migration, write the keys that expire to v3 with leases of the time that they have left (lease), or remove \
            those that were migrated although a directory above them expires (skip). Otherwise does nothing.
            """,
        parameters: [
            TTLPolicy.parameter("What is done with keys that expire; as in `etcd_ready` and `etcd_migrate`.")
        ],
        example: """
            - name: Keys that expire
              etcd_ttl_keys: { ttl_keys: lease }
            """
    )
    package static let scope = ActionScope.cluster

    let policy: TTLPolicy

    package init(_ parameters: Parameters) throws(ActionFailure) {
        policy = TTLPolicy(parameters)
    }

    package var traits: ActionTraits {
        ActionTraits(effect: policy.leavesOut ? .repeatable : .readOnly, defaultTimeout: .seconds(600))
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("what is there already is left as it is, so that it can be done again")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        throw ActionFailure("leases are not taken back: their keys go with them when their time is over")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard policy.leavesOut else { return .switchedOff("keys that expire were not left out (\(policy.rawValue))") }
        if let transformer = try await context.transformer() {
            guard policy != .lease else {
                throw ActionFailure(
                    "which keys \(transformer) would have made of those that expire is not known, so none are written",
                    remedy: "write them to v3 as the transformer would"
                )
            }
            return .switchedOff(
                "keys that expire were left out; those in directories that expire went through \(transformer), and stay"
            )
        }
        let writing = try await V3Writing(context)
        let seen = ContinuousClock.now
        let expiring: ExpiringKeys
        do throws(EtcdProbeError) {
            expiring = try await ClusterProbe.expiringKeys(writing.node)
        } catch {
            throw ActionFailure(error)
        }
        var transactions = try await removalsOfExpired(expiring, writing)
        let removals = transactions.count
        var leases: [Int: Int64] = [:]
        if policy == .lease {
            leases = try await writing.leases(of: Set(expiring.keys.map(\.seconds)), since: seen)
            transactions += expiring.keys.map { key in
                V3Transaction(key.name, if: key.condition, .put(value: key.value, lease: leases[key.seconds]))
            }
        } else {
            transactions += expiring.keys.filter { !$0.isTemporary }.map { key in
                V3Transaction(key.name, if: .unchanged(since: key.modified), .delete)
            }
        }
        let outcome = try await writing.run(transactions)
        if policy == .lease { try await writing.revokeUnused() }
        let hash = try await writing.proveEqual()
        return evidence(expiring, leases, removals, outcome, hash)
    }

    /// Removals of keys that were migrated from directories which have expired since.
    ///
    /// Nothing writes to v2 since the freeze, which the gates have proven, so that what v3 has and v2 has not any more is
    /// of such a directory; more than there were at the freeze is not.
    private func removalsOfExpired(
        _ expiring: ExpiringKeys,
        _ writing: V3Writing
    ) async throws(ActionFailure) -> [V3Transaction] {
        let frozen = try await writing.context.number("gate_inherited_keys") ?? 0
        let gone = frozen - expiring.keys.count { !$0.isTemporary }
        guard gone > 0, let revision = try await writing.context.migratedRevision() else { return [] }
        let stores: StoreListings
        do throws(EtcdProbeError) {
            stores = try await ClusterProbe.listings(writing.node, at: revision)
        } catch {
            throw ActionFailure(error)
        }
        let left = stores.v3.keys.filter { stores.v2.keys[$0.key] == nil }
        guard left.count <= gone else {
            throw ActionFailure(
                "v3 has \(left.count) keys that v2 has not, and only \(gone) were in directories that have expired",
                remedy: "see `pawl verify` for their names; nothing was written"
            )
        }
        return left.map { V3Transaction($0.key, if: .unchanged(since: $0.value.modified), .delete) }
    }

    private func evidence(
        _ expiring: ExpiringKeys,
        _ leases: [Int: Int64],
        _ removals: Int,
        _ outcome: V3Writer.Outcome,
        _ hash: HashKV
    ) -> Evidence {
        let values = [
            "keys": "\(expiring.keys.count)", "leases": "\(leases.count)", "written": "\(outcome.written)",
            "left": "\(outcome.left)", "hash": "\(hash.hash)", "revision": "\(hash.revision)",
        ]
        let rest =
            outcome.left > 0 ? "; \(outcome.left) were written already, or are somebody else's, and are left" : ""
        let gone = removals > 0 ? "; keys of expired directories are removed" : ""
        guard policy == .lease else {
            return Evidence("\(outcome.written) keys of directories that expire are removed from v3\(rest)", values)
        }
        guard let first = leases.keys.min(), let last = leases.keys.max() else {
            return Evidence("no key expires\(gone)", values)
        }
        return Evidence(
            "\(expiring.keys.count) keys that expire are bound to \(leases.count) leases of \(first) to \(last) s\(gone)\(rest)",
            values
        )
    }
}

extension ExpiringKeys.Key {
    /// How a migration with `--no-ttl` has left it in v3.
    fileprivate var condition: V3Transaction.Condition { isTemporary ? .absent : .unchanged(since: modified) }
}
