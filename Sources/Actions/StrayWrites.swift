// SPDX-License-Identifier: Apache-2.0

import Etcd

/// Finds the names of keys that were written although nobody should, after digests have told that some were.
///
/// This is the one place where a gate reads keys themselves, and only after it has already failed.
struct StrayWrites: Sendable {
    let nodes: [EtcdNode]
    let migrated: Set<String>
    /// Each host's digest now.
    let digests: [String: String]
    /// The digest at the freeze.
    let recorded: String?

    /// Lines that name up to ten keys, with the members and indexes.
    func named(
        newest: UInt64?,
        keys: UInt64?,
        _ prints: [String: Fingerprint]
    ) async -> [String] {
        let groups = Dictionary(grouping: nodes.map(\.name), by: { digests[$0] ?? "" })
        let representatives = groups.values.compactMap(\.first).sorted()
        do throws(EtcdProbeError) {
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
