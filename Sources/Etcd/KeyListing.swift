// SPDX-License-Identifier: Apache-2.0

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
        var reader = JSONReader(json)
        var found: [Name: StoredKey] = [:]
        var hasNode = false
        do throws(JSONReader.Malformed) {
            try reader.object { reader, name throws(JSONReader.Malformed) in
                guard name == Member.node else { return try reader.skip() }
                hasNode = true
                try Self.node(&reader, into: &found)
            }
        } catch {
            return nil
        }
        guard hasNode, reader.isAtEnd() else { return nil }
        keys = found
    }

    private enum Member {
        static let node = Array("node".utf8)
        static let nodes = Array("nodes".utf8)
        static let key = Array("key".utf8)
        static let value = Array("value".utf8)
        static let expiration = Array("expiration".utf8)
        static let modifiedIndex = Array("modifiedIndex".utf8)
        static let createdIndex = Array("createdIndex".utf8)
        static let header = Array("header".utf8)
        static let kvs = Array("kvs".utf8)
        static let createRevision = Array("create_revision".utf8)
        static let modRevision = Array("mod_revision".utf8)
    }

    private static func node(
        _ reader: inout JSONReader,
        into keys: inout [Name: StoredKey]
    ) throws(JSONReader.Malformed) {
        var key: Name?
        var value: [UInt8]?
        var (created, modified): (UInt64, UInt64) = (0, 0)
        var expires = false
        try reader.object { reader, name throws(JSONReader.Malformed) in
            switch name {
            case Member.key: key = try reader.string()
            case Member.value: value = try reader.string()
            case Member.modifiedIndex: modified = try reader.integer()
            case Member.createdIndex: created = try reader.integer()
            case Member.nodes:
                try reader.array { reader throws(JSONReader.Malformed) in try Self.node(&reader, into: &keys) }
            default:
                if name == Member.expiration { expires = true }
                try reader.skip()
            }
        }
        guard let key, let value else { return }
        keys[key] = StoredKey(value: value, created: created, modified: modified, expires: expires)
    }

    /// Reads `etcdctl get "" --from-key -w json`, which leaves out `kvs` when there is none and a value that is empty.
    package init?(v3 json: ArraySlice<UInt8>) {
        var reader = JSONReader(json)
        var found: [Name: StoredKey] = [:]
        var hasHeader = false
        do throws(JSONReader.Malformed) {
            try reader.object { reader, name throws(JSONReader.Malformed) in
                guard name == Member.kvs else {
                    if name == Member.header { hasHeader = true }
                    return try reader.skip()
                }
                try reader.array { reader throws(JSONReader.Malformed) in try Self.pair(&reader, into: &found) }
            }
        } catch {
            return nil
        }
        guard hasHeader, reader.isAtEnd() else { return nil }
        keys = found
    }

    /// Reads the answer of `kv/txn` to ranges.
    init?(v3Responses json: ArraySlice<UInt8>) {
        var reader = JSONReader(json)
        var found: [Name: StoredKey] = [:]
        do throws(JSONReader.Malformed) {
            try reader.object { reader, name throws(JSONReader.Malformed) in
                guard name == Array("responses".utf8) else { return try reader.skip() }
                try reader.array { reader throws(JSONReader.Malformed) in
                    try reader.object { reader, name throws(JSONReader.Malformed) in
                        guard name == Array("response_range".utf8) else { throw JSONReader.Malformed() }
                        try reader.object { reader, name throws(JSONReader.Malformed) in
                            guard name == Member.kvs else { return try reader.skip() }
                            try reader.array { reader throws(JSONReader.Malformed) in
                                try Self.pair(&reader, into: &found)
                            }
                        }
                    }
                }
            }
        } catch {
            return nil
        }
        guard reader.isAtEnd() else { return nil }
        keys = found
    }

    private static func pair(
        _ reader: inout JSONReader,
        into keys: inout [Name: StoredKey]
    ) throws(JSONReader.Malformed) {
        var key: Name?
        var stored = StoredKey(value: [], created: 0, modified: 0)
        try reader.object { reader, name throws(JSONReader.Malformed) in
            switch name {
            case Member.key: key = try reader.base64()
            case Member.value: stored.value = try reader.base64()
            case Member.createRevision: stored.created = try reader.integer()
            case Member.modRevision: stored.modified = try reader.integer()
            default: try reader.skip()
            }
        }
        guard let key, stored.modified > 0 else { throw JSONReader.Malformed() }
        keys[key] = stored
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
