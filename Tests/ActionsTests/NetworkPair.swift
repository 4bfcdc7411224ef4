// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import TestSupport
import Testing

@testable import Actions

/// Two nodes with a cable between them, each a network of its own on this machine: `a` with etcd, `b` with clients.
///
/// They have no systemd. All of it is gone with two processes.
struct NetworkPair: Sendable {
    /// Why it cannot be had here, or `nil`.
    static let obstacle: Comment? = {
        if geteuid() != 0 { return "a network of one's own needs root" }
        let tools = ["/usr/bin/unshare", "/usr/bin/nsenter", "/usr/bin/etcd", "/usr/sbin/nft", "/usr/sbin/iptables"]
        return tools.allSatisfy(FileManager.default.isExecutableFile)
            ? nil : "needs unshare, nsenter, etcd, nft and iptables"
    }()

    let directory: String
    let a: NamespaceHost
    let b: NamespaceHost
    let facts = MemoryFacts()

    /// The addresses of `a` as `b` sees them.
    static let address = "10.99.0.1"
    static let address6 = "[fd99::1]"

    static func with(etcd arguments: String = "", _ body: (NetworkPair) async throws -> Void) async throws {
        let directory = "/var/tmp/pawl-pair-\(UUID().uuidString.prefix(8))"
        let here = LocalHost()
        func sh(_ script: String) async throws -> String {
            let result = try await here.run(RemoteCommand("test", script: script, effect: .mutating))
            try #require(result.exitCode == 0, "\(result.errorOutput)")
            return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        let up = """
            set -e
            mkdir -m 700 \(directory)
            for name in a b; do
              # Ends with this process, and everything in it with its first process.
              setsid unshare --net --mount --pid --fork --kill-child --mount-proc \
                sh -c 'mount -t tmpfs none /run; ip link set lo up; exec sleep 600' >/dev/null 2>&1 </dev/null &
              echo $! >\(directory)/$name.outer
              n=0
              until first=$(cat /proc/$!/task/*/children 2>/dev/null | tr -d ' ') && [ -n "$first" ] &&
                nsenter -t $first -n ip link show lo 2>/dev/null | grep -q UP; do
                n=$((n + 1)); [ $n -lt 200 ]; sleep 0.02
              done
              echo $first >\(directory)/$name.pid
            done
            a=$(cat \(directory)/a.pid) b=$(cat \(directory)/b.pid)
            ip link add pawl-va netns $a type veth peer name pawl-vb netns $b
            nsenter -t $a -n sh -c 'ip addr add 10.99.0.1/24 dev pawl-va; ip -6 addr add fd99::1/64 dev pawl-va nodad; ip link set pawl-va up'
            nsenter -t $b -n sh -c 'ip addr add 10.99.0.2/24 dev pawl-vb; ip -6 addr add fd99::2/64 dev pawl-vb nodad; ip link set pawl-vb up'
            echo $a $b
            """
        let down = "kill -KILL $(cat \(directory)/*.outer) 2>/dev/null; rm -rf \(directory)"
        do {
            let pids = try await sh(up).split(separator: " ").compactMap { Int32($0) }
            try #require(pids.count == 2)
            let pair = NetworkPair(
                directory: directory,
                a: NamespaceHost(name: "a", leader: pids[0]),
                b: NamespaceHost(name: "b", leader: pids[1])
            )
            try await pair.startEtcd(arguments)
            try await body(pair)
        } catch {
            _ = try? await sh(down + "; true")
            throw error
        }
        _ = try await sh(down + "; true")
    }

    /// One member that serves clients on 2379 and, without saying so, on 4001, and metrics on 2381.
    private func startEtcd(_ arguments: String) async throws {
        try await text(
            a,
            """
            etcd --name a --data-dir \(directory)/etcd --enable-v2=true \
              --listen-client-urls http://[::]:2379,http://0.0.0.0:4001 --advertise-client-urls http://10.99.0.1:2379 \
              --listen-peer-urls http://10.99.0.1:2380 --initial-advertise-peer-urls http://10.99.0.1:2380 \
              --initial-cluster a=http://10.99.0.1:2380 --listen-metrics-urls http://0.0.0.0:2381 \(arguments) \
              >\(directory)/etcd.log 2>&1 </dev/null &
            n=0
            until curl -s -m 1 http://127.0.0.1:2379/health | grep -q true; do
              n=$((n + 1)); [ $n -lt 300 ] || exit 1; sleep 0.05
            done
            """
        )
    }

    @discardableResult
    func text(_ host: NamespaceHost, _ script: String) async throws -> String {
        let result = try await host.run(RemoteCommand("test", script: script, effect: .mutating))
        try #require(result.exitCode == 0, "\(script): \(result.output)\(result.errorOutput)")
        return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Whether a node gets a connection, at once or not at all.
    func reaches(_ host: NamespaceHost, _ place: String) async throws -> Bool {
        try await text(host, "curl -s -m 2 -o /dev/null http://\(place)/version; [ $? = 0 ] && echo yes || echo no")
            == "yes"
    }

    func freeze(_ values: [String: Value] = [:]) throws -> EtcdFreeze {
        try EtcdFreeze(Parameters(["dead_man": .int(3600)].merging(values) { $1 }))
    }

    func context(_ run: String = "r1", _ variables: [String: Value] = [:], others: Bool = true) -> ActionContext {
        let all: [String: Value] = [
            "pawl_state_dir": .string(directory + "/state"), "etcd_endpoint": .string("http://127.0.0.1:2379"),
        ]
        let target = ActionTarget(host: a, variables: all.merging(variables) { $1 })
        let other = ActionTarget(host: b, variables: all)
        return ActionContext(
            run: run,
            step: StepID("freeze.1/a"),
            attempt: 1,
            timeout: .seconds(60),
            target: target,
            cluster: others ? [target, other] : [target],
            completedHosts: [],
            facts: facts,
            progress: { _ in }
        )
    }

    /// Waits until something is so, and fails after a time.
    func until(_ what: String, seconds: Int = 30, _ isSo: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try await !isSo() {
            try #require(ContinuousClock.now < deadline, "not within \(seconds) s: \(what)")
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
