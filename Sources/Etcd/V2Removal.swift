// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// The top of a member's v2 store: what a removal of all v2 data has to name.
package struct V2Roots: Sendable, Hashable {
    /// Keys and directories in `/`, of which a snapshot names the hidden ones.
    package var nodes: [Node]
    package var users: [String]
    package var roles: [String]
    package var isAuthOn: Bool

    package struct Node: Sendable, Hashable {
        package var name: String
        package var isDirectory: Bool
    }

    init(_ answer: ProbeAnswer) throws(EtcdProbeError) {
        struct Listed: Decodable {
            struct Top: Decodable { var nodes: [Child]? }
            struct Child: Decodable {
                var key: String
                var dir: Bool?
            }
            var node: Top
        }
        struct User: Decodable { var user: String }
        struct Role: Decodable { var role: String }
        func names<Value: Decodable>(_ part: String, _ list: String, _ type: Value.Type) -> [Value] {
            answer[part].flatMap { $0.isGood ? decodeJSON([String: [Value]?].self, $0.body)?[list] : nil }.flatMap(
                \.self
            ) ?? []
        }
        let listed = try answer.decode("roots") { decodeJSON(Listed.self, $0) }
        let hidden = try answer.part("hidden").text.split(whereSeparator: \.isNewline)
            .compactMap { decodeJSON(String.self, $0.utf8) }
            .map { Node(name: String($0.dropFirst(2)), isDirectory: true) }
        nodes = (listed.node.nodes ?? []).map { Node(name: $0.key, isDirectory: $0.dir == true) } + hidden
        users = names("users", "users", User.self).map(\.user)
        // The role of root is in no store.
        roles = names("roles", "roles", Role.self).map(\.role).filter { $0 != "root" }
        isAuthOn =
            answer["auth"].flatMap { $0.isGood ? decodeJSON([String: Bool].self, $0.body)?["enabled"] : nil } == true
    }

    package var isEmpty: Bool { nodes.isEmpty && users.isEmpty && roles.isEmpty && !isAuthOn }
}

