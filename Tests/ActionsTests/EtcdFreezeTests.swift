// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import TestSupport
import Testing

@testable import Actions
@testable import Etcd

/// The firewall of a freeze, with real rules in networks of their own.
@Suite(.serialized, .enabled(if: NetworkPair.obstacle == nil, NetworkPair.obstacle ?? ""))
struct EtcdFreezeTests {
    @Test(arguments: ["nft", "iptables"])
    func `clients are cut off, the node and the members are not, and foreign rules stay`(tool: String) async throws {
        try await NetworkPair.with { pair in
            try await pair.text(
                pair.a,
                """
                nft 'add table inet site; add chain inet site in { type filter hook input priority 0; }'
                nft 'add rule inet site in tcp dport 2379 accept'
                iptables -A INPUT -p tcp --dport 2379 -j ACCEPT
                """
            )
            let rules = "nft list table inet site; iptables -S; ip6tables -S"
            let before = try await pair.text(pair.a, rules)
            // A client that watches holds a connection for a long time.
            try await pair.text(
                pair.b,
                """
                (curl -s -m 60 'http://10.99.0.1:2379/v2/keys/?wait=true&stream=true&recursive=true'; echo "ended $?") \
                  >\(pair.directory)/watch 2>&1 </dev/null &
                until grep -q ':094B 01 ' /proc/net/tcp; do sleep 0.02; done
                """
            )
            let evidence = try await pair.freeze(["with": .string(tool)]).perform(pair.context())
            #expect(evidence.values["ports"] == "2379 4001")
            #expect(evidence.summary.contains("closed by \(tool), as b finds"), "\(evidence.summary)")
            for port in ["2379", "4001"] {
                #expect(try await !pair.reaches(pair.b, "\(NetworkPair.address):\(port)"))
                #expect(try await pair.reaches(pair.a, "127.0.0.1:\(port)"))
                #expect(try await pair.reaches(pair.a, "\(NetworkPair.address):\(port)"), "the node's own address")
            }
            #expect(try await !pair.reaches(pair.b, "\(NetworkPair.address6):2379"))
            #expect(try await pair.reaches(pair.a, "\(NetworkPair.address6):2379"))
            #expect(try await pair.reaches(pair.b, "\(NetworkPair.address):2380"), "the peer port")
            let metrics = "curl -s -m 2 -o /dev/null http://10.99.0.1:2381/metrics"
            try await pair.text(pair.b, metrics)
            // Refused at once, not silently dropped.
            try await pair.text(pair.b, "curl -s -m 2 http://10.99.0.1:2379/version; [ $? = 7 ]")
            // The watch that was open ends with the first word that passes.
            let put = "curl -s -m 5 -X PUT http://127.0.0.1:2379/v2/keys/x -d value=1 >/dev/null"
            try await pair.text(pair.a, put)
            try await pair.until("the watch has ended") {
                try await pair.text(pair.b, "cat \(pair.directory)/watch").contains("ended 56")
            }

            guard case .done = try await pair.freeze().observe(pair.context()) else {
                Issue.record("a rule that is in place is not seen")
                return
            }
            let undone = try await pair.freeze().undo(pair.context())
            #expect(undone.summary == "the client ports are open again")
            #expect(try await pair.reaches(pair.b, "\(NetworkPair.address):2379"))
            #expect(try await pair.text(pair.a, rules) == before)
            #expect(try await pair.text(pair.a, "ls -A \(pair.directory)/state").isEmpty)
            guard case .notBegun = try await pair.freeze().observe(pair.context()) else {
                Issue.record("a rule that is gone is seen")
                return
            }
        }
    }

