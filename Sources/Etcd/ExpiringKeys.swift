// SPDX-License-Identifier: Apache-2.0

import Remote

/// The v2 keys of a member that will expire, by themselves or with a directory above them, as of one moment.
package struct ExpiringKeys: Sendable, Hashable {
    package struct Key: Sendable, Hashable {
        package var name: [UInt8]
        package var value: [UInt8]
        package var created: UInt64
        package var modified: UInt64
        /// The seconds that are left, rounded up: its own or those of a directory above it, whichever end first.
        package var seconds: Int
        /// Whether it has a TTL of its own, so that `--no-ttl` has left it out.
        package var isTemporary: Bool
    }

    package var keys: [Key]

    /// Reads what ``script(_:)`` prints: a directory or a key on each line, a directory before what is in it.
    package init?(_ body: ArraySlice<UInt8>) {
        var found: [Key] = []
        var directories: [(prefix: [UInt8], seconds: Int)] = []
        for line in body.split(separator: UInt8(ascii: "\n")) {
            guard let node = Node(line), let seconds = node.seconds(below: directories) else { return nil }
            guard let value = node.value else {
                directories.append((node.name + [UInt8(ascii: "/")], seconds))
                continue
            }
            found.append(
                Key(
                    name: node.name,
                    value: value,
                    created: node.created,
                    modified: node.modified,
                    seconds: seconds,
                    isTemporary: node.ttl != nil
                )
            )
        }
        keys = found
    }

    private struct Node {
        var name: [UInt8] = []
        /// A directory has none.
        var value: [UInt8]?
        var ttl: Int?
        var (created, modified): (UInt64, UInt64) = (0, 0)

        init?(_ line: ArraySlice<UInt8>) {
            var reader = JSONReader(line)
            var node = (name: [UInt8](), value: [UInt8]?.none, ttl: Int?.none, created: UInt64(0), modified: UInt64(0))
            do throws(JSONReader.Malformed) {
                try reader.object { reader, member throws(JSONReader.Malformed) in
                    switch String(decoding: member, as: UTF8.self) {
                    case "key": node.name = try reader.string()
                    case "value": node.value = try reader.string()
                    case "ttl": node.ttl = Int(clamping: try reader.integer())
                    case "createdIndex": node.created = try reader.integer()
                    case "modifiedIndex": node.modified = try reader.integer()
                    default: try reader.skip()
                    }
                }
            } catch {
                return nil
            }
            guard !node.name.isEmpty, reader.isAtEnd() else { return nil }
            (name, value, ttl, created, modified) = node
        }

        /// What is left of it, at least a second; `nil` when nothing says so.
        func seconds(below directories: [(prefix: [UInt8], seconds: Int)]) -> Int? {
            let above = directories.filter { name.starts(with: $0.prefix) }.map(\.seconds)
            return ([ttl].compactMap(\.self) + above).min().map { max(1, $0) }
        }
    }

    /// Reads the member's own v2 keys, and lets only those that expire leave the node.
    ///
    /// It cuts JSON as ``Fingerprint/script(_:)`` does, and for the same reasons may. A TTL that has run out is told as
    /// a negative one until the leader has removed the key.
    static func script(_ settings: EtcdSettings) -> String {
        let curl = ShellQuoting.line(
            ["curl", "-q", "-f"] + settings.curlWords(seconds: 120)
                + [
                    "--speed-limit", "1", "--speed-time", "10",
                    settings.baseURL + "/v2/keys/?recursive=true&sorted=true",
                ]
        )
        return """
            { \(curl) || printf '\\n{"key":pawl failed'; } | awk \(ShellQuoting.quote(program))
            """
    }

    private static let program = #"""
        BEGIN { RS = "[{]\"key\":" }
        /^pawl failed/ { exit 3 }
        NR == 1 { if (index($0, "\"key\":")) exit 4; next }
        function isBelow() { return below != "" && substr($0, 1, length(below)) == below }
        function tell(node) {
            sub(/"ttl":-[0-9]+/, "\"ttl\":0", node)
            print "{\"key\":" node "}"
        }
        index($0, "\"value\":") {
            if (!match($0, /"modifiedIndex":[0-9]+,"createdIndex":[0-9]+/)) exit 5
            node = substr($0, 1, RSTART + RLENGTH - 1)
            if (isBelow() || index(node, ",\"expiration\":")) tell(node)
            next
        }
        index($0, "\"dir\":true,\"expiration\":") {
            if (!match($0, /"ttl":-?[0-9]+/)) exit 6
            tell(substr($0, 1, RSTART + RLENGTH - 1))
            if (isBelow()) next
            match($0, /^"([^"\\]|\\.)*"/)
            below = substr($0, 1, RLENGTH - 1) "/"
        }
        """#
}

extension ClusterProbe {
    /// The v2 keys of one member that will expire.
    package static func expiringKeys(_ node: EtcdNode) async throws(EtcdProbeError) -> ExpiringKeys {
        var script = ProbeScript(node.settings)
        script.ask("expiring", ExpiringKeys.script(node.settings))
        let answer = try await script.run(on: node, label: "read the keys that expire", timeout: .seconds(150))
        return try answer.decode("expiring") { ExpiringKeys($0) }
    }

    /// What a member's `/version` says.
    package static func version(_ node: EtcdNode) async throws(EtcdProbeError) -> VersionAnswer {
        var script = ProbeScript(node.settings)
        script.ask([.version])
        let answer = try await script.run(on: node, label: "ask etcd for its version")
        return try answer.decode("version") { VersionAnswer(json: $0) }
    }
}
