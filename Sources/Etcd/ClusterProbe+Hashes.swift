// SPDX-License-Identifier: Apache-2.0

/// What comparing the v3 stores of all members gave.
package struct HashComparison: Sendable {
    package var states: [String: Result<MemberState, EtcdProbeError>]
    /// The hash that all have; `nil` when they differ, or one has none.
    package var common: HashKV?
    /// What differs, one line per group of equal members, or who did not answer.
    package var problems: [String]
}

extension ClusterProbe {
    /// Hashes the v3 store of every member and compares.
    ///
    /// Where writes go on, members are seen at different revisions. Then the hash is taken again at the lowest of them,
    /// which all have; a compaction between two members' hashes is waited out the same way.
    ///
    /// - Parameter revision: the revision to compare at; the newest common one where `nil`.
    package static func compareHashes(
        _ nodes: [EtcdNode],
        at revision: Int64? = nil,
        fingerprints: Bool = false
    ) async -> HashComparison {
        var asked = revision
        var comparison = HashComparison(states: [:], common: nil, problems: [])
        for _ in 0..<4 {
            let states = await states(
                nodes,
                fingerprints: fingerprints,
                hashed: Set(nodes.map(\.name)),
                at: asked
            )
            comparison = compare(states)
            let hashes = states.values.compactMap { try? $0.get().hash }
            let isDefinite =
                Set(hashes.map(\.revision)).count == 1 && Set(hashes.map(\.compactRevision)).count == 1
            if comparison.common != nil || isDefinite || hashes.count < nodes.count { break }
            asked = revision ?? hashes.map(\.revision).min()
        }
        return comparison
    }

    /// Compares hashes that were taken. Every host counts; one without a hash is a problem, not an exception.
    package static func compare(_ states: [String: Result<MemberState, EtcdProbeError>]) -> HashComparison {
        var problems: [String] = []
        var groups: [HashKV: [String]] = [:]
        for (name, result) in states.sorted(by: { $0.key < $1.key }) {
            switch result {
            case .failure(let error): problems.append(error.description)
            case .success(let state):
                if let hash = state.hash {
                    groups[hash, default: []].append(name)
                } else {
                    problems.append("\(name): no hash of its v3 store")
                }
            }
        }
        if groups.count > 1 {
            problems += groups.sorted { $0.value[0] < $1.value[0] }
                .map { "\($0.value.joined(separator: ", ")): \($0.key)" }
        }
        let common = problems.isEmpty && groups.count == 1 ? groups.keys.first : nil
        return HashComparison(states: states, common: common, problems: problems)
    }
}