    @Test(arguments: ["nft", "iptables"])
    func `the node opens its ports by itself when nobody renews the rule, and not before`(tool: String) async throws {
        try await NetworkPair.with { pair in
            let freeze = try pair.freeze(["with": .string(tool), "dead_man": .int(5)])
            _ = try await freeze.perform(pair.context())
            let began = ContinuousClock.now
            while ContinuousClock.now - began < .seconds(8) {
                let watch = try await FreezeWatch(pair.facts, pair.context().cluster)
                #expect(await watch.renew() == [])
                #expect(watch.shortest == .seconds(5))
                try await Task.sleep(for: .milliseconds(500))
            }
            #expect(try await !pair.reaches(pair.b, "\(NetworkPair.address):2379"))
            // From here on nobody is at work.
            try await pair.until("the ports are open") {
                guard try await pair.reaches(pair.b, "\(NetworkPair.address):2379") else { return false }
                // Its notes go a moment later.
                return try await pair.text(pair.a, "ls \(pair.directory)/state/freeze") == "a.lifted"
            }
            guard case .notBegun(let why) = try await freeze.observe(pair.context()) else {
                Issue.record("a rule that was lifted is seen")
                return
            }
            #expect(why.contains("the dead-man timer of run r1 lifted the rule at 20"), "\(why)")
            let openings = await (try FreezeWatch(pair.facts, pair.context().cluster)).renew()
            #expect(openings.count == 1 && openings[0].contains("lifted the rule"), "\(openings)")
            // A resumed run closes them again.
            _ = try await freeze.perform(pair.context())
            #expect(try await !pair.reaches(pair.b, "\(NetworkPair.address):2379"))
        }
    }

    @Test func `a timer that was killed is started again, and a rule that was changed is found`() async throws {
        try await NetworkPair.with { pair in
            let freeze = try pair.freeze(["with": .string("nft"), "dead_man": .int(600)])
            _ = try await freeze.perform(pair.context())
            let loop = "read pid rest <\(pair.directory)/state/freeze/a.watcher"
            try await pair.text(
                pair.a,
                "\(loop); kill -KILL $pid; while [ -d /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status; do :; done"
            )
            guard case .notBegun(let why) = try await freeze.observe(pair.context()) else {
                Issue.record("a freeze without its timer is seen as done")
                return
            }
            #expect(why.contains("timer"))
            let watch = try await FreezeWatch(pair.facts, pair.context().cluster)
            #expect(await watch.renew() == [])
            try await pair.text(pair.a, "\(loop); kill -0 $pid")
            let table = try await pair.text(pair.a, "nft list tables | sed -n 's/^table inet //p'")
            try await pair.text(pair.a, "nft insert rule inet \(table) freeze tcp dport 2379 accept")
            #expect(await watch.renew() == ["a: the rule was changed or is gone"])
            guard case .notBegun = try await freeze.observe(pair.context()) else {
                Issue.record("a rule with a hole is seen as done")
                return
            }
            _ = try await freeze.perform(pair.context())
            #expect(await watch.renew() == [])
            #expect(try await !pair.reaches(pair.b, "\(NetworkPair.address):2379"))
        }
    }

    @Test func `a freeze of another run is taken over and said to be, and opened by any run`() async throws {
        try await NetworkPair.with { pair in
            _ = try await pair.freeze().perform(pair.context("r1"))
            guard case .notBegun(let why) = try await pair.freeze().observe(pair.context("r2")) else {
                Issue.record("another run's rule is taken for one's own")
                return
            }
            #expect(why.contains("closed by run r1"))
            let taken = try await pair.freeze(["with": .string("iptables")]).perform(pair.context("r2"))
            #expect(taken.summary.contains("taken over from run r1"), "\(taken.summary)")
            #expect(try await pair.text(pair.a, "nft list tables").contains("pawl") == false, "the old rule is gone")
            let thaw = try pair.freeze(["state": .string("thawed")])
            let opened = try await thaw.perform(pair.context("r3"))
            #expect(opened.summary.contains("run r2 had closed them"))
            #expect(try await pair.reaches(pair.b, "\(NetworkPair.address):2379"))
            guard case .done = try await thaw.observe(pair.context("r3")) else {
                Issue.record("open ports are not seen as thawed")
                return
            }
            // Where nothing is closed, nothing is done.
            #expect(try await thaw.perform(pair.context("r3")).summary == "the client ports are open")
        }
    }

