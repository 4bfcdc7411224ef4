// SPDX-License-Identifier: Apache-2.0

/// The hidden keys of a member with their values, as of one moment.
///
/// They go into memory only, over the encrypted connection.
package struct HiddenListing: Sendable {
    package typealias Name = KeyListing.Name

    package var keys = KeyListing([:])
    /// The seconds that are left of those that expire: by themselves, or with a directory above them.
    package var seconds: [Name: Int] = [:]
    /// Of those that expire the ones whose own time, or a hidden directory's, is what ends.
    package var temporary: Set<Name> = []
    /// Keys in whose name or value the API has put U+FFFD for bytes that are not UTF-8.
    package var altered: [Name] = []

    /// Keys that do not expire, which members must have alike whenever they are asked.
    package var lasting: KeyListing { KeyListing(keys.keys.filter { seconds[$0.key] == nil }) }

    /// Names in the order of their bytes, as they may be shown.
    package static func shown(_ names: some Collection<Name>) -> [String] {
        names.sorted { $0.lexicographicallyPrecedes($1) }.map { String(decoding: $0, as: UTF8.self) }
    }

    init(_ answer: ProbeAnswer) throws(EtcdProbeError) {
        let above = try answer.decode("expiring") { ExpiringKeys($0) }.directories
        var asked = 0
        var counts: [Substring: Int] = [:]
        var body: ArraySlice<UInt8>?
        var nodes: [V2Node] = []
        for line in try answer.body("hidden").split(separator: UInt8(ascii: "\n")) {
            if line.first == UInt8(ascii: "{") {
                body = line
                continue
            }
            let words = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 1)
            guard words.count == 2 else { continue }
            if words[0] != "asked" {
                counts[words[0]] = Int(words[1])
                continue
            }
            asked += 1
            switch words[1] {
            case "404": break
            case "200": try add(body, to: &nodes, answer)
            default: throw answer.error(.noAnswer, "etcd does not tell a hidden key: HTTP \(words[1])")
            }
            body = nil
        }
        guard counts["wal_files"] ?? 0 > 0 else {
            throw answer.error(
                .noAnswer,
                "the WAL cannot be read, so hidden keys cannot be found",
                remedy: "use become: true, and set etcd_wal_dir where it is not in the data dir"
            )
        }
        guard let candidates = counts["hidden_candidates"], asked == candidates else {
            throw answer.error(.noAnswer, "etcd told \(asked) of \(counts["hidden_candidates"] ?? 0) hidden paths")
        }
        keep(nodes, above)
    }

    private mutating func add(
        _ body: ArraySlice<UInt8>?,
        to nodes: inout [V2Node],
        _ answer: ProbeAnswer
    ) throws(EtcdProbeError) {
        var found: [V2Node] = []
        do throws(JSONReader.Malformed) {
            guard let body else { throw JSONReader.Malformed() }
            var reader = JSONReader(body)
            try reader.object { reader, name throws(JSONReader.Malformed) in
                guard name == Array("node".utf8) else { return try reader.skip() }
                try V2Node.read(&reader, into: &found)
            }
            if found.isEmpty { throw JSONReader.Malformed() }
            if Self.isAltered(body) { altered += found.filter { $0.value != nil }.map(\.name) }
        } catch {
            throw answer.error(.unparsable, "the answer to a hidden path is not understood")
        }
        nodes += found
    }

    /// A path may be told more than once: by itself, and with a directory above it.
    private mutating func keep(_ nodes: [V2Node], _ above: [ExpiringDirectory]) {
        let inside = nodes.compactMap { node -> ExpiringDirectory? in
            guard node.value == nil, let ttl = node.ttl else { return nil }
            return ExpiringDirectory(prefix: node.name + [UInt8(ascii: "/")], seconds: max(1, ttl))
        }
        for node in nodes {
            guard let value = node.value else { continue }
            keys.keys[node.name] = StoredKey(value: value, created: node.created, modified: node.modified)
            if node.seconds(below: inside) != nil { temporary.insert(node.name) }
            seconds[node.name] = node.seconds(below: inside + above)
        }
    }

    /// Whether Go's encoder has replaced bytes: it writes U+FFFD that is text as its own bytes.
    private static func isAltered(_ json: ArraySlice<UInt8>) -> Bool {
        let mark = Array("ufffd".utf8)
        var at = json.startIndex
        while let backslash = json[at...].firstIndex(of: UInt8(ascii: "\\")) {
            if json[(backslash + 1)...].starts(with: mark) { return true }
            at = min(backslash + 2, json.endIndex)
        }
        return false
    }
}

extension ClusterProbe {
    /// The hidden keys of every member, each from its own store.
    package static func hiddenKeys(_ nodes: [EtcdNode]) async -> [String: Result<HiddenListing, EtcdProbeError>] {
        await each(nodes) { node throws(EtcdProbeError) in
            var script = ProbeScript(node.settings)
            script.ask("hidden", HiddenKeysScript.listing(node.settings))
            // Which directories expire matters only to what is in them.
            script.ask("expiring", "[ -z \"$candidates\" ] || " + ExpiringKeys.script(node.settings))
            return try HiddenListing(
                try await script.run(on: node, label: "read the hidden keys", timeout: .seconds(300))
            )
        }
    }
}
