// SPDX-License-Identifier: Apache-2.0

import Lab
import RealNodes
import TestSupport

/// Where the data is, whose it is, and what is there.
extension Scene {
    static let places = [
        walElsewhere, walForgotten, staleDirectory, missingDirectory, foreignOwner, databaseAbsent, fullBefore,
        fullMeanwhile,
    ]

    // MARK: - Directories

    private static func moveWAL(_ node: LabNode, _ site: Site) async throws {
        try await node.check(
            """
            set -e; systemctl stop etcd
            install -d -o etcd -g etcd -m 700 /var/lib/etcd-wal
            mv /var/lib/etcd/default/member/wal /var/lib/etcd-wal/wal
            """
        )
        try await site.extendUnit(node, "Environment=ETCD_WAL_DIR=/var/lib/etcd-wal/wal")
        try await node.startEtcd()
        try await site.bench.awaitCluster()
    }

    private static let walElsewhere = Scene("T12/wal", "a member has its --wal-dir elsewhere; 1.6: forgotten") { site in
        var finding = Finding()
        try await site.reset()
        try await moveWAL(site.nodes[0], site)
        let course = try await BareProcedure().perform(on: site)
        finding.bare = "\(course.words); \(try await ClusterLook.take(of: site).words)"
        finding.expect(course.stopped != nil, "the trap did not show")

        try await site.reset()
        try await moveWAL(site.nodes[0], site)
        try await site.expectMigrated(site.pawl(), &finding)
        finding.pawl = "found by itself: \(finding.pawl)"
        return finding
    }

    private static let walForgotten = Scene("1.6/wal-dir", "a --wal-dir is given that is not the member's") { site in
        var finding = Finding()
        try await site.reset()
        try await site.nodes[0].check("install -d -o etcd -g etcd -m 700 /var/lib/etcd-wal/wal")
        let course = try await BareProcedure(flags: "--wal-dir /var/lib/etcd-wal/wal").perform(on: site)
        finding.bare = "\(course.words); \(try await ClusterLook.take(of: site).words)"

        try await site.reset()
        try await site.bench.onAll("install -d -o etcd -g etcd -m 700 /var/lib/etcd-wal/wal")
        let before = try await ClusterLook.take(of: site)
        let run = try await site.pawl(["etcd_wal_dir=/var/lib/etcd-wal/wal"])
        try await site.expectRefusal(by: "wal_dir", run, since: before, &finding)
        return finding
    }

    private static let copy = "cp -a --sparse=always /var/lib/matrix/seed /var/lib/etcd/old"

    private static let staleDirectory = Scene("T12/data", "the data dir that is given is another one that exists") {
        site in
        var finding = Finding()
        try await site.reset()
        try await site.bench.onAll(copy)
        let course = try await BareProcedure(dataDirectory: "/var/lib/etcd/old").perform(on: site)
        let look = try await ClusterLook.take(of: site)
        finding.bare = "\(course.words); \(look.words)"
        finding.expect(course.stopped == nil && !look.isMigrated, "the trap did not show")

        try await site.reset()
        try await site.bench.onAll(copy)
        let before = try await ClusterLook.take(of: site)
        let run = try await site.pawl(["etcd_data_dir=/var/lib/etcd/old"])
        try await site.expectRefusal(by: "data_dir", run, since: before, &finding)
        return finding
    }

    private static let missingDirectory = Scene("1.6/data-dir", "the data dir that is given is not there") { site in
        var finding = Finding()
        try await site.reset()
        let course = try await BareProcedure(dataDirectory: "/var/lib/etcd/nowhere").perform(on: site)
        finding.bare = "\(course.words); \(try await ClusterLook.take(of: site).words)"

        try await site.reset()
        let before = try await ClusterLook.take(of: site)
        let run = try await site.pawl(["etcd_data_dir=/var/lib/etcd/nowhere"])
        try await site.expectRefusal(by: "data_dir", run, since: before, &finding)
        return finding
    }

