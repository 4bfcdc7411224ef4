// SPDX-License-Identifier: Apache-2.0

import Lab
import RealNodes
import TestSupport

/// What clients do between two members, and what only looks as if they had.
extension Scene {
    static let writes = [strayWrite, lateHiddenKey, indexWithoutWrite, leaderChange, strayV3Write, v3InUse]

    /// Whether the first member was just migrated, and none behind it was touched.
    private static func isFirstGap(_ event: EventLine) -> Bool {
        event.event == "step_finished" && event.action == "etcd_migrate"
    }

    private static let strayWrite = Scene("T1", "a client writes a v2 key between two members") { site in
        var finding = Finding()
        try await site.reset()
        try await site.expectTrap(in: .afterFirst(of: site) { try await site.put($0, "/app/x") }, &finding)

        try await site.reset()
        let order = try await site.leaderLast()
        let run = try await site.pawl { pawl in
            guard try await pawl.wait(for: { $0.first(where: isFirstGap) }) != nil else { return }
            try await site.put(order[2], "/app/x")
        }
        try await site.expectHaltAndRollback(naming: ["/app/x", "Members agree"], run, &finding)
        return finding
    }

    private static let lateHiddenKey = Scene("1.5/hidden-late", "a client writes a hidden key between two members") {
        site in
        var finding = Finding()
        try await site.reset()
        let (first, last) = (site.nodes[0], site.nodes[2])
        let course = try await BareProcedure(
            afterStart: { node in if node == first { try await site.put(last, "/_late") } }
        )
        .perform(on: site)
        let look = try await ClusterLook.take(of: site)
        let isInV2 = try await site.has(first, "/_late")
        let isLost = isInV2 && look.members.allSatisfy { $0.v3?["/_late"] == nil }
        finding.bare = "\(course.words); v2 has /_late, v3 has \(isLost ? "not" : "it"); \(look.words)"
        finding.expect(isLost, "the trap did not show")

        try await site.reset()
        let order = try await site.leaderLast()
        let run = try await site.pawl { pawl in
            guard try await pawl.wait(for: { $0.first(where: isFirstGap) }) != nil else { return }
            try await site.put(order[2], "/_late")
        }
        try await site.expectHaltAndRollback(naming: ["/_late", "Hidden keys"], run, &finding)
        return finding
    }

    private static let indexWithoutWrite = Scene(
        "T4",
        "restarts move X-Etcd-Index though nobody writes"
    ) { site in
        var finding = Finding()
        func index() async throws -> Int {
            let head = try await site.curl(site.nodes[0], "-o /dev/null -D - \(site.nodes[0].clientURL)/v2/keys/")
            return Int(head.firstMatch(of: #/X-Etcd-Index: (\d+)/#)?.1 ?? "") ?? -1
        }
        try await site.reset()
        let bareBefore = try await index()
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        finding.bare = "\(course.words), X-Etcd-Index +\(try await index() - bareBefore); \(look.words)"

        try await site.reset()
        let before = try await index()
        let run = try await site.pawl()
        try await site.expectMigrated(run, &finding)
        let moved = try await index() - before
        finding.expect(moved > 0, "X-Etcd-Index did not move")
        finding.pawl = "X-Etcd-Index +\(moved), " + finding.pawl
        return finding
    }

    private static let leaderChange = Scene("T7", "the leader changes between two members") { site in
        var finding = Finding()
        try await site.reset()
        let course = try await BareProcedure.afterFirst(of: site) { _ in try await moveLeader(site) }.perform(on: site)
        finding.bare = "\(course.words); \(try await ClusterLook.take(of: site).words)"

        try await site.reset()
        let run = try await site.pawl { pawl in
            let isUp: @Sendable ([EventLine]) -> EventLine? = {
                $0.first { $0.event == "step_finished" && $0.action == "etcd_healthy" }
            }
            if try await pawl.wait(for: isUp) != nil { try await moveLeader(site) }
        }
        try await site.expectMigrated(run, &finding)
        return finding
    }

    private static func moveLeader(_ site: Site) async throws {
        let order = try await site.leaderLast()
        let stats = try await site.curl(order[1], "\(order[1].clientURL)/v2/stats/self")
        guard let id = stats.firstMatch(of: #/"id":"([0-9a-f]+)"/#)?.1 else {
            throw MatrixError("\(order[1].name) does not tell its id: \(stats)")
        }
        let moved = try await site.etcdctl(order[2], "move-leader \(id)")
        // The old leader may hang up before it answers, and etcdctl's second try is refused then.
        let isElsewhere = try await eventually(within: 10) {
            guard let leader = try? await site.leaderLast().last else { return false }
            return leader != order[2]
        }
        guard isElsewhere else {
            throw MatrixError("the leader does not move: \(moved.standardError)")
        }
    }

    private static let strayV3Write = Scene("T9/roll", "a v3 client writes between two members") { site in
        var finding = Finding()
        try await site.reset()
        try await site.expectTrap(in: .afterFirst(of: site) { try await putV3($0, site) }, &finding)

        try await site.reset()
        let order = try await site.leaderLast()
        let run = try await site.pawl { pawl in
            guard try await pawl.wait(for: { $0.first(where: isFirstGap) }) != nil else { return }
            try await putV3(order[2], site)
        }
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        let now = try await ClusterLook.take(of: site)
        // What the client was told is written stays: no member may be taken back without saying so.
        for member in now.members { finding.expect(member.v3?["/v3/x"] != nil, "\(member.name) lost /v3/x") }
        let touched = now.members.filter { ($0.v3 ?? [:]).count > 1 }.map(\.name)
        finding.expect(touched == [order[0].name], "migrated: \(touched)")
        finding.pawl = "\(run.words); /v3/x is on all members, \(touched.joined(separator: ", ")) alone is migrated"
        return finding
    }

    private static func putV3(_ node: LabNode, _ site: Site) async throws {
        let put = try await site.etcdctl(node, "put /v3/x written")
        guard put.exitCode == 0 else { throw MatrixError("\(node.name) takes no v3 key: \(put.standardError)") }
    }

    private static let v3InUse = Scene("T9/before", "v3 holds keys before the first member") { site in
        var finding = Finding()
        try await site.reset()
        for _ in 0..<3 { try await putV3(site.nodes[0], site) }
        let course = try await BareProcedure().perform(on: site)
        finding.bare = "\(course.words); \(try await ClusterLook.take(of: site).words)"

        try await site.reset()
        for _ in 0..<3 { try await putV3(site.nodes[0], site) }
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "v3_store", site.pawl(), since: before, &finding)
        return finding
    }
}
