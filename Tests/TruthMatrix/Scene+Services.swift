// SPDX-License-Identifier: Apache-2.0

import Lab
import RealNodes
import TestSupport

/// How etcd is run: what stops it, starts it again, and what it is set to.
extension Scene {
    static let services = [corruptCheck, killedStop, supervisor, stillRunning, quota]

    private static let corruptCheck = Scene("T8", "etcd's corruption check is on") { site in
        var finding = Finding()
        let setting = "Environment=ETCD_EXPERIMENTAL_CORRUPT_CHECK_TIME=1s"
        try await site.reset()
        try await site.configureAll(setting)
        let first = site.nodes[0]
        let course = try await BareProcedure(
            afterStart: { node in
                guard node == first else { return }
                // A member is asked about others at each turn of the check; once differing, it is found soon.
                _ = try await eventually(within: 15, every: .milliseconds(300)) {
                    try await site.etcdctl(first, "alarm list").standardOutput.contains("CORRUPT")
                }
            }
        )
        .perform(on: site)
        let alarms = try await site.etcdctl(first, "alarm list").standardOutput
        let look = try await ClusterLook.take(of: site)
        let raised = alarms.contains("CORRUPT")
        finding.bare = "\(course.words)\(raised ? "; alarm CORRUPT is raised" : ""); \(look.words)"
        finding.expect(raised, "the trap did not show")

        try await site.reset()
        try await site.configureAll(setting)
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "corrupt_check", site.pawl(), since: before, &finding)
        return finding
    }

    // MARK: - T11

    /// The stop is a kill, and a v3 client's last write is in the log only.
    private static func setKill(on node: LabNode, _ site: Site) async throws {
        let client = """
            #!/bin/sh
            [ -e /var/lib/matrix/trap-last ] || exit 0
            rm /var/lib/matrix/trap-last
            ETCDCTL_API=3 exec /usr/bin/etcdctl --endpoints http://127.0.0.1:2379 put /v3/last written
            """
        try await site.install("/var/lib/matrix/trap-stop", client, on: node)
        try await node.check("touch /var/lib/matrix/trap-last")
        try await site.extendUnit(node, "KillSignal=SIGKILL\nExecStop=+/var/lib/matrix/trap-stop")
    }

    private static let killedStop = Scene(
        "T11/kill",
        "the stop ends in SIGKILL, with a v3 write in the log only"
    ) { site in
        var finding = Finding()
        try await site.reset()
        try await setKill(on: site.nodes[0], site)
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        finding.bare = "\(course.words); \(look.words)"
        let lost = look.members[0].v3?["/v3/last"] == nil && look.members[2].v3?["/v3/last"] != nil
        finding.expect(lost, "the trap did not show")

        try await site.reset()
        let order = try await site.leaderLast()
        try await setKill(on: order[0], site)
        let run = try await site.pawl()
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        let now = try await ClusterLook.take(of: site)
        finding.expect(now.isHealthy, now.words)
        // Only the client's own key, and on all of them.
        for member in now.members {
            finding.expect(member.v3.map { Array($0.keys) } == ["/v3/last"], "\(member.name): \(now.words)")
        }
        finding.expect(Set(now.members.map(\.hash)).count == 1, "the members differ: \(now.words)")
        let isKept = now.members.allSatisfy { $0.v3?["/v3/last"] != nil }
        finding.pawl = "\(run.words); no member migrated, /v3/last is \(isKept ? "on all members" : "LOST")"
        return finding
    }

    private static let supervisor = Scene(
        "T11/supervisor",
        "something on the node starts etcd's unit whenever it is down"
    ) { site in
        var finding = Finding()
        let start = "systemd-run -q --unit trap-supervisor sh -c 'while :; do systemctl start etcd; sleep 0.1; done'"
        try await site.reset()
        for node in site.nodes { try await node.check(start) }
        let first = site.nodes[0]
        let course = try await BareProcedure(
            afterStop: { node in
                guard node == first else { return }
                _ = try await eventually(within: 10) { try await node.isEtcdRunning() }
            }
        )
        .perform(on: site)
        finding.expect(course.stopped != nil, "the trap did not show")
        finding.bare = "\(course.words); \(try await ClusterLook.take(of: site).words)"

        try await site.reset()
        for node in site.nodes { try await node.check(start) }
        let run = try await site.pawl()
        guard run.exitCode == 3 else {
            try await site.expectMigrated(run, &finding)
            return finding
        }
        // It may win the race with the stop itself; then the stop is not clean, and nothing is migrated on that member.
        finding.expect(run.end.report?.step == "Stop etcd", "the halt is not at the stop: \(run.end.lastWords)")
        try await site.bench.onAll("systemctl stop trap-supervisor")
        try await site.expectMigrated(site.pawl(command: ["resume"]), &finding)
        finding.pawl = "\(run.words); without the supervisor, pawl resume: \(finding.pawl)"
        return finding
    }

    // MARK: - 1.6

    /// When the unit has stopped, another one starts the same etcd, as a kubelet or a container's restart policy would.
    private static func setRival(on node: LabNode, _ site: Site) async throws {
        let rival = """
            #!/bin/sh
            [ -e /var/lib/matrix/trap-rival ] || exit 0
            rm /var/lib/matrix/trap-rival
            exec systemd-run -q --unit trap-etcd --uid etcd -p EnvironmentFile=/etc/default/etcd -p Type=notify /usr/bin/etcd
            """
        try await site.install("/var/lib/matrix/trap-stopped", rival, on: node)
        try await node.check("touch /var/lib/matrix/trap-rival")
        try await site.extendUnit(node, "ExecStopPost=+/var/lib/matrix/trap-stopped")
    }

    private static let stillRunning = Scene(
        "1.6/running",
        "etcd still runs, or runs again, while its data is migrated"
    ) { site in
        var finding = Finding()
        try await site.reset()
        finding.bare = try await migrateWhileRunning(site)
        let look = try await ClusterLook.take(of: site)
        finding.bare += "; \(look.words)"
        finding.expect(look.members[0].v3?["/app/late"] == nil && !look.isMigrated, "the trap did not show")

        try await site.reset()
        let order = try await site.leaderLast()
        try await setRival(on: order[0], site)
        let run = try await site.pawl()
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        let now = try await ClusterLook.take(of: site)
        finding.expect(now.members.allSatisfy { ($0.v3 ?? [:]).isEmpty }, now.words)
        finding.expect(now.isUnmigrated, now.words)
        finding.pawl = "\(run.words); \(now.words)"
        return finding
    }

    /// The first member is stopped only when etcdctl complains; the others as they should be.
    private static func migrateWhileRunning(_ site: Site) async throws -> String {
        let node = site.nodes[0]
        let end = try await node.check(
            """
            cd /; out=/var/lib/matrix/trap-out
            (runuser -u etcd -- env ETCDCTL_API=3 timeout 30 /usr/bin/etcdctl migrate --data-dir /var/lib/etcd/default \
                >$out 2>&1; echo $? >$out.rc) </dev/null &
            n=0; until grep -q 'waiting for etcd to close' $out; do n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.1; done
            curl -s --noproxy '*' -o /dev/null -X PUT -d value=x \(node.clientURL)/v2/keys/app/late
            systemctl stop etcd
            n=0; until [ -e $out.rc ]; do n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.1; done
            systemctl start etcd
            echo "rc $(cat $out.rc), \\"$(tail -n 1 $out)\\""
            """
        )
        let first = "\(node.name) waits for its etcd, which takes /app/late and is stopped then: "
        for node in site.nodes.dropFirst() {
            try await node.check(
                "systemctl stop etcd && cd / && runuser -u etcd -- env ETCDCTL_API=3 /usr/bin/etcdctl migrate "
                    + "--data-dir /var/lib/etcd/default && systemctl start etcd"
            )
        }
        try await site.bench.awaitCluster()
        return first + end.split(separator: "\n").joined()
    }

    // MARK: - T13

    private static let quota = Scene("T13", "the migrated db is larger than --quota-backend-bytes") { site in
        var finding = Finding()
        let setting = "Environment=ETCD_QUOTA_BACKEND_BYTES=200000"
        try await site.reset()
        try await site.configureAll(setting)
        let course = try await BareProcedure().perform(on: site)
        let look = try await ClusterLook.take(of: site)
        let put = try await site.etcdctl(site.nodes[0], "put /v3/first x")
        let said = put.exitCode == 0 ? "a v3 write is taken" : "the first v3 write fails: \(lastWord(put))"
        finding.bare = "\(course.words); \(look.words); \(said)"
        finding.expect(put.exitCode != 0, "the trap did not show")

        try await site.reset()
        try await site.configureAll(setting)
        let before = try await ClusterLook.take(of: site)
        try await site.expectRefusal(by: "quota", site.pawl(), since: before, &finding)
        return finding
    }

    private static func lastWord(_ output: LabOutput) -> String {
        let line = BareProcedure.lastLine(output.standardError)
        return line.firstMatch(of: #/etcdserver: .*/#).map { String($0.0).replacing("\"}", with: "") } ?? line
    }
}
