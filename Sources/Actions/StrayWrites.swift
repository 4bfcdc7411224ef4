// SPDX-License-Identifier: Apache-2.0

import Etcd

/// Finds the names of keys that were written although nobody should, after digests have told that some were.
///
/// The stores themselves remember their last writes; they are read, and values digested, on the nodes. Only where a store
/// does not remember as far back are keys read themselves: the one place where a gate does so.
struct StrayWrites: Sendable {
    let nodes: [EtcdNode]
    let migrated: Set<String>
    /// Each host's digest now.
    let digests: [String: String]
    /// The digest at the freeze.
    let recorded: String?

    /// Lines that name up to ten keys, with what was done to them, digests of their values, and where they are missing.
    func named(
        newest: UInt64?,
        keys: UInt64?,
        _ prints: [String: Fingerprint]
    ) async -> [String] {
        let groups = Dictionary(grouping: nodes.map(\.name), by: { digests[$0] ?? "" })
        let representatives = groups.values.compactMap(\.first).sorted()
        do throws(EtcdProbeError) {
            if let newest, recorded != nil, let lines = try await remembered(since: newest, groups) { return lines }
            if representatives.count > 1 { return try await between(representatives) }
            guard let name = representatives.first, let node = node(name) else { return [] }
            if let witness = nodes.first(where: { migrated.contains($0.name) }) {
                return try await since(witness)
            }
            return Self.above(newest, keys, try await ClusterProbe.v2Listing(node), on: groups.values.first ?? [])
        } catch {
            return ["the keys cannot be named: \(error)"]
        }
    }

    private func node(_ name: String) -> EtcdNode? { nodes.first { $0.name == name } }

    // MARK: - What the stores remember

    /// The writes since the freeze, from the memory of one member of each group that differs from the freeze.
    ///
    /// `nil` where a store does not remember as far back, or remembers nothing that explains its digest.
    private func remembered(
        since newest: UInt64,
        _ groups: [String: [String]]
    ) async throws(EtcdProbeError) -> [String]? {
        var holders: [StoreChange: [String]] = [:]
        var hasMore = false
        for (digest, names) in groups where digest != recorded {
            guard let name = names.first, let node = node(name) else { continue }
            let told = try await ClusterProbe.v2Changes(node, from: newest + 1)
            if told.isCleared || told.changes.isEmpty { return nil }
            for change in told.changes { holders[change, default: []] += names }
            hasMore = hasMore || told.hasMore
        }
        let changes = holders.keys.sorted { ($0.index, $0.key) < ($1.index, $1.key) }
        let lines = changes.prefix(10).map { "\($0.words); \(whereabouts(holders[$0] ?? []))" }
        return lines + (hasMore || changes.count > lines.count ? ["and more writes after these"] : [])
    }

    /// Who has a write, who does not, and whose v3 data was made before it.
    private func whereabouts(_ holders: [String]) -> String {
        let all = nodes.map(\.name)
        let behind = all.filter { !holders.contains($0) }
        let without = all.filter(migrated.contains)
        return [
            holders.count == all.count
                ? "on all members" : "on \(all.filter(holders.contains).joined(separator: ", "))",
            behind.isEmpty ? nil : "behind: \(behind.joined(separator: ", "))",
            without.isEmpty ? nil : "migrated without it: \(without.joined(separator: ", "))",
        ].compactMap(\.self).joined(separator: "; ")
    }

    /// The writes to a member's v3 store above a revision, or why they cannot be named.
    static func inV3(_ node: EtcdNode, above revision: Int64) async -> [String] {
        do throws(EtcdProbeError) {
            let told = try await ClusterProbe.v3Changes(node, from: revision + 1)
            return told.changes.map { "\(node.name), v3: \($0.words)" }
                + (told.hasMore ? ["\(node.name), v3: and more writes after these"] : [])
        } catch {
            return ["\(node.name): the v3 keys cannot be named: \(error)"]
        }
    }

    // MARK: - What the keys show

    /// Members that differ from each other: one that is as it was, if there is one, against each of the others.
    private func between(_ names: [String]) async throws(EtcdProbeError) -> [String] {
        let reference = names.first { digests[$0] == recorded } ?? names[0]
        guard let referenceNode = node(reference) else { return [] }
        let expected = try await ClusterProbe.v2Listing(referenceNode)
        var lines: [String] = []
        for name in names where name != reference {
            guard let other = node(name) else { continue }
            let listing = try await ClusterProbe.v2Listing(other)
            lines += Self.lines(expected.differences(from: listing, names: (reference, name)))
        }
        return lines
    }

    /// All members agree on what was written: a migrated member's v3 store still is as v2 was.
    private func since(_ witness: EtcdNode) async throws(EtcdProbeError) -> [String] {
        let stores = try await ClusterProbe.listings(witness)
        return Self.lines(stores.v2.differences(from: stores.v3, names: ("v2 now", "at the freeze")))
    }

    /// No copy of the frozen store exists: keys above its highest index were written since, and deleted ones are counted.
    static func above(_ newest: UInt64?, _ keys: UInt64?, _ listing: KeyListing, on hosts: [String]) -> [String] {
        guard let newest, let keys else { return [] }
        let written = listing.keys.filter { $0.value.modified > newest }.sorted {
            $0.key.lexicographicallyPrecedes($1.key)
        }
        var lines = written.prefix(10)
            .map {
                "\(String(decoding: $0.key, as: UTF8.self)) (written at index \($0.value.modified) on \(hosts.joined(separator: ", ")), \($0.value.digest))"
            }
        if written.count > 10 { lines.append("and \(written.count - 10) more keys") }
        let created = written.filter { $0.value.created > newest }.count
        let deleted = Int(keys) + created - listing.keys.count
        if deleted > 0 { lines.append("\(deleted) keys were deleted or have expired") }
        return lines
    }

    private static func lines(_ differences: (count: Int, lines: [String])) -> [String] {
        differences.count > differences.lines.count
            ? differences.lines + ["and \(differences.count - differences.lines.count) more keys"] : differences.lines
    }
}