    @Test func `what would cut members or SSH off, or is not known, is refused and nothing is closed`() async throws {
        try await NetworkPair.with { pair in
            func refusal(_ values: [String: Value], _ variables: [String: Value] = [:]) async throws -> String {
                do {
                    _ = try await pair.freeze(values).perform(pair.context("r1", variables))
                    return "closed"
                } catch let failure as ActionFailure {
                    return failure.message
                }
            }
            try await pair.text(
                pair.a,
                """
                cp /usr/bin/etcd \(pair.directory)/sshd
                \(pair.directory)/sshd --data-dir \(pair.directory)/other --listen-client-urls http://0.0.0.0:22 \
                  --advertise-client-urls http://10.99.0.1:22 --listen-peer-urls http://127.0.0.1:3380 \
                  >/dev/null 2>&1 </dev/null &
                until curl -s -m 1 http://127.0.0.1:22/health | grep -q true; do sleep 0.05; done
                """
            )
            #expect(
                try await refusal(["ports": .list([.int(2379), .int(22)])])
                    == "port 22 is that of SSH: the node would be cut off"
            )
            #expect(
                try await refusal(["ports": .list([.int(2380)])]).contains(
                    "port 2380 is for clients and for members alike"
                )
            )
            let silent = try await refusal([:], ["etcd_endpoint": .string("http://127.0.0.1:9")])
            #expect(silent.contains("etcd does not tell its ports"))
            #expect(try await pair.text(pair.a, "nft list ruleset").isEmpty)
            #expect(try await pair.reaches(pair.b, "\(NetworkPair.address):2379"))
        }
    }

    @Test func `a port that nothing advertises and that does not say what it is stops the freeze`() async throws {
        try await NetworkPair.with(etcd: "--enable-v2=false") { pair in
            let failure = try await thrown(try await pair.freeze().perform(pair.context()))
            #expect(
                failure?.message.contains("etcd listens on port 4001, too") == true,
                "\(String(describing: failure))"
            )
            #expect(failure?.remedy == "say which ports clients use: ports: [2379]")
            #expect(try await pair.text(pair.a, "nft list ruleset").isEmpty)
            _ = try await pair.freeze(["ports": .list([.int(2379), .int(4001)])]).perform(pair.context())
            #expect(try await !pair.reaches(pair.b, "\(NetworkPair.address):4001"))
        }
    }

    @Test func `a rule that another node gets past fails the freeze`() async throws {
        try await NetworkPair.with { pair in
            // The "other node" is the node itself, whose connections come over the loopback.
            var context = pair.context()
            context.cluster = [
                context.cluster[0], ActionTarget(host: NamespaceHost(name: "b", leader: pair.a.leader), variables: [:]),
            ]
            let failure = try await thrown(try await pair.freeze().perform(context))
            #expect(
                failure?.message.contains("b still reaches http://10.99.0.1:2379") == true,
                "\(String(describing: failure))"
            )
            #expect(try await pair.freeze().undo(context).summary == "the client ports are open again")
        }
    }

    @Test func `a member that is down is closed on the ports that were found before`() async throws {
        try await NetworkPair.with { pair in
            _ = try await pair.freeze().perform(pair.context())
            _ = try await pair.freeze().undo(pair.context())
            try await pair.text(
                pair.a,
                "pkill -KILL -x etcd; until ! curl -s -m 1 http://127.0.0.1:2379/version; do :; done"
            )
            let evidence = try await pair.freeze().perform(pair.context())
            #expect(evidence.values["ports"] == "2379 4001")
        }
    }

    @Test func `a gate finds a freeze that is gone, and says that nothing was written`() async throws {
        try await NetworkPair.with { pair in
            try await pair.text(pair.a, "curl -sf -X PUT http://127.0.0.1:2379/v2/keys/a -d value=1 >/dev/null")
            pair.facts.record("baseline_fingerprint", "x")
            let gate = try EtcdConsistent(Parameters([:]))
            let freeze = try pair.freeze()
            _ = try await freeze.perform(pair.context(others: false))
            _ = try await gate.perform(pair.context(others: false))
            try await pair.text(pair.a, "nft flush ruleset")
            let gone = try await failure(of: gate, pair.context(others: false))
            #expect(gone.contains("nothing was written, but the client ports are not closed any more"), "\(gone)")
            try await pair.text(pair.b, "curl -sf -X PUT http://10.99.0.1:2379/v2/keys/b -d value=1 >/dev/null")
            let written = try await failure(of: gate, pair.context(others: false))
            #expect(
                written.contains("somebody wrote") && written.contains("the client ports had been closed, and are not")
            )
        }
    }

    @Test func `no tool, and parameters that cannot be`() async throws {
        try await GenericActionBench.with { bench in
            let prelude = try bench.replacing("nft", with: "exit 1") + bench.replacing("iptables", with: "exit 1")
            let target = ActionTarget(
                host: LocalHost(name: "n1", prelude: prelude),
                variables: ["pawl_state_dir": .string(bench.path("state"))]
            )
            let firewall = ClientFirewall(state: NodeState(variables: target.variables), host: "n1", run: "r1")
            let ports = try ClientPorts(given: [65000], endpoint: "http://127.0.0.1:65000", member: nil)
            let report = try await target.tell(firewall.close(ports, findingMore: nil, timeout: .seconds(10)))
            #expect(report.refusal?.message == "neither nft nor iptables works on this node")
            #expect(report.refusal?.remedy?.contains("install nftables") == true)
        }
        #expect(throws: ActionFailure.self) { try EtcdFreeze(Parameters(["dead_man": .int(2)])) }
        let nothing = try EtcdFreeze(Parameters(["with": .string("none")]))
        #expect(nothing.traits.effect == .readOnly && !nothing.traits.hasUndo)
    }
}

