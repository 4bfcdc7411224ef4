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
    /// Hashes the v3 store of every member and compares, at a revision or at the newest that any member has.
    ///
    /// Where writes go on, members are seen at different revisions. Then the hash is taken again at the highest of them,
    /// which a member that is merely a little behind reaches at once. It must not be the lowest: a member that misses
    /// data equals the others up to the point from which it misses it. A compaction between two members' hashes is
    /// waited out the same way.
    package static func compareHashes(
        _ nodes: [EtcdNode],
        at revision: Int64? = nil
    ) async -> HashComparison {
        let names = Set(nodes.map(\.name))
        var asked = revision
        var comparison = HashComparison(states: [:], common: nil, problems: [])
        for attempt in 0..<6 {
            if attempt > 1 { try? await Task.sleep(for: .milliseconds(150)) }
            let states = await states(nodes, fingerprints: false, hashed: names, at: asked)
            comparison = compare(states)
            if comparison.common != nil { break }
            let hashes = states.values.compactMap { try? $0.get().hash }
            let isBehind = states.values.contains { (try? $0.get().isBehind) == true }
            let isSplit = Set(hashes.map(\.revision)).count > 1 || Set(hashes.map(\.compactRevision)).count > 1
            guard isBehind || (isSplit && hashes.count == nodes.count) else { break }
            if asked == nil { asked = hashes.map(\.revision).max() }
        }
        return comparison
    }

    /// Compares hashes that were taken.
    ///
    /// Every host counts; one without a hash is a problem, not an exception.
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
                    problems.append("\(name): no hash of its v3 store: \(state.hashRefusal ?? "not asked for")")
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
