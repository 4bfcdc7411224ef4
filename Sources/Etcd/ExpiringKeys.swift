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
    /// The directories that expire, by themselves or with one above them.
    package var directories: [ExpiringDirectory]

    /// Reads what ``script(_:)`` prints: a directory or a key on each line, a directory before what is in it.
    package init?(_ body: ArraySlice<UInt8>) {
        (keys, directories) = ([], [])
        for line in body.split(separator: UInt8(ascii: "\n")) {
            guard let node = Self.node(line), let seconds = node.seconds(below: directories) else { return nil }
            guard let value = node.value else {
                directories.append(ExpiringDirectory(prefix: node.name + [UInt8(ascii: "/")], seconds: seconds))
                continue
            }
            keys.append(
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
    }

    private static func node(_ line: ArraySlice<UInt8>) -> V2Node? {
        var reader = JSONReader(line)
        var nodes: [V2Node] = []
        do throws(JSONReader.Malformed) {
            try V2Node.read(&reader, into: &nodes)
        } catch {
            return nil
        }
        return nodes.count == 1 && reader.isAtEnd() ? nodes.first : nil
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
