// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_migrated`: the proof, while all members are stopped, that all were migrated to the same store.
///
/// Each member was migrated from its own log, and the logs need not end alike: a key that expired, or somebody's write, in the
/// moment of the stops may be in some of them only. The stores are what counts, so those are compared, before any
/// member serves.
package struct EtcdMigrated: Action {
    package static let schema = ActionSchema(
        word: "etcd_migrated",
        summary: """
            Prove, while all members are stopped, that this one was migrated to the same revision and number of keys as all \
            others, and note how far its log reaches.
            """,
        parameters: [.dataDir],
        example: """
            - etcd_migrated: { data_dir: /var/lib/etcd/default }
            """
    )
    package static let scope = ActionScope.host

    private let dataDir: String

    package init(_ parameters: Parameters) throws(ActionFailure) {
        dataDir = try requirePath(parameters.string("data_dir"), "data_dir")
    }

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(300)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a proof is made anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the step only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        // As when it is proven that a member was taken back.
        guard try await context.hostFact("migrated_revision") != nil else {
            return Evidence("the member is not migrated: there is nothing to compare")
        }
        let report = try await context.requiredTarget().report(
            ConsistentIndex.command(dataDir: dataDir, timeout: context.timeout)
        )
        guard let index = report["index"].flatMap(UInt64.init) else {
            throw ActionFailure("the node did not tell the index of its db")
        }
        var stores: [(host: String, revision: String, keys: String)] = []
        for target in context.cluster {
            let host = target.host.name
            guard let revision = try await context.fact("migrated_revision", of: host),
                let keys = try await context.fact("migrated_keys", of: host)
            else {
                throw ActionFailure(
                    "\(host) is not migrated, so the members cannot be compared",
                    remedy: "this step belongs behind `etcd_migrate` in a playbook with `serial: all`"
                )
            }
            stores.append((host, revision, keys))
        }
        guard Set(stores.map { "\($0.revision) \($0.keys)" }).count == 1, let store = stores.first else {
            throw ActionFailure(
                "the members were not migrated to the same store",
                problems: stores.map { "\($0.host): revision \($0.revision), \($0.keys) keys" },
                remedy:
                    "a key expired, or somebody wrote, while the members stopped; with the members back in service, see "
                    + "that nothing writes and that they stop quickly, then `pawl resume`"
            )
        }
        try await context.record(Self.index, String(index))
        return Evidence(
            "all \(stores.count) members are at revision \(store.revision) with \(store.keys) keys; its log reached \(index)",
            ["revision": store.revision, "keys": store.keys, "index": String(index)]
        )
    }

    /// Fact of a host: the raft index that its migrated db is marked with.
    static let index = "migrated_index"
}
