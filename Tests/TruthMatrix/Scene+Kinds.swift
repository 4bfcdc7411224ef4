// SPDX-License-Identifier: Apache-2.0

import Lab
import RealNodes
import TestSupport

/// What becomes of each kind of key, as section 1.5 of the facts has them.
extension Scene {
    static let kinds = [harmlessKinds, lossyKinds]

    // MARK: - Kinds that come through

    private static let harmlessKinds = Scene([
        Trap(id: "1.5/empty-value", text: "a key with an empty value"),
        Trap(id: "1.5/in-order", text: "in-order keys (POST)"),
    ]) { site in
        var findings = [Finding(), Finding()]
        try await site.reset()
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        for (place, text) in kinds(look).enumerated() { findings[place].bare = "\(course.words); \(text)" }

        try await site.reset()
        let run = try await site.pawl()
        for place in findings.indices { try await site.expectMigrated(run, &findings[place]) }
        let now = try await ClusterLook.take(of: site)
        for (place, text) in kinds(now).enumerated() {
            findings[place].pawl = "\(run.words); \(text)"
            findings[place].expect(!text.contains("NOT"), text)
        }
        return findings
    }

    private static func kinds(_ look: ClusterLook) -> [String] {
        let stores = look.members.map { $0.v3 ?? [:] }
        let isEmpty = stores.allSatisfy { $0["/empty/value"]?.value == "" }
        let queued = Set((look.members[0].v2 ?? [:]).keys.filter { $0.hasPrefix("/queue/") })
        let areQueued = queued.count == 3 && stores.allSatisfy { queued.isSubset(of: $0.keys) }
        return [
            "/empty/value is \(isEmpty ? "" : "NOT ")in v3 with an empty value",
            "\(queued.sorted().first ?? "") and the others are \(areQueued ? "" : "NOT ")in v3",
        ]
    }

    // MARK: - Kinds that do not

    private struct Lossy: Sendable {
        var id: String
        var text: String
        /// The check that tells it, and whether it refuses.
        var check: String
        var refuses = true
    }

    private static let lossy = [
        Lossy(id: "1.5/hidden", text: "hidden keys (/_x)", check: "hidden_keys"),
        Lossy(id: "1.5/ttl-key", text: "a key with a TTL", check: "ttl_keys"),
        Lossy(id: "1.5/ttl-directory", text: "a directory with a TTL", check: "ttl_directories"),
        Lossy(id: "1.5/non-utf8", text: "a value that is not UTF-8", check: "non_utf8"),
        Lossy(id: "1.5/empty-directory", text: "an empty directory", check: "empty_directories", refuses: false),
        Lossy(id: "1.5/users", text: "v2 users and roles", check: "v2_users", refuses: false),
    ]

    private static func writeLossy(_ site: Site) async throws {
        try await site.reset()
        let node = site.nodes[0]
        try await site.put(node, "/_secret/x")
        try await site.put(node, "/app/session", "value=x&ttl=600")
        try await site.put(node, "/app/lock", "dir=true&ttl=600")
        try await site.put(node, "/app/lock/holder")
        try await site.put(node, "/app/bytes", "value=%ff%fe%00%01")
        let user = #"{"user":"root","password":"secret"}"#
        let answer = try await site.curl(node, "-X PUT \(node.clientURL)/v2/auth/users/root -d '\(user)'")
        guard answer.contains(#""user":"root""#) else { throw MatrixError("no v2 user can be made: \(answer)") }
        // A member answers from its own store; the last of these must be everywhere.
        let isThere = try await eventually(within: 10) {
            for node in site.nodes where try await !site.has(node, "/app/bytes") { return false }
            return true
        }
        guard isThere else { throw MatrixError("the keys do not get to all members") }
    }

    private static let lossyKinds = Scene(lossy.map { Trap(id: $0.id, text: $0.text) }) { site in
        var findings = lossy.map { _ in Finding() }
        try await writeLossy(site)
        let course = try await BareProcedure(flags: "--no-ttl").perform(on: site)
        let afterwards = try await losses(site)
        for place in findings.indices {
            // `--no-ttl` is what is there against TTL keys; whoever does not know it gets them for good.
            findings[place].bare = "\(course.words) (with --no-ttl); \(afterwards[place].text)"
            findings[place].expect(afterwards[place].isLost, "the trap did not show: \(afterwards[place].text)")
        }
        try await writeLossy(site)
        let before = try await ClusterLook.take(of: site)
        let run = try await site.pawl()
        for (place, kind) in lossy.enumerated() {
            try await site.expectRefusal(by: kind.refuses ? kind.check : nil, run, since: before, &findings[place])
            let told = kind.refuses ? run.refusals : run.warnings
            findings[place].expect(told.contains(kind.check), "[\(kind.check)] is not told: \(told)")
            let untouched = findings[place].failures.isEmpty ? "; no member touched" : ""
            let verb = kind.refuses ? "refused" : "told before anything is changed, as a warning"
            findings[place].pawl = told.contains(kind.check) ? "\(verb): [\(kind.check)]\(untouched)" : "NOT TOLD"
        }
        return findings
    }

    /// For each kind, what is in v2 and in v3.
    private static func losses(_ site: Site) async throws -> [(text: String, isLost: Bool)] {
        let node = site.nodes[0]
        let member = try await ClusterLook.take(of: site).members[0]
        let v3 = member.v3 ?? [:]
        func isInV2(_ key: String) async throws -> String { try await site.has(node, key) ? "v2 has" : "v2 has not" }
        func isInV3(_ key: String) -> String { v3[key] == nil ? "v3 has not" : "v3 has" }
        let value = try await site.etcdctl(node, "get /app/bytes -w json").standardOutput
        let bytes = try await node.check("echo '\(value)' | jq -r '.kvs[0].value' | base64 -d | od -An -tx1").trimming
        let users = try await site.etcdctl(node, "user list").standardOutput.trimming
        let holder = v3["/app/lock/holder"]
        return [
            ("\(try await isInV2("/_secret/x")) /_secret/x, \(isInV3("/_secret/x"))", v3["/_secret/x"] == nil),
            (
                "\(try await isInV2("/app/session")) /app/session, \(isInV3("/app/session"))",
                v3["/app/session"] == nil
            ),
            (
                holder == nil ? "v3 has no /app/lock/holder" : "/app/lock/holder is in v3 for good",
                holder?.hasLease == false
            ),
            ("written were ff fe 00 01, v3 has \(bytes)", bytes != "ff fe 00 01"),
            (
                "\(try await isInV2("/empty/directory")) /empty/directory, \(isInV3("/empty/directory"))",
                v3["/empty/directory"] == nil
            ),
            ("v3 has \(users.isEmpty ? "no users" : "users: \(users)")", users.isEmpty),
        ]
    }
}

extension String {
    /// Without what is blank at its ends.
    fileprivate var trimming: String {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
