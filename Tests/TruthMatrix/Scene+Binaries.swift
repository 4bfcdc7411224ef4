// SPDX-License-Identifier: Apache-2.0

import Lab
import RealNodes
import TestSupport

/// `etcdctl migrate` and the transformer that it runs.
extension Scene {
    static let binaries = [transformerFails, transformerTalks, transformerRace, killedMigration]

    private static let path = "/var/lib/matrix/trap-transformer"

    /// Reads all keys and gives each with its value in capitals, all at once; then it ends at once.
    private static let capitals = #"""
        #!/usr/bin/perl
        binmode STDIN; binmode STDOUT; undef $/; my $in = <STDIN>; my $out = ""; my $seen = 0;
        sub number { my $n = shift; my $s = ""; while ($n >= 128) { $s .= chr($n % 128 + 128); $n = int($n / 128) } $s . chr($n) }
        sub bytes { my ($tag, $b) = @_; chr($tag) . number(length $b) . $b }
        while ($in =~ /\{"key":"([^"]*)","value":"([^"]*)","modifiedIndex":(\d+),"createdIndex":(\d+)\}/g) {
          my ($key, $value, $modified, $created) = ($1, uc $2, $3, $4);
          my $kv = bytes(0x0a, $key) . chr(0x10) . number($created) . chr(0x18) . number($modified) . chr(0x20) . number(1)
            . bytes(0x2a, $value);
          $out .= pack("q<", length $kv) . $kv;
          LIMIT
        }
        print $out;
        """#

    /// With a transformer that pawl gives up on before any member is stopped.
    private static func transformer(_ text: String, says word: String, _ site: Site) async throws -> Finding {
        var finding = Finding()
        try await site.reset()
        for node in site.nodes { try await site.install(path, text, on: node) }
        let course = try await BareProcedure(flags: "--transformer \(path)").perform(on: site)
        finding.bare = "\(course.words); \(try await ClusterLook.take(of: site).words)"
        finding.expect(course.stopped != nil, "the trap did not show")

        try await site.reset()
        for node in site.nodes { try await site.install(path, text, on: node) }
        let before = try await ClusterLook.take(of: site)
        let run = try await site.pawl(["migrate_transformer=\(path)"])
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        finding.expect(run.reason.contains(word), "the halt does not say '\(word)': \(run.reason)")
        let now = try await ClusterLook.take(of: site)
        let isSame = zip(before.members, now.members).allSatisfy { $0.trace == $1.trace }
        finding.expect(isSame && now.isUnmigrated, "members were touched: \(now.words)")
        finding.pawl = "\(run.words); \(isSame ? "no member touched" : "MEMBERS WERE TOUCHED")"
        return finding
    }

    private static let transformerFails = Scene("1.6/transformer", "the transformer ends with 3 after half of the keys")
    {
        try await transformer(
            capitals.replacing("LIMIT", with: "last if ++$seen == 600;") + "\nclose STDOUT; sleep 1; exit 3;",
            says: "exit code 3",
            $0
        )
    }

    private static let transformerTalks = Scene("1.6/garbage", "the transformer prints what are no keys") {
        try await transformer(
            "#!/bin/sh\ncat >/dev/null; echo garbage garbage garbage",
            says: "no sequence of lengths and records",
            $0
        )
    }

    // MARK: - 1.8

    private static let transformerRace = Scene("1.8", "the transformer ends while etcdctl still reads its output") {
        site in
        var finding = Finding()
        let attempts = 15
        let quick = capitals.replacing("LIMIT", with: "")
        // Keys without signs that the transformer's few lines of JSON do not know.
        func plainKeys() async throws -> Int {
            try await site.resetToNothing()
            let node = site.nodes[0]
            for node in site.nodes { try await site.install(path, quick, on: node) }
            try await node.check(
                "curl -Z --parallel-max 60 -s --noproxy '*' -o /dev/null -X PUT "
                    + "'\(node.clientURL)/v2/keys/k/[1-1500]?value=a-value-of-some-length-as-they-are'"
            )
            return try await ClusterLook.take(of: site).members[0].v2?.count ?? -1
        }
        let keys = try await plainKeys()
        finding.expect(keys == 1500, "\(keys) keys were written")
        let counts = try await site.nodes[0].check(
            """
            systemctl stop etcd; cd /var/lib/etcd; export ETCDCTL_API=3
            for n in $(seq \(attempts)); do
                rm -rf old; cp -a --sparse=always default old
                runuser -u etcd -- etcdctl migrate --data-dir old --transformer \(path) >/dev/null 2>&1
                echo "$? $(etcdctl snapshot status old/member/snap/db -w json | jq .totalKey)"
            done
            rm -rf old; systemctl start etcd
            """
        )
        let ends = counts.split(separator: "\n").map { $0.split(separator: " ").compactMap { Int($0) } }
        // The db holds its consistent index beside the keys, and what etcd itself keeps there.
        let most = ends.compactMap(\.last).max() ?? 0
        let short = ends.filter { $0.first == 0 && ($0.last ?? 0) < keys }.compactMap(\.last)
        let least = short.min().map { ", at worst \($0) of \(keys) came through" } ?? ""
        finding.bare = "\(short.count) of \(attempts) runs lost keys with rc 0\(least)"
        finding.expect(!short.isEmpty, "the trap did not show (the largest db has \(most) keys)")

        _ = try await plainKeys()
        let run = try await site.pawl(["migrate_transformer=\(path)"])
        finding.expect(run.exitCode == 0, "exit code \(run.exitCode), not 0: \(run.end.lastWords)")
        let look = try await ClusterLook.take(of: site)
        for member in look.members {
            let v3 = member.v3 ?? [:]
            let isWhole = v3.count == 1500 && v3.values.allSatisfy { $0.value == "A-VALUE-OF-SOME-LENGTH-AS-THEY-ARE" }
            finding.expect(isWhole, "\(member.name) has \(v3.count) keys")
        }
        finding.expect(Set(look.members.map(\.hash)).count == 1, "the members differ")
        let all = look.members.map { "\(($0.v3 ?? [:]).count)" }.joined(separator: ", ")
        finding.pawl = "\(run.words); keys on the members: \(all), all transformed, hashes equal"
        return finding
    }

    // MARK: - Killed

    /// An etcdctl that is killed when a part of its keys is in the db, once.
    ///
    /// What slows it down is a transformer that stops half way: etcd writes to the db every 100 ms.
    private static func setKill(on node: LabNode, _ site: Site) async throws {
        let half =
            capitals.replacing("LIMIT", with: "if (++$seen == 300) { last }")
            + "\n$| = 1; print ''; open(my $f, '>', '/var/lib/matrix/trap-half'); close $f;"
            + "my $caller = getppid; select(undef, undef, undef, 0.1) while getppid == $caller;"
        try await site.install(path, half, on: node)
        try await node.check("touch /var/lib/matrix/trap-kill; chmod 666 /var/lib/matrix/trap-kill")
        try await node.replaceProgram(
            "/usr/bin/etcdctl",
            with: """
                case "$*" in
                *--help*) exec $ORIGINAL "$@" ;;
                migrate*) ;;
                *) exec $ORIGINAL "$@" ;;
                esac
                rm /var/lib/matrix/trap-kill 2>/dev/null || exec $ORIGINAL "$@"
                $ORIGINAL "$@" --transformer \(path) 2>/dev/null &
                child=$!
                until [ -e /var/lib/matrix/trap-half ]; do sleep 0.05; done
                sleep 0.5
                kill -KILL $child
                kill -KILL $$
                """
        )
    }

    private static let killedMigration = Scene("1.6/killed", "etcdctl is killed in the middle of its work") { site in
        var finding = Finding()
        try await site.reset()
        let node = site.nodes[0]
        try await setKill(on: node, site)
        let course = try await BareProcedure().perform(on: site)
        try await node.check("systemctl start etcd")
        try await site.bench.awaitCluster()
        let look = try await ClusterLook.take(of: site)
        let (part, all) = (look.members[0].v3?.count ?? -1, look.members[0].v2?.count ?? -1)
        finding.bare = "\(course.words); started again it is healthy with \(part) of \(all) keys in v3"
        finding.expect(part > 0 && part < all && look.isHealthy, "the trap did not show: \(part) of \(all)")

        try await site.reset()
        let order = try await site.leaderLast()
        try await setKill(on: order[0], site)
        let run = try await site.pawl(playbook: "migrate_etcd_v2_to_v3_in_place")
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        let halted = try await ClusterLook.take(of: site)
        finding.expect(halted.isUnmigrated, "after the halt: \(halted.words)")
        let resumed = try await site.pawl(command: ["resume"])
        try await site.expectMigrated(resumed, &finding)
        finding.pawl = "\(run.words); \(halted.words); pawl resume: \(finding.pawl)"
        return finding
    }
}
