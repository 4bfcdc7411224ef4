// SPDX-License-Identifier: Apache-2.0

import Foundation

/// All keys of one store of one member, by the bytes of their names: Swift's strings are equal where only their
/// normalised forms are, and etcd's are not.
package struct KeyListing: Sendable {
    package typealias Name = [UInt8]
    package var keys: [Name: StoredKey]

    package init(_ keys: [Name: StoredKey]) {
        self.keys = keys
    }

    /// Reads `GET /v2/keys/?recursive=true`.
    ///
    /// Directories have no place in v3 and are left out.
    package init?(v2 json: ArraySlice<UInt8>) {
        guard let answer = decodeJSON(V2Answer.self, json) else { return nil }
        keys = [:]
        Self.collect(answer.node, into: &keys)
    }

    private struct V2Answer: Decodable {
        final class Node: Decodable {
            let key: String?
            let value: String?
            let expiration: String?
            let nodes: [Node]?
            let modifiedIndex: UInt64?
            let createdIndex: UInt64?
        }
        let node: Node
    }

    private static func collect(_ node: V2Answer.Node, into keys: inout [Name: StoredKey]) {
        if let key = node.key, let value = node.value {
            keys[Array(key.utf8)] = StoredKey(
                value: Array(value.utf8),
                created: node.createdIndex ?? 0,
                modified: node.modifiedIndex ?? 0,
                expires: node.expiration != nil
            )
        }
        for child in node.nodes ?? [] { collect(child, into: &keys) }
    }

    /// Reads `etcdctl get "" --from-key -w json`.
    package init?(v3 json: ArraySlice<UInt8>) {
        guard let answer = decodeJSON(V3Answer.self, json) else { return nil }
        keys = [:]
        keys.reserveCapacity(answer.kvs?.count ?? 0)
        for pair in answer.kvs ?? [] {
            keys[Array(pair.key)] = StoredKey(
                value: pair.value.map { Array($0) } ?? [],
                created: pair.created.unsigned,
                modified: pair.modified.unsigned
            )
        }
    }

    private struct V3Answer: Decodable {
        struct Pair: Decodable {
            let key: Data
            let value: Data?
            let created: LenientInteger
            let modified: LenientInteger
            enum CodingKeys: String, CodingKey {
                case key, value
                case created = "create_revision"
                case modified = "mod_revision"
            }
        }
        let kvs: [Pair]?
    }

    /// The first differences by name, and how many there are.
    ///
    /// `names` is what the two sides are called in the lines, as `v2` and `v3`.
    package func differences(
        from other: KeyListing,
        names: (String, String),
        limit: Int = 10
    ) -> (count: Int, lines: [String]) {
        let differing = keys.filter { other.keys[$0.key] != $0.value }.map(\.key)
        let missing = other.keys.keys.filter { keys[$0] == nil }
        let all = (differing + missing).sorted { $0.lexicographicallyPrecedes($1) }
        let lines = all.prefix(limit)
            .map { name in
                let sides = [(names.0, keys[name]), (names.1, other.keys[name])]
                let words = sides.map { side, key in
                    key.map { "\(side): created \($0.created), modified \($0.modified), \($0.digest)" }
                        ?? "\(side): not there"
                }
                return "\(String(decoding: name, as: UTF8.self)) (\(words.joined(separator: "; ")))"
            }
        return (all.count, lines)
    }
}
