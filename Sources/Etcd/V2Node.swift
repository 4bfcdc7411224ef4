// SPDX-License-Identifier: Apache-2.0

/// A key or a directory of the v2 store, as the v2 API tells it.
struct V2Node: Sendable {
    var name: [UInt8] = []
    /// A directory has none.
    var value: [UInt8]?
    /// The seconds that are left of its own time; not positive when that is over and the leader has not removed it yet.
    var ttl: Int?
    var (created, modified): (UInt64, UInt64) = (0, 0)

    /// Reads a node and all that is told below it, a directory before what is in it.
    static func read(_ reader: inout JSONReader, into nodes: inout [V2Node]) throws(JSONReader.Malformed) {
        let place = nodes.count
        nodes.append(V2Node())
        var node = V2Node()
        try reader.object { reader, member throws(JSONReader.Malformed) in
            switch String(decoding: member, as: UTF8.self) {
            case "key": node.name = try reader.string()
            case "value": node.value = try reader.string()
            case "ttl": node.ttl = try reader.signedInteger()
            case "createdIndex": node.created = try reader.integer()
            case "modifiedIndex": node.modified = try reader.integer()
            case "nodes":
                try reader.array { reader throws(JSONReader.Malformed) in try read(&reader, into: &nodes) }
            default: try reader.skip()
            }
        }
        if node.name.isEmpty { throw JSONReader.Malformed() }
        nodes[place] = node
    }

    /// What is left of it, at least a second: its own time or that of a directory above it, whichever ends first; `nil`
    /// when nothing ends.
    func seconds(below directories: [ExpiringDirectory]) -> Int? {
        let above = directories.filter { name.starts(with: $0.prefix) }.map(\.seconds)
        return ([ttl].compactMap(\.self) + above).min().map { max(1, $0) }
    }
}

/// A directory of the v2 store that expires, with all that is in it.
package struct ExpiringDirectory: Sendable, Hashable {
    /// Its name with a slash behind it.
    package var prefix: [UInt8]
    /// The seconds that are left, at least one.
    package var seconds: Int
}
