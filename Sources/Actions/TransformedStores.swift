// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote

/// What can be proven of v3 stores whose keys went through a transformer.
///
/// What it made of a key is for it to say, so that v2 and v3 cannot be compared key by key. But each member's migration
/// told how many records it made, offline and before the member was started.
struct TransformedStores: Sendable {
    private let transformer: String
    private let states: [String: MemberState]
    /// The one that all members have.
    private let hash: HashKV

    init(_ transformer: String, _ states: [String: Result<MemberState, EtcdProbeError>], _ hash: HashKV) {
        self.transformer = transformer
        self.states = states.compactMapValues { try? $0.get() }
        self.hash = hash
    }

    /// Compares the members' numbers with each other, and with the records of this run where there was one.
    ///
    /// - Returns: what is proven, and in words what is not.
    /// - Throws: where the numbers differ.
    func proof(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let found = states.mapValues { $0.count?.revision == hash.revision ? $0.count?.count : nil }
        let records = try await records(context)
        if Set(records.values).count > 1 {
            throw ActionFailure(
                "the transformer \(transformer) did not make the same number of records on all members",
                problems: records.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value) records" },
                remedy: "it must give the same for the same keys; see `pawl rehearse --transformer \(transformer)`"
            )
        }
        let keys = found.values.compactMap { $0 }
        // After the end of a run clients write, and the keys of an older revision are not counted.
        let common = keys.count == states.count && Set(keys).count == 1 ? keys.first : nil
        var values = ["how": "not key by key: the keys went through \(transformer)", "transformer": transformer]
        values["keys"] = common.map { "\($0)" }
        var words = "the keys went through \(transformer), so that v2 and v3 are not compared key by key"
        guard let made = records.values.first else {
            if let common { words += "; v3 holds \(common) keys on each member" }
            return Evidence(words, values)
        }
        values["records"] = "\(made)"
        words += "; \(made) records were made and counted before the members were started"
        guard let common else { return Evidence(words, values) }
        // Records of one key with several revisions are its history, and it is counted once.
        guard try await !isEmptyBefore(context) || (min(1, made)...made).contains(common) else {
            throw ActionFailure(
                "v3 holds \(common) keys, and the transformer \(transformer) made \(made) records",
                remedy: "somebody wrote to v3 since; see who does, and `pawl rollback` where it must not be"
            )
        }
        return Evidence(words + ", v3 holds \(common) keys", values)
    }

    /// How many records each migrated member's migration made; of the one that the others got their data from, where
    /// only that was.
    private func records(_ context: ActionContext) async throws(ActionFailure) -> [String: Int] {
        var records: [String: Int] = [:]
        for target in context.cluster {
            let name = target.host.name
            guard try await context.fact("migrated_revision", of: name) != nil else { continue }
            records[name] = try await context.fact("migrated_keys", of: name).flatMap(Int.init)
        }
        return records
    }

    private func isEmptyBefore(_ context: ActionContext) async throws(ActionFailure) -> Bool {
        for target in context.cluster {
            guard let keys = try await context.fact("v3_keys", of: target.host.name) else { continue }
            if keys != "0" { return false }
        }
        return true
    }
}