/// The removal of all v2 data through one member, and keys that stand where directories were.
package struct V2Removal: Sendable {
    private let settings: EtcdSettings

    package init(_ node: EtcdNode) {
        settings = node.settings
    }

    /// Removes nodes, users and roles, one after the other; what is gone already is no trouble.
    package func removeCommand(_ roots: V2Roots, timeout: Duration) -> RemoteCommand {
        let deletions =
            roots.nodes.map { "/v2/keys" + Self.encoded($0.name) + "?recursive=true" }
            + roots.users.map { "/v2/auth/users/" + Self.encoded($0) }
            + roots.roles.map { "/v2/auth/roles/" + Self.encoded($0) }
        return command(deletions.map { (method: "DELETE", path: $0, body: nil) }, "remove v2 data", timeout)
    }

    /// Puts a key with these words where each of the names was, unless something is there.
    package func guardCommand(_ names: [String], words: String, timeout: Duration) -> RemoteCommand {
        let puts = names.map { name in
            (
                method: "PUT", path: "/v2/keys" + Self.encoded(name) + "?prevExist=false",
                body: Optional("value=" + words)
            )
        }
        return command(puts, "guard v2 names", timeout)
    }

    /// Keeps what v2 holds on the node, before it is removed: the keys that are listed, and the newest snapshot, which has
    /// the hidden ones and the users.
    package func exportCommand(to path: String, timeout: Duration) -> RemoteCommand {
        let curl = ShellQuoting.line(
            ["curl", "-q", "-f"] + settings.curlWords(seconds: 300) + [
                settings.baseURL + "/v2/keys/?recursive=true&sorted=true"
            ]
        )
        return RemoteCommand(
            "export v2 data",
            script: NodeReport.prelude + EtcdSettings.scriptPrelude
                + NodeReport.assignments(["TO": path, "SNAPSHOTS": settings.dataDir + "/member/snap"]) + """
                    if [ -d "$TO" ]; then say kept yes
                    else
                      rm -rf -- "$TO.partial"
                      mkdir -p -m 700 -- "${TO%/*}" && mkdir -m 700 -- "$TO.partial" || fail "cannot make $TO.partial"
                      \(curl) >"$TO.partial/keys.json" || fail "the v2 keys cannot be read" "see that etcd runs with its v2 API"
                      newest=$(ls -- "$SNAPSHOTS" | grep '\\.snap$' | sort | tail -n 1)
                      if [ -n "$newest" ]; then cp -- "$SNAPSHOTS/$newest" "$TO.partial/" || fail "cannot copy $newest"; fi
                      (cd "$TO.partial" && sha256sum -- * >manifest) || fail "cannot write a manifest"
                      sync -- "$TO.partial"/* "$TO.partial" && mv -- "$TO.partial" "$TO" && sync -- "${TO%/*}" ||
                        fail "cannot finish $TO"
                    fi
                    (cd "$TO" && sha256sum -c --quiet manifest >&2) || fail "$TO is not what its manifest says"
                    say path "$TO"; say bytes "$(wc -c <"$TO/keys.json")"
                    """,
            effect: .mutating,
            timeout: timeout
        )
    }

    /// One curl process; names go to it as its configuration on standard input, so that they are no words of a command
    /// line.
    private func command(
        _ requests: [(method: String, path: String, body: String?)],
        _ label: String,
        _ timeout: Duration
    ) -> RemoteCommand {
        let config = requests.map { request in
            "url = \"\(settings.baseURL)\(request.path)\"\nrequest = \(request.method)\n"
                + (request.body.map { "data = \"\($0)\"\n" } ?? "")
                + "output = /dev/null\nwrite-out = \"code=%{http_code}\\n\"\n"
        }
        let curl = ShellQuoting.line(["curl", "-q"])
        let words = settings.curlWords(seconds: 60)
        // The options of a transfer are its own.
        let shared = zip(words, words.dropFirst() + [""]).reduce(into: "") { text, pair in
            guard pair.0.hasPrefix("-") else { return }
            let name = pair.0 == "-sS" ? "silent\nshow-error" : String(pair.0.dropFirst(2))
            let isFlag = pair.1.isEmpty || pair.1.hasPrefix("-")
            text += isFlag ? name + "\n" : "\(name) = \"\(pair.1)\"\n"
        }
        return RemoteCommand(
            label,
            script: NodeReport.prelude + EtcdSettings.scriptPrelude
                + "\(curl) -K - || fail 'curl ended with an error'\n",
            standardInput: Array(config.map { shared + $0 }.joined(separator: "next\n").utf8),
            effect: .mutating,
            timeout: timeout
        )
    }

    /// A path with everything but letters, digits and slashes in percent signs.
    static func encoded(_ path: String) -> String {
        path.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "_"):
                String(decoding: [byte], as: UTF8.self)
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        .joined()
    }
}

extension ClusterProbe {
    /// What a removal of a member's v2 data has to name.
    package static func v2Roots(_ node: EtcdNode) async throws(EtcdProbeError) -> V2Roots {
        func get(_ path: String) -> String {
            ShellQuoting.line(
                ["curl", "-q", "-f"] + node.settings.curlWords(seconds: 20) + [node.settings.baseURL + path]
            )
        }
        var script = ProbeScript(node.settings)
        script.ask("roots", get("/v2/keys/"))
        script.ask("users", get("/v2/auth/users") + " 2>/dev/null")
        script.ask("roles", get("/v2/auth/roles") + " 2>/dev/null")
        script.ask([.auth])
        script.ask(
            "hidden",
            """
            for file in \(ShellQuoting.quote(node.settings.dataDir))/member/snap/*.snap; do newest=$file; done
            grep -aoE '"Path":"/1/_([^"/\\\\]|\\\\.)*"' "$newest" 2>/dev/null | cut -c 8- | sort -u
            """
        )
        let answer = try await script.run(on: node, label: "look at the top of v2")
        return try V2Roots(answer)
    }
}
