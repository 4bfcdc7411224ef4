// SPDX-License-Identifier: Apache-2.0

import Lab
import RealNodes
import TestSupport

/// What raft does to a member that is migrated beside it.
extension Scene {
    static let raft = [uncommittedTail, snapshotFromLeader, secondMemberDown, secondMemberFalls]

    // MARK: - T5

    /// At each stop: the member is cut off from its peers, and a client's write gets into its log and no further.
    private static let tail = #"""
        #!/bin/sh
        [ -e /var/lib/matrix/trap-tail ] || exit 0
        rm /var/lib/matrix/trap-tail
        for chain in INPUT OUTPUT; do
            iptables -I $chain -p tcp --dport 2380 -j DROP
            iptables -I $chain -p tcp --sport 2380 -j DROP
        done
        curl -s --noproxy '*' -m 2 -o /dev/null -X PUT -d value=x http://127.0.0.1:2379/v2/keys/app/uncommitted
        exit 0
        """#
    /// When it is stopped the others are within reach again.
    private static let untail = #"""
        #!/bin/sh
        for chain in INPUT OUTPUT; do
            iptables -D $chain -p tcp --dport 2380 -j DROP
            iptables -D $chain -p tcp --sport 2380 -j DROP
        done 2>/dev/null
        exit 0
        """#

    private static func setTail(on leader: LabNode, _ site: Site) async throws {
        try await site.install("/var/lib/matrix/trap-stop", tail, on: leader)
        try await site.install("/var/lib/matrix/trap-stopped", untail, on: leader)
        try await leader.check("touch /var/lib/matrix/trap-tail")
        let lines = "ExecStop=+/var/lib/matrix/trap-stop\nExecStopPost=+/var/lib/matrix/trap-stopped"
        try await site.extendUnit(leader, lines)
    }

    private static let uncommittedTail = Scene(
        "T5",
        "the leader is stopped with a write in its log that no other member got"
    ) { site in
        var finding = Finding()
        try await site.reset()
        let leader = try await site.leaderLast()[2]
        try await setTail(on: leader, site)
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        finding.bare = "\(course.words); \(look.words)"
        let ghost = look.members.first { $0.name == leader.name }?.v3?["/app/uncommitted"]
        finding.expect(ghost != nil && !look.isMigrated, "the trap did not show")

        try await site.reset()
        try await setTail(on: try await site.leaderLast()[2], site)
        try await site.expectMigrated(site.pawl(), &finding)
        let prepared = finding.pawl

        try await site.reset()
        try await setTail(on: try await site.leaderLast()[2], site)
        let run = try await site.pawl(playbook: "migrate_etcd_v2_to_v3_in_place")
        finding.expect(run.exitCode == 3, "in place: exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        let resumed = try await site.pawl(command: ["resume"])
        try await site.expectMigrated(resumed, &finding)
        finding.pawl = "by copies: \(prepared); in place: \(run.words); pawl resume: \(finding.pawl)"
        return finding
    }

    // MARK: - T6

    /// Before the start after a stop: the others go on by more than 5,000 entries, none of which changes a key.
    private static func reads(from node: LabNode) -> String {
        """
        #!/bin/sh
        [ -e /var/lib/matrix/trap-reads ] || exit 0
        rm /var/lib/matrix/trap-reads
        curl -Z --parallel-max 60 -s --noproxy '*' -o /dev/null '\(node.clientURL)/v2/keys/foo?quorum=true&n=[1-5600]'
        exit 0
        """
    }

    private static func setReads(on first: LabNode, from other: LabNode, _ site: Site) async throws {
        try await site.install("/var/lib/matrix/trap-start", reads(from: other), on: first)
        let lines = "Environment=ETCD_SNAPSHOT_COUNT=200\nExecStartPre=+/var/lib/matrix/trap-start"
        try await site.extendUnit(first, lines)
        try await first.check("touch /var/lib/matrix/trap-reads")
    }

    private static let snapshotFromLeader = Scene(
        "T6",
        "a migrated member fell behind and gets a snapshot of a leader that is not migrated"
    ) { site in
        var finding = Finding()
        try await site.reset()
        try await site.configureAll("Environment=ETCD_SNAPSHOT_COUNT=200")
        try await setReads(on: site.nodes[0], from: site.nodes[2], site)
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        finding.bare = "\(course.words); \(look.words)"
        finding.expect(look.members[0].v3?.isEmpty == true, "the trap did not show")

        try await site.reset()
        try await site.configureAll("Environment=ETCD_SNAPSHOT_COUNT=200")
        let order = try await site.leaderLast()
        try await setReads(on: order[0], from: order[2], site)
        let run = try await site.pawl()
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        let halted = try await ClusterLook.take(of: site)
        finding.expect(halted.isUnmigrated, "after the halt: \(halted.words)")
        finding.pawl = "\(run.words); \(halted.words)"
        return finding
    }

    // MARK: - T10

    private static func takesWrites(_ node: LabNode, _ site: Site) async throws -> Bool {
        let url = "\(node.clientURL)/v2/keys/foo"
        return try await site.curl(node, "-X PUT \(url) -d value=bar").contains(#""action""#)
    }

    private static let secondMemberDown = Scene("T10/before", "another member is down already") { site in
        var finding = Finding()
        try await site.reset()
        let (first, down, last) = (site.nodes[0], site.nodes[1], site.nodes[2])
        try await down.stopEtcd()
        let outage = Note()
        let course = try await BareProcedure(
            afterStop: { node in
                if node == first { await outage.set(try await !takesWrites(last, site)) }
            }
        )
        .perform(on: site)
        finding.expect(await outage.isSet, "the trap did not show")
        let outOf = await outage.isSet ? "outage while \(first.name) is stopped: no write is taken" : "no outage"
        finding.bare = "\(outOf); \(course.words); \(try await ClusterLook.take(of: site).words)"

        try await site.reset()
        try await down.stopEtcd()
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(saying: "\(down.name): etcd does not answer", site.pawl(), since: before, &finding)
        let stillTakes = try await takesWrites(last, site)
        finding.expect(stillTakes, "the cluster takes no writes")
        finding.pawl += stillTakes ? ", writes are taken" : ""
        return finding
    }

    private static let secondMemberFalls = Scene("T10/roll", "another member goes down between two members") { site in
        var finding = Finding()
        try await site.reset()
        let (first, second, last) = (site.nodes[0], site.nodes[1], site.nodes[2])
        let outage = Note()
        let course = try await BareProcedure(
            afterStop: { node in
                if node == second { await outage.set(try await !takesWrites(first, site)) }
            },
            afterStart: { node in if node == first { try await last.stopEtcd() } }
        )
        .perform(on: site)
        finding.expect(await outage.isSet, "the trap did not show")
        let outOf = await outage.isSet ? "outage while \(second.name) is stopped: no write is taken" : "no outage"
        finding.bare = "\(outOf); \(course.words); \(try await ClusterLook.take(of: site).words)"

        try await site.reset()
        let order = try await site.leaderLast()
        let run = try await site.pawl { pawl in
            let isMigrated: @Sendable ([EventLine]) -> EventLine? = {
                $0.first { $0.event == "step_finished" && $0.action == "etcd_migrate" }
            }
            if try await pawl.wait(for: isMigrated) != nil { try await order[2].stopEtcd() }
        }
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        let stillTakes = try await takesWrites(order[0], site)
        finding.expect(stillTakes, "the cluster takes no writes")
        let words = run.words
        try await order[2].startEtcd()
        try await site.bench.awaitCluster()
        finding.pawl = words + (stillTakes ? ", writes are taken" : "")
        // The write above is the same value again, but a change of the key all the same: taken back, not gone on with.
        let back = try await site.pawl(command: ["rollback", "--yes"])
        finding.expect(back.exitCode == 0, "rollback ended with \(back.exitCode): \(back.end.lastWords)")
        let look = try await ClusterLook.take(of: site)
        finding.expect(look.isUnmigrated, "after the rollback: \(look.words)")
        finding.pawl += "; pawl rollback: \(look.words)"
        return finding
    }
}

/// Something that was seen while a procedure ran.
actor Note {
    private(set) var isSet = false
    func set(_ value: Bool) { isSet = value }
}