/// The timer of systemd, in a booted node.
@Suite(
    .enabled(if: BootedNode.obstacle == nil && NetworkPair.obstacle == nil, "needs booted nodes, nft and iptables"),
    .serialized
)
struct EtcdFreezeSystemdTests {
    @Test func `a timer of systemd lifts the rule, and is gone with it`() async throws {
        try await BootedNode.with { node in
            try await node.text("systemctl start local")
            let state = NodeState()
            let firewall = ClientFirewall(state: state, host: "n1", run: "r1", deadMan: .seconds(10))
            let ports = try ClientPorts(given: [4379], endpoint: "http://127.0.0.1:4379", member: nil)
            let target = node.context().cluster[0]
            let closed = try await target.report(firewall.close(ports, findingMore: nil, timeout: .seconds(30)))
            #expect(closed["state"] == "closed" && closed["watched"] == "yes", "\(closed)")
            let timers = "systemctl list-units --all --no-legend 'pawl-thaw-*'"
            #expect(try await node.text(timers).contains(".timer"))
            let began = ContinuousClock.now
            while ContinuousClock.now - began < .seconds(12) {
                #expect(try await target.report(firewall.renew())["state"] == "closed")
                try await Task.sleep(for: .milliseconds(500))
            }
            while try await node.text("nft list tables").contains("pawl") {
                try #require(ContinuousClock.now - began < .seconds(60), "the timer does not lift the rule")
                try await Task.sleep(for: .milliseconds(200))
            }
            let look = try await target.report(firewall.look())
            #expect(look["state"] == "open" && look["lifted"]?.hasPrefix("r1 20") == true, "\(look)")
            while try await node.text(timers).contains("active") {
                try #require(ContinuousClock.now - began < .seconds(80), "the timer stays")
            }
            // Swept as a run is.
            _ = try await target.report(firewall.close(ports, findingMore: nil, timeout: .seconds(30)))
            try await node.text("state=/var/lib/pawl\n" + ClientFirewall.sweep("r2"))
            #expect(try await node.text("nft list tables").contains("pawl"), "another run's is left alone")
            try await node.text("state=/var/lib/pawl\n" + ClientFirewall.sweep("r1"))
            #expect(try await !node.text("nft list tables").contains("pawl"))
            #expect(try await node.text("ls -A /var/lib/pawl/freeze 2>/dev/null | grep -v lifted").isEmpty)
        }
    }
}
