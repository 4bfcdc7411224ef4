// SPDX-License-Identifier: Apache-2.0

import Remote

/// What a member still holds of v2: in the snapshot that a start of it would begin from, and in what was written since.
///
/// etcd 3.6 refuses to start where its newest snapshot holds v2 keys or v2 users, and panics at a v2 request in its WAL
/// (`--v2-deprecation=write-only`). A snapshot has all keys, hidden ones too, which the v2 API does not list.
package struct V2Leftovers: Sendable, Hashable {
    /// The newest snapshot's name; `nil` when there is none.
    package var snapshot: String?
    /// Keys and directories of v2 in it, and up to ten of their names.
    package var keys: Int
    package var names: [String]
    /// Users and roles of v2 in it.
    package var users: Int
    /// Whether v2 clients must log in, as the snapshot has it.
    package var isAuthOn: Bool
    /// The v2 index that the snapshot is of.
    package var index: UInt64?
    /// Whether clients have written to v2 since the snapshot; `nil` when that cannot be told.
    package var isWrittenSince: Bool?
    package var cluster: EtcdVersion?

    init(_ answer: ProbeAnswer) throws(EtcdProbeError) {
        var values: [Substring: [Substring]] = [:]
        let report = String(decoding: try answer.body("snapshot"), as: UTF8.self)
        for line in report.split(whereSeparator: \.isNewline) {
            let name = line.prefix { $0 != " " }
            values[name, default: []].append(line[name.endIndex...].drop { $0 == " " })
        }
        func number(_ name: Substring) -> Int { values[name]?.first.flatMap { Int($0) } ?? 0 }
        snapshot = values["file"]?.first.flatMap { $0.isEmpty ? nil : String($0) }
        keys = number("keys")
        names = (values["name"] ?? []).map { decodeJSON(String.self, $0.utf8) ?? String($0) }
            .map { $0.hasPrefix("/1/") ? String($0.dropFirst(2)) : $0 }
        users = number("users")
        isAuthOn = values["auth"]?.first == "on"
        index = values["index"]?.first.flatMap { UInt64($0) }
        switch values["since"]?.first {
        case "none"?: isWrittenSince = false
        case "some"?: isWrittenSince = true
        default: isWrittenSince = nil
        }
        cluster = try answer.decode("version") { VersionAnswer(json: $0) }.cluster
    }

    /// What stands in the way of etcd 3.6, one reason each; empty when nothing does.
    package var obstacles: [String] {
        var reasons: [String] = []
        if let cluster, cluster < EtcdVersion(3, 5, 0) {
            reasons.append("the cluster is at \(cluster.major).\(cluster.minor): upgrade it to 3.5 first")
        } else if cluster == nil {
            reasons.append("the cluster's version is not decided")
        }
        return reasons + v2Obstacles
    }

    /// What of v2 stands in the way.
    package var v2Obstacles: [String] {
        guard let snapshot else {
            return ["it has no snapshot, so its WAL holds every v2 request since its beginning: force_snapshot.yaml"]
        }
        var reasons: [String] = []
        if keys > 0 {
            let rest = keys > names.count ? " and \(keys - names.count) more" : ""
            reasons.append("its newest snapshot \(snapshot) holds v2 keys: \(names.joined(separator: ", "))\(rest)")
        }
        if users > 0 { reasons.append("its newest snapshot holds \(users) v2 users and roles") }
        if isAuthOn { reasons.append("v2 authentication is on") }
        switch isWrittenSince {
        case true?: reasons.append("v2 was written to since its newest snapshot, which its WAL holds")
        case nil:
            reasons.append("whether v2 was written to since its newest snapshot cannot be told: its v2 API is off")
        case false?: break
        }
        return reasons
    }

    /// Reads the newest snapshot's bytes with patterns, as ``FingerprintScript`` reads JSON, and asks the member for the
    /// first change of a user's key since, which it gives at once where there is one.
    ///
    /// `"Path":` begins a node's path in the store's tree and in nothing else: in keys and values quotes are escaped, and
    /// the events that the snapshot holds besides have `"key":`. What the store keeps of its own, members and version, is
    /// below `/0`, and users of v2 below `/2`.
    static func script(_ settings: EtcdSettings) -> String {
        let quote = ShellQuoting.quote
        let curl = ShellQuoting.line(["curl", "-q", "-s"] + Array(settings.curlWords(seconds: 2).dropFirst()))
        return """
            snapshots=\(quote(settings.dataDir + "/member/snap"))
            file=$(ls -- "$snapshots" | grep '\\.snap$' | sort | tail -n 1)
            echo "file $file"
            if [ -n "$file" ]; then
            [ -r "$snapshots/$file" ] || { echo "cannot read $snapshots/$file" >&2; exit 4; }
            grep -aoE '"Path":"/[12]/([^"\\\\]|\\\\.)*"|"CurrentIndex":[0-9]+' "$snapshots/$file" | awk \(quote(program))
            if grep -aq '"Path":"/2/enabled","CreatedIndex":[0-9]*,"ModifiedIndex":[0-9]*,"ExpireTime":"[^"]*","Value":"true"' \
            "$snapshots/$file"; then echo "auth on"; fi
            index=$(grep -aoE '"CurrentIndex":[0-9]+' "$snapshots/$file" | tail -n 1 | cut -d : -f 2)
            code=$(\(curl) -o /dev/null -w '%{http_code}' \(quote(settings.baseURL + "/v2/keys/")))
            if [ "$code" = 200 ] && [ -n "$index" ]; then
            event=$(\(curl) \(quote(settings.baseURL + "/v2/keys/"))"?wait=true&recursive=true&waitIndex=$((index + 1))")
            case $event in '') echo "since none";; *) echo "since some";; esac
            fi
            fi
            """
    }

    private static let program = #"""
        /^"CurrentIndex":/ { index2 = substr($0, 16); next }
        index($0, "\"Path\":\"/1/") == 1 {
            if (keys++ < 10) print "name " substr($0, 8)
            next
        }
        /^"Path":"\/2\/(users|roles)\/./ { users++ }
        END { printf "keys %d\nusers %d\nindex %s\n", keys, users, index2 }
        """#
}

extension ClusterProbe {
    /// What each member still holds of v2.
    package static func leftovers(_ nodes: [EtcdNode]) async -> [String: Result<V2Leftovers, EtcdProbeError>] {
        await each(nodes) { node throws(EtcdProbeError) in
            var script = ProbeScript(node.settings)
            script.ask([.version])
            script.ask("snapshot", "(\n" + V2Leftovers.script(node.settings) + "\n)")
            let answer = try await script.run(on: node, label: "look for v2 data", timeout: .seconds(120))
            return try V2Leftovers(answer)
        }
    }
}
