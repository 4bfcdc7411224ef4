// SPDX-License-Identifier: Apache-2.0

import Remote

/// The two stores of one member, read for a comparison key by key.
package struct StoreListings: Sendable {
    package var v2: KeyListing
    package var v3: KeyListing
    package var bytes: Int
}

extension ClusterProbe {
    /// Both stores of one member, in one command; v3 as it was at a revision where one is given.
    ///
    /// They go into memory only, over the encrypted connection.
    package static func listings(
        _ node: EtcdNode,
        at revision: Int64? = nil
    ) async throws(EtcdProbeError) -> StoreListings {
        var script = ProbeScript(node.settings)
        script.ask("v2", v2Keys(node.settings))
        script.ask("v3", node.settings.dump(at: revision))
        let answer = try await script.run(on: node, label: "read both stores", timeout: .seconds(300))
        let (v2, v3) = (try answer.body("v2"), try answer.body("v3"))
        return StoreListings(
            v2: try answer.decode("v2") { KeyListing(v2: $0) },
            v3: try answer.decode("v3") { KeyListing(v3: $0) },
            bytes: v2.count + v3.count
        )
    }

    /// A member's own v2 keys, to name what differs.
    package static func v2Listing(_ node: EtcdNode) async throws(EtcdProbeError) -> KeyListing {
        var script = ProbeScript(node.settings)
        script.ask("v2", v2Keys(node.settings))
        let answer = try await script.run(on: node, label: "read the v2 keys", timeout: .seconds(150))
        return try answer.decode("v2") { KeyListing(v2: $0) }
    }

    /// A key of a member's own v3 store; `nil` when it is not there.
    package static func v3Key(
        _ key: KeyListing.Name,
        on node: EtcdNode
    ) async throws(EtcdProbeError) -> StoredKey? {
        var script = ProbeScript(node.settings)
        script.ask("key", node.settings.commandLine(.get(key: String(decoding: key, as: UTF8.self))))
        let answer = try await script.run(on: node, label: "read a v3 key")
        return try answer.decode("key") { KeyListing(v3: $0) }.keys[key]
    }

    /// The ids of all leases; `nil` where this version does not tell, before 3.3.
    package static func leases(_ node: EtcdNode) async throws(EtcdProbeError) -> [Int64]? {
        var script = ProbeScript(node.settings)
        script.ask([.status, .leases])
        let answer = try await script.run(on: node, label: "list the v3 leases")
        return answer["leases"].flatMap { $0.isGood ? LeaseList($0.body) : nil }?.ids
            .map { Int64(bitPattern: $0.value) }
    }

    /// The users of a member's v3 store.
    package static func v3Users(_ node: EtcdNode) async throws(EtcdProbeError) -> [String] {
        var script = ProbeScript(node.settings)
        script.ask("users", node.settings.commandLine(.userList))
        let answer = try await script.run(on: node, label: "list the v3 users")
        return String(decoding: try answer.body("users"), as: UTF8.self).split(whereSeparator: \.isWhitespace)
            .map(String.init)
    }

    private static func v2Keys(_ settings: EtcdSettings) -> String {
        ShellQuoting.line(
            ["curl", "-q", "-f"] + settings.curlWords(seconds: 120)
                + ["--speed-limit", "1", "--speed-time", "10", settings.baseURL + "/v2/keys/?recursive=true"]
        )
    }
}

extension EtcdSettings {
    /// All of v3 from the member's own store.
    ///
    /// Where nothing answers it fails at once: etcdctl 3.4 tries again for all of its time, also when nothing listens.
    func dump(at revision: Int64?) -> String {
        let version = ["curl", "-q", "-f", "-o", "/dev/null"] + curlWords(seconds: 10) + [baseURL + "/version"]
        return ShellQuoting.line(version) + " && " + commandLine(.dump(revision: revision), seconds: 120)
    }
}
