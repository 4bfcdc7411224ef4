// SPDX-License-Identifier: Apache-2.0

import Lab
import RealNodes
import TestSupport

/// Keys that expire while members are rolled.
extension Scene {
    static let expiry = [expiryInTheGap, restlessIndex, expiredNotSynced]

    private static let expiryInTheGap = Scene("T2", "a key with a TTL expires between two members") { site in
        var finding = Finding()
        try await site.reset()
        let (first, last) = (site.nodes[0], site.nodes[2])
        try await site.put(first, "/app/session", "value=x&ttl=12")
        let gap = BareProcedure.afterFirst(of: site) { try await site.awaitExpiry($0, "/app/session") }
        try await site.expectTrap(in: gap, &finding)

        try await site.reset()
        try await site.put(first, "/app/session", "value=x&ttl=600")
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "ttl_keys", site.pawl(), since: before, &finding)
        let refused = finding.pawl

        // The way out that the refusal names, with a key that expires meanwhile.
        try await site.put(first, "/app/session", "value=x&ttl=6")
        let run = try await site.pawl(["ttl_keys=skip"]) { pawl in
            let isMigrated: @Sendable ([EventLine]) -> EventLine? = {
                $0.first { $0.event == "step_finished" && $0.action == "etcd_migrate" }
            }
            if try await pawl.wait(for: isMigrated) != nil { try await site.awaitExpiry(last, "/app/session") }
        }
        try await site.awaitExpiry(last, "/app/session")
        try await site.expectMigrated(run, &finding)
        finding.pawl = "\(refused); with ttl_keys=skip: \(finding.pawl)"
        return finding
    }

    private static let restlessIndex = Scene(
        "T3",
        "with TTL keys the leader's SYNC moves the raft index without end"
    ) { site in
        var finding = Finding()
        let node = site.nodes[0]
        try await site.reset()
        try await site.put(node, "/app/session", "value=x&ttl=600")
        let first = try await raftIndex(node, site)
        let isRestless = try await eventually(within: 10) { try await raftIndex(node, site) >= first + 3 }
        finding.expect(isRestless, "the raft index does not move")
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        finding.bare =
            "raft index +\(try await raftIndex(node, site) - first) with no write; \(course.words); \(look.words)"
        finding.expect(!look.isMigrated, "the trap did not show")

        try await site.reset()
        try await site.put(node, "/app/session", "value=x&ttl=600")
        let run = try await site.pawl(["ttl_keys=lease"])
        finding.expect(run.exitCode == 0, "exit code \(run.exitCode), not 0: \(run.end.lastWords)")
        let now = try await ClusterLook.take(of: site)
        let sessions = now.members.compactMap { $0.v3?["/app/session"] }
        finding.expect(sessions.count == 3 && sessions.allSatisfy(\.hasLease), "no lease: \(now.words)")
        finding.expect(Set(now.members.map(\.hash)).count == 1, "the members differ: \(now.words)")
        // Written by pawl at the end, so it alone has a revision of its own; all else must be v2's.
        finding.expect(now.differences.isEmpty, now.words)
        let lease = try await site.etcdctl(node, "lease list").standardOutput.split(separator: "\n").last ?? ""
        let time = try await site.etcdctl(node, "lease timetolive \(lease)").standardOutput
        let left = Int(time.firstMatch(of: #/remaining\((\d+)s\)/#)?.1 ?? "") ?? -1
        finding.expect((1...600).contains(left), "the lease has no right time left: \(time)")
        finding.pawl = "with ttl_keys=lease: \(run.words); /app/session has a lease on all members; \(now.words)"
        return finding
    }

    private static func raftIndex(_ node: LabNode, _ site: Site) async throws -> Int {
        let head = try await site.curl(node, "-o /dev/null -D - \(node.clientURL)/v2/keys/")
        return Int(head.firstMatch(of: #/X-Raft-Index: (\d+)/#)?.1 ?? "") ?? -1
    }

    private static let expiredNotSynced = Scene(
        "1.5/expired",
        "a key that has expired by the clock when its stopped member is migrated"
    ) { site in
        var finding = Finding()
        try await site.reset()
        let (first, last) = (site.nodes[0], site.nodes[2])
        try await site.put(first, "/app/short", "value=x&ttl=4")
        let whileStopped = BareProcedure(
            afterStop: { node in if node == first { try await site.awaitExpiry(last, "/app/short") } }
        )
        try await site.expectTrap(in: whileStopped, &finding)

        // Stopped with all others, each long enough for the key to expire: left out, on all alike.
        try await site.reset()
        try await site.put(first, "/app/short", "value=x&ttl=8")
        for node in site.nodes { try await site.extendUnit(node, "ExecStopPost=/bin/sleep 8") }
        let words = ["ttl_keys=skip", "migrate_no_ttl=true"]
        let run = try await site.pawl(words, playbook: "migrate_etcd_v2_to_v3_stopped")
        try await site.expectMigrated(run, &finding)
        finding.pawl = "all members stopped at once, with migrate_no_ttl: \(finding.pawl)"
        return finding
    }
}
