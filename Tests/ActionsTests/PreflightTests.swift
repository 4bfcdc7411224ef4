// SPDX-License-Identifier: Apache-2.0

import Fleet
import Glibc
import Playbooks
import Remote
import TestSupport
import Testing

@testable import Actions
@testable import Etcd

/// Each check of preflight, with the condition made on a real cluster.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct PreflightTests {
    private func action(_ values: [String: Value] = [:]) throws -> EtcdReady { try EtcdReady(Parameters(values)) }

    /// The lines of a refusal that end with a check's word.
    private func lines(_ message: String, _ word: String) -> [Substring] {
        message.split(separator: "\n").filter { $0.hasSuffix("[\(word)]") }
    }

    @Test func `what a migration loses is refused by name, and what is harmless is not`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/session/a", "1")], ttl: 3600)
            try await cluster.put([("/literal", #"\ufffd \\ufffd"#), ("/real", "\u{FFFD}"), ("/full/x", "1")])
            try await cluster.sh(
                #"""
                put() { path=$1; shift; curl -sf -o /dev/null -X PUT "$url/v2/keys$path" "$@"; }
                put /leased -d dir=true -d ttl=1800; put /leased/child -d value=1
                put /empty -d dir=true
                put /binary --data 'value=%ff%fe%00%01'
                put /name%ff -d value=1
                put '/_line%0abreak%22quote/x%20y' -d value=1
                put /_outer/_inner/deep -d value=1
                put /a/_bc -d value=1
                put /_gone -d value=1; curl -sf -o /dev/null -X DELETE "$url/v2/keys/_gone"
                put /quotes --data-urlencode 'value={"Path":"/1/_fake"}'
                put "/_$(printf %0200d 7)" -d value=1
                curl -sf -o /dev/null -X PUT "$url/v2/auth/users/alice" -d '{"user":"alice","password":"x"}'
                curl -sf -o /dev/null -X PUT "$url/v2/auth/roles/ops" -d '{"role":"ops"}'
                etcdctl --endpoints $url lease grant 600
                chmod 755 \#(cluster.members[1].dataDir)
                """#
            )
            let facts = MemoryFacts()
            let message = try await failure(of: action(), cluster.context(facts))
            let expected = [
                ("ttl_keys", "1 keys have a TTL: /session/a (3"),
                ("checks.ttl_directories", "1 directories have a TTL: /leased (1"),
                ("checks.non_utf8", "2 keys hold bytes that are not UTF-8: /binary, /name\u{FFFD}:"),
                ("checks.v2_users", "v2 users or roles exist: users/alice, roles/ops:"),
                ("checks.empty_directories", "1 directories are empty, or hold hidden keys only: /a"),
                ("checks.snapshot_file", "no snapshot exists on n1, n2, n3"),
                ("checks.file_modes", "n2: \(cluster.members[1].dataDir) has mode 755"),
            ]
            for (word, text) in expected where word != "checks.empty_directories" {
                #expect(lines(message, word).count == 1, "\(word): \(message)")
                #expect(lines(message, word).first?.contains(text) == true, "\(word): \(message)")
            }
            let empty = lines(message, "checks.empty_directories").first ?? ""
            #expect(empty.contains("/a") && empty.contains("/empty") && !empty.contains("/full"), "\(message)")
            #expect(lines(message, "checks.leases").count == 3)
            let hidden = try #require(lines(message, "hidden_keys").first)
            #expect(hidden.contains("4 hidden keys: "), "\(message)")
            for name in [#"/_line\u{a}break"quote/x y"#, "/_outer/_inner/deep", "/a/_bc", "/_000"] {
                #expect(hidden.contains(name), "\(name): \(message)")
            }
            #expect(!message.contains("_gone") && !message.contains("_fake"))
            // Worst first: no warning stands before a refusal.
            let kinds = message.split(separator: "\n").dropFirst()
                .map { $0.hasPrefix("- warning: ") }
            #expect(kinds == kinds.sorted { !$0 && $1 }, "\(message)")
            #expect(facts.all.keys.allSatisfy { !$0.hasPrefix("policy.") })
        }
    }

    @Test func `a policy is on record with what it let pass`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.put([("/session", "1")], ttl: 3600)
            try await cluster.put([("/_hidden", "1"), ("/plain", "2")])
            let words: [String: Value] = [
                "ttl_keys": .string("skip"), "hidden_keys": .string("allow"),
                "checks": .map(["snapshot_file": .string("allow"), "v2_users": .string("warn")]),
            ]
            let facts = MemoryFacts()
            let context = cluster.context(facts)
            let evidence = try await action(words).perform(context)
            #expect(evidence.values["policy.ttl_keys"] == "skip")
            #expect(evidence.values["policy.hidden_keys"] == "allow")
            #expect(evidence.values["policy.v2_users"] == nil)
            #expect(facts.fact("policy.snapshot_file") == "allow")
            #expect(
                evidence.values["finding.hidden_keys"]?.hasPrefix("allowed by policy: 1 hidden keys: /_hidden") == true
            )
            #expect(evidence.values["finding.ttl_keys"]?.contains("/session (3") == true)
            #expect(
                evidence.summary.hasSuffix("allowed by policy: ttl_keys, hidden_keys, snapshot_file"),
                "\(evidence.summary)"
            )
            #expect(evidence.values["n1:db_mode"] == "600")
            // Skipped keys must then be left out.
            let halted = await #expect(throws: ActionFailure.self) { try await context.migrationBaseline(noTTL: false) }
            #expect(halted?.message.contains("1 keys with a TTL") == true)
            _ = try await context.migrationBaseline(noTTL: true)

            // etcdctl does not skip the keys of a directory that expires; etcd_ttl_keys does, unless that is refused.
            try await cluster.sh("curl -sf -X PUT $url/v2/keys/leased -d dir=true -d ttl=1800")
            let warned = try await action(words).perform(cluster.context(MemoryFacts()))
            #expect(warned.values["finding.ttl_directories"]?.hasPrefix("warning: 1 directories") == true, "\(warned)")
            let refused = MemoryFacts()
            var strict = words
            strict["checks"] = .map(["snapshot_file": .string("allow"), "ttl_directories": .string("refuse")])
            let message = try await failure(of: action(strict), cluster.context(refused))
            #expect(lines(message, "checks.ttl_directories").count == 1, "\(message)")
            #expect(message.contains("- allowed by policy: 1 keys have a TTL"), "\(message)")
            #expect(refused.fact("policy.ttl_keys") == "skip")
            // The way out that the message names.
            try await cluster.sh("curl -sf -X PUT $url/v2/keys/leased -d dir=true -d prevExist=true -d ttl=")
            _ = try await action(words).perform(context)
        }
    }

    @Test func `transformers that are missing, cannot be run or differ are refused all at once, and by host`()
        async throws
    {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/plain", "1")])
            func path(_ name: String) -> String { "\(cluster.directory)/\(name)" }
            try await cluster.sh(
                """
                cd \(cluster.directory)
                for name in one same; do printf '#!/bin/sh\ncat\n' >$name; done
                printf '#!/bin/sh\ncat -u\n' >other; printf '#!/usr/bin/env no-such-program\n' >alien
                chmod 755 one same other alien; cp one plain; chmod 644 plain
                """
            )
            /// With the variable of the playbooks, which each host may have otherwise.
            func told(_ names: [String], literally: String? = nil) async throws -> String {
                let targets = cluster.targets().enumerated().map { index, target in
                    var target = target
                    if literally == nil { target.variables["migrate_transformer"] = .string(names[index]) }
                    return target
                }
                let action = try action(["transformer": .string(literally ?? names[0])])
                return try await failure(of: action, cluster.context(MemoryFacts(), targets: targets))
            }
            let different = lines(try await told([path("one"), path("other"), path("missing")]), "transformer")
            #expect(different.count == 2, "\(different)")
            #expect(different[0].contains("n3: the transformer \(path("missing")) is not a file on this node"))
            #expect(different[1].contains("different transformers: n1: sha256 "), "\(different)")
            let unfit = lines(try await told([path("plain"), path("one"), path("alien")]), "transformer")
            #expect(
                unfit.first?.contains("n1: the transformer \(path("plain")) cannot be run by root") == true,
                "\(unfit)"
            )
            #expect(unfit.dropFirst().first?.contains("no-such-program, which is not on this node") == true, "\(unfit)")
            let partly = lines(try await told([path("one"), "", path("same")]), "transformer")
            #expect(partly.count == 1 && partly[0].contains("n2: no transformer is set for this host"), "\(partly)")
            let first = lines(try await told(["", path("one"), path("same")]), "transformer")
            #expect(first.count == 1 && first[0].contains("n1: no transformer is set for this host"), "\(first)")
            #expect(lines(try await told([], literally: path("missing")), "transformer").count == 3)
            for good in [
                try await told([path("one"), path("same"), path("one")]), try await told([], literally: path("one")),
            ] {
                #expect(good.hasPrefix("no failure"), "\(good)")
            }
        }
    }

    @Test func `leases and a transformer are refused together, and so are directories that expire`() throws {
        let program: [String: Value] = ["transformer": .string("/opt/t")]
        for make in [
            { try EtcdReady($0) as any Action },
            { try EtcdMigrate(Parameters($0.values.merging(["data_dir": .string("/d")]) { $1 })) },
            { try EtcdPrepare(Parameters($0.values.merging(["data_dir": .string("/d")]) { $1 })) },
        ] as [(Parameters) throws -> any Action] {
            let error = #expect(throws: ActionFailure.self) {
                try make(Parameters(program.merging(["ttl_keys": .string("lease")]) { $1 }))
            }
            #expect(error?.message.contains("ttl_keys is lease") == true)
            _ = try make(Parameters(program.merging(["ttl_keys": .string("skip")]) { $1 }))
        }
        let words: [String: Value] = ["ttl_keys": .string("skip")]
        #expect(try action(words).requirements.policy(of: .ttlDirectories) == .warn)
        #expect(try action(words.merging(program) { $1 }).requirements.policy(of: .ttlDirectories) == .refuse)
    }

    @Test func `v2 authentication that is on is a warning with the names that the files hold`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.sh(
                """
                curl -sf -X PUT "$url/v2/auth/users/root" -d '{"user":"root","password":"x"}'
                curl -sf -X PUT "$url/v2/auth/users/bob" -d '{"user":"bob","password":"x"}'
                curl -sf -X PUT "$url/v2/auth/enable"
                """
            )
            let evidence = try await action().perform(cluster.context(MemoryFacts()))
            let text = evidence.values["finding.v2_users"] ?? ""
            #expect(text.hasPrefix("warning: v2 authentication is on: "), "\(text)")
            #expect(text.contains("users/bob, users/root, by the members' files"), "\(text)")
            let strict = try action(["checks": .map(["v2_users": .string("refuse")])])
            let message = try await failure(of: strict, cluster.context(MemoryFacts()))
            #expect(lines(message, "checks.v2_users").count == 1)
        }
    }

    @Test func `v3 authentication is refused by its name`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.sh(
                """
                etcdctl --endpoints $url user add root:x; etcdctl --endpoints $url user grant-role root root
                etcdctl --endpoints $url auth enable
                """
            )
            let message = try await failure(of: action(), cluster.context(MemoryFacts()))
            #expect(
                lines(message, "v3_auth").first?.contains("n1: the v3 store cannot be counted") == true,
                "\(message)"
            )
        }
    }

    @Test func `corruption checks and a small quota are found in a configuration file and in the environment`()
        async throws
    {
        try await EtcdCluster.with(size: 1) { cluster in
            let member = cluster.members[0]
            try await cluster.put((0..<100).map { ("/k\($0)", String(repeating: "v", count: 900)) })
            let flags = """
                name: n1
                data-dir: \(member.dataDir)
                listen-client-urls: \(member.clientURL)
                advertise-client-urls: \(member.clientURL)
                listen-peer-urls: \(member.peerURL)
                initial-advertise-peer-urls: \(member.peerURL)
                initial-cluster: n1=\(member.peerURL)
                enable-v2: true
                quota-backend-bytes: 150000
                experimental-corrupt-check-time: 3600000000000
                """
            let configured = try await restarted(cluster, "--config-file=\(cluster.directory)/etcd.yaml", file: flags)
            #expect(
                lines(configured, "checks.corrupt_check").first?.contains("experimental-corrupt-check-time: 36")
                    == true,
                "\(configured)"
            )
            #expect(lines(configured, "checks.quota").first?.contains("over its quota of ") == true, "\(configured)")
            let words = flags.split(separator: "\n").dropLast(2).map { line -> String in
                let (name, value) = (line.prefix { $0 != ":" }, line.drop { $0 != ":" }.dropFirst(2))
                return "--\(name)=\(value)"
            }
            let environment = "ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=true ETCD_QUOTA_BACKEND_BYTES=150000"
            let fromEnvironment = try await restarted(cluster, words.joined(separator: " "), environment: environment)
            #expect(
                lines(fromEnvironment, "checks.corrupt_check").first?.contains("INITIAL_CORRUPT_CHECK=true") == true,
                "\(fromEnvironment)"
            )
            #expect(lines(fromEnvironment, "checks.quota").count == 1, "\(fromEnvironment)")
        }
    }

    /// Ends the etcd of `$pid` when the test process is gone, as ``EtcdCluster`` does with its own.
    private static let watcher =
        "(while kill -0 \(getpid()) && kill -0 $pid; do sleep 1; done; kill -9 $pid) >/dev/null 2>&1 </dev/null &"

    /// The refusal of a member that was started again by hand.
    private func restarted(
        _ cluster: EtcdCluster,
        _ words: String,
        environment: String = "",
        file: String = ""
    ) async throws -> String {
        try await cluster.stop(cluster.members[0])
        try await cluster.sh("cat >\(cluster.directory)/etcd.yaml", input: Array(file.utf8))
        try await cluster.sh(
            """
            \(environment) etcd \(words) >>\(cluster.directory)/n1.log 2>&1 </dev/null &
            pid=$!
            echo $pid >\(cluster.directory)/n1.pid
            \(Self.watcher)
            """
        )
        try await cluster.awaitHealthy(cluster.members[0])
        return try await failure(of: action(), cluster.context(MemoryFacts()))
    }

    @Test func `a member that was added, and a learner, are refused`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let first = cluster.members[0]
            let net = first.address.split(separator: ".").dropLast().joined(separator: ".")
            let peer = "http://\(net).9:2380"
            try await cluster.sh("etcdctl --endpoints $url member add new --learner --peer-urls=\(peer)")
            let added = try await failure(of: action(), cluster.context(MemoryFacts()))
            #expect(lines(added, "unstarted_members").first?.contains("(\(peer)) was added and never started") == true)
            #expect(lines(added, "membership").first?.contains("\(peer)") == true, "\(added)")
            let url = "http://\(net).9:2379"
            try await cluster.sh(
                """
                etcd --name new --data-dir \(cluster.directory)/new --listen-client-urls \(url) --enable-v2=true \
                    --advertise-client-urls \(url) --listen-peer-urls \(peer) \
                    --initial-advertise-peer-urls \(peer) --initial-cluster-state existing \
                    --initial-cluster n1=\(first.peerURL),new=\(peer) >>\(cluster.directory)/new.log 2>&1 </dev/null &
                pid=$!
                echo $pid >\(cluster.directory)/new.pid
                \(Self.watcher)
                """
            )
            let isStarted = try? await cluster.sh(
                """
                n=0; until etcdctl --endpoints $url member list | grep -q 'started, new'; do
                n=$((n + 1)); [ $n -lt 200 ]; sleep 0.05; done
                """
            )
            let message = try? await failure(of: action(), cluster.context(MemoryFacts()))
            try await cluster.sh("kill -9 $(cat \(cluster.directory)/new.pid)")
            #expect(isStarted != nil)
            #expect(lines(message ?? "", "learners").first?.contains("new (") == true, "\(message ?? "")")
        }
    }

    @Test func `a host that is no member is named, and the order of the inventory does not matter`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/a", "1")])
            let reversed = Array(cluster.targets().reversed())
            _ = try await action().perform(cluster.context(MemoryFacts(), targets: reversed))
            var targets = cluster.targets()
            var silent = targets[0]
            silent.host = LocalHost(name: "n4")
            silent.variables["etcd_endpoint"] = .string("http://127.255.255.1:2379")
            targets.append(silent)
            let message = try await failure(of: action(), cluster.context(MemoryFacts(), targets: targets))
            #expect(message.contains("n4 is no member of the cluster: all its 3 members are other hosts"), "\(message)")
            #expect(lines(message, "reachable").first?.contains("n4: etcd does not answer") == true, "\(message)")
            try await EtcdCluster.with(size: 1) { other in
                targets[3].variables["etcd_endpoint"] = .string(other.members[0].clientURL)
                let foreign = try await failure(of: action(), cluster.context(MemoryFacts(), targets: targets))
                #expect(
                    lines(foreign, "membership").contains {
                        $0.contains("different clusters") && $0.contains("n1, n2, n3 in cluster")
                            && $0.contains("n4 in")
                    },
                    "\(foreign)"
                )
            }
        }
    }

    @Test func `clocks that differ refuse where keys expire, and warn elsewhere`() async throws {
        try await EtcdCluster.with { cluster in
            var targets = cluster.targets()
            // Five seconds ahead.
            targets[1].host = LocalHost(
                name: "n2",
                prelude: "date() { echo \"$(($(command date +%s) + 5)).$(command date +%N)\"; }\n"
            )
            let context = cluster.context(MemoryFacts(), targets: targets)
            let evidence = try await action().perform(context)
            let text = evidence.values["finding.clock_skew"] ?? ""
            #expect(text.hasPrefix("warning: the clock of n2 is at least "), "\(evidence.values)")
            try await cluster.put([("/session", "1")], ttl: 3600)
            let lenient: [String: Value] = ["ttl_keys": .string("allow")]
            let message = try await failure(of: action(lenient), context)
            #expect(lines(message, "checks.clock_skew").count == 1, "\(message)")
            let same = try await action(lenient).perform(cluster.context(MemoryFacts()))
            #expect(same.values["finding.clock_skew"] == nil)
        }
    }

    @Test func `a disk without room for the keys and for a copy is refused`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.put((0..<20).map { ("/k\($0)", String(repeating: "v", count: 900)) })
            var targets = cluster.targets()
            // The data directory has one of its own fixture beside it, so that a copy could lie there.
            targets[0].host = LocalHost(
                name: "n1",
                prelude: "df() { printf 'Filesystem\\n/dev/full 1 1 8 99%% /\\n'; }\n"
            )
            let message = try await failure(of: action(), cluster.context(MemoryFacts(), targets: targets))
            #expect(lines(message, "checks.data_disk").count == 2, "\(message)")
            #expect(lines(message, "checks.data_disk").contains { $0.contains("8 inodes are free") }, "\(message)")
            #expect(lines(message, "checks.copy_disk").count == 1, "\(message)")
        }
    }

    @Test func `etcd 3.5 is refused with the ways that are left`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            let nodes = cluster.context(MemoryFacts()).etcdNodes
            var facts = try #require(await ClusterProbe.facts(nodes)["n1"]).get()
            func text(_ words: [String: Value] = [:]) throws -> String {
                EtcdReadyReview(
                    requirements: try action(words).requirements,
                    nodes: nodes,
                    answers: ["n1": .success(facts)]
                )
                .findings.filter { $0.severity == .refusal }.map(\.description).joined(separator: "\n")
            }
            facts.node.etcdctlVersion = EtcdVersion(3, 5, 9)
            facts.node.etcdctlHasMigrate = false
            #expect(try text().contains("upload one of 3.4, checked by its sha256"))
            facts.version.server = EtcdVersion(3, 5, 9)
            facts.version.cluster = EtcdVersion(3, 5, 0)
            // A wider range does not help.
            let message = try text(["versions": .string(">=3.0.14 <3.6")])
            #expect(message.contains("n1: etcd 3.5.9 cannot be migrated in place: migrate was removed in 3.5.0"))
            #expect(message.contains("through both APIs"))
            #expect(message.contains("does not help with etcd 3.5.9"))
            facts.node.hasDatabase = false
            #expect(try text().contains("member/snap/db is missing"))
            facts.alarms = AlarmList(text: "memberID:\(facts.memberID.value) alarm:CORRUPT\n")
            #expect(try text().contains("n1: alarm:CORRUPT is raised for member"))
        }
    }
}