    private static let foreignOwner = Scene("1.6/permission", "a member's db belongs to root") { site in
        var finding = Finding()
        let chown = "chown root:root /var/lib/etcd/default/member/snap/db"
        try await site.reset()
        try await site.nodes[0].check(chown)
        let course = try await BareProcedure().perform(on: site)
        finding.bare = "\(course.words); \(try await ClusterLook.take(of: site).words)"
        finding.expect(course.stopped != nil, "the trap did not show")

        try await site.reset()
        try await site.nodes[0].check(chown)
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "data_owner", site.pawl(), since: before, &finding)
        return finding
    }

    // MARK: - T14

    /// No user key, snapshots that stem from restarts, and a db that somebody took away.
    private static func takeDatabase(_ site: Site) async throws {
        try await site.resetToNothing()
        try await site.configureAll("Environment=ETCD_SNAPSHOT_COUNT=3")
        try await site.restartAll()
        let node = site.nodes[0]
        try await node.check("ls /var/lib/etcd/default/member/snap/*.snap && rm /var/lib/etcd/default/member/snap/db")
    }

    private static let databaseAbsent = Scene("T14", "no v2 key, a snapshot, and no db") { site in
        var finding = Finding()
        try await takeDatabase(site)
        let course = try await BareProcedure().perform(on: site)
        finding.bare =
            "\(course.words), \"\(course.closingLines.first ?? "")\" of \(site.nodes[0].name); \(try await ClusterLook.take(of: site).words)"

        try await takeDatabase(site)
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "database_file", site.pawl(), since: before, &finding)
        return finding
    }

    // MARK: - ENOSPC

    private static let fill = "dd if=/dev/zero of=/var/lib/etcd/filler bs=64k 2>/dev/null || true"

    private static let fullBefore = Scene("1.6/disk", "the data disk is full before the first stop") { site in
        var finding = Finding()
        try await site.reset(smallDisks: true)
        let first = site.nodes[0]
        // As long as etcd runs, it holds room for its next WAL file.
        let course = try await BareProcedure(
            afterStop: { node in if node == first { try await node.check(fill) } }
        )
        .perform(on: site)
        let line = course.closingLines.last ?? ""
        finding.bare = "stdout ends in \"\(line)\", \(course.words); \(try await ClusterLook.take(of: site).words)"
        finding.expect(course.stopped != nil, "the trap did not show")

        try await site.reset(smallDisks: true)
        try await site.nodes[0].check(fill)
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "data_disk", site.pawl(), since: before, &finding)
        return finding
    }

    private static let fullMeanwhile = Scene("1.6/disk-roll", "the data disk fills up before a member is migrated") {
        site in
        var finding = Finding()
        try await site.reset(smallDisks: true)
        let second = site.nodes[1]
        let course = try await BareProcedure(
            afterStop: { node in if node == second { try await node.check(fill) } }
        )
        .perform(on: site)
        let keys = try await site.keysInDatabase(second)
        finding.bare = "\(course.words), with \(keys) keys in its db; \(try await ClusterLook.take(of: site).words)"
        finding.expect(course.stopped != nil, "the trap did not show")

        try await site.reset(smallDisks: true)
        let order = try await site.leaderLast()
        for node in order {
            let lines = node == order[1] ? "ExecStopPost=+-/bin/sh -c '\(fill)'" : ""
            try await site.extendUnit(node, lines)
        }
        let run = try await site.pawl(playbook: "migrate_etcd_v2_to_v3_in_place")
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        finding.expect(run.end.report?.host == order[1].name, "it halted on \(run.end.report?.host ?? "no host")")
        let halted = try await ClusterLook.take(of: site)
        // Where not even its db can be put back, it must say so and leave the member down; the others serve.
        let state = run.end.report?.members.first { $0.host == order[1].name }?.state
        for member in halted.members where member.name != order[1].name || state != "stopped" {
            let keys = member.name == order[0].name ? member.v2?.count : 0
            finding.expect(member.isHealthy && member.v3?.count == keys, "\(member.name): \(halted.words)")
        }
        finding.expect(state == "stopped" || state == "v2", "\(order[1].name) is told to be \(state ?? "nothing")")
        // Room is made, and the run gone on with.
        try await order[1].check(
            "rm -f /var/lib/etcd/filler /run/systemd/system/etcd.service.d/trap.conf; systemctl daemon-reload"
        )
        let resumed = try await site.pawl(command: ["resume"])
        try await site.expectMigrated(resumed, &finding)
        finding.pawl = "\(run.words), and is told to be \(state ?? "?"); with room again, pawl resume: \(finding.pawl)"
        return finding
    }
}
