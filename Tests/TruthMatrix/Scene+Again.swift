// SPDX-License-Identifier: Apache-2.0

import Lab
import RealNodes
import TestSupport

/// Clusters with nothing to migrate, and those that were migrated before.
extension Scene {
    static let again = [noKeys, onlyHidden, runTwice]

    private static let noKeys = Scene("1.6/no-keys", "no v2 key at all") { site in
        var finding = Finding()
        try await site.resetToNothing()
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        finding.bare = "\(course.words), \"\(course.closingLines.last ?? "")\"; \(look.words)"

        try await site.resetToNothing()
        let run = try await site.pawl()
        finding.expect(run.exitCode == 0, "exit code \(run.exitCode), not 0: \(run.end.lastWords)")
        let now = try await ClusterLook.take(of: site)
        finding.expect(now.isUnmigrated, now.words)
        if let difference = try await site.comparison() { finding.failures.append(difference) }
        finding.pawl = "\(run.words); \(now.words)"
        return finding
    }

    private static let onlyHidden = Scene("1.5/only-hidden", "no v2 keys but hidden ones") { site in
        var finding = Finding()
        try await site.resetToNothing()
        try await site.put(site.nodes[0], "/_secret/x")
        let course = try await BareProcedure().perform(on: site)
        let isLeft = try await site.has(site.nodes[0], "/_secret/x")
        let keys = try await ClusterLook.take(of: site).members.map { $0.v3?.count ?? -1 }
        finding.bare =
            "\(course.words), \"\(course.closingLines.last ?? "")\"; "
            + "\(isLeft ? "v2 has" : "v2 has not") /_secret/x, keys in v3: \(keys.map(String.init).joined(separator: ", "))"
        finding.expect(keys == [0, 0, 0], "the trap did not show")

        try await site.resetToNothing()
        try await site.put(site.nodes[0], "/_secret/x")
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "hidden_keys", site.pawl(), since: before, &finding)
        return finding
    }

    private static let runTwice = Scene(
        "1.7",
        "a migration is run again, after v3 was written to and a v2 key was deleted"
    ) { site in
        var finding = Finding()
        try await site.reset()
        _ = try await BareProcedure().perform(on: site)
        try await useBoth(site)
        let before = try await ClusterLook.take(of: site).members[0].v3?["/v3/mine"]?.value ?? "nothing"
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        let after = look.members[0].v3?["/v3/mine"]?.value ?? "nothing"
        let overwritten = before == after ? "" : "/v3/mine was \(before) and is \(after); "
        finding.bare = "\(course.words) again; \(overwritten)\(look.words)"
        let isDeletedKept = look.members.allSatisfy { $0.v2?["/foo"] == nil && $0.v3?["/foo"] != nil }
        finding.expect(isDeletedKept, "the trap did not show")

        try await site.reset()
        let first = try await site.pawl()
        finding.expect(first.exitCode == 0, "the first run: \(first.end.lastWords)")
        try await useBoth(site)
        let inUse = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "v3_store", site.pawl(), since: inUse, &finding)
        return finding
    }

    /// A client of v3 writes on from the highest v2 index, where the next v2 writes have their indexes, too.
    private static func useBoth(_ site: Site) async throws {
        let node = site.nodes[0]
        try await site.delete(node, "/foo")
        for number in 1...6 {
            let put = try await site.etcdctl(node, "put /v3/mine \(number)")
            guard put.exitCode == 0 else { throw MatrixError("no v3 key can be written: \(put.standardError)") }
            try await site.put(node, "/app/later\(number)")
        }
    }
}
