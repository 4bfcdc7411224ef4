// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import TestSupport
import Testing

/// Facts in memory.
actor NodeLedger: FactLedger {
    private var values: [String: String] = [:]

    func fact(_ name: String) -> String? { values[name] }
    func record(_ name: String, _ value: String) { values[name] = value }
}

/// A real member of etcd on a loopback address of its own, in a directory of its own, started and stopped by a script.
struct LiveMember: Sendable {
    static let hasEtcd = FileManager.default.isExecutableFile(atPath: "/usr/bin/etcd")
    static let isRoot = geteuid() == 0

    let root: String
    let url: String
    let ledger = NodeLedger()
    var host = LocalHost(name: "n1")
    var run = "r1"

    var data: String { "\(root)/data" }
    /// The name of the service; of its own for each member, because notes about it are kept below `/run`.
    var unit: String { "etcd\(root.replacing("/", with: "-"))" }
    var database: String { "\(data)/member/snap/db" }
    var backups: String { "\(root)/backups" }
    var variables: [String: Value] = ["etcd_user": .string(NSUserName())]

    /// Runs the body with a member that is not started yet, and cleans up after it, also when it fails.
    static func with(wal: Bool = false, _ body: (LiveMember) async throws -> Void) async throws {
        let root = "/tmp/pawl-node-\(UUID().uuidString.prefix(8))"
        let address = DistinctNumber.network() + ".1"
        var member = LiveMember(root: root, url: "http://\(address):2379")
        member.variables["pawl_state_dir"] = .string("\(root)/state")
        member.variables["etcd_endpoint"] = .string(member.url)
        let peer = "http://\(address):2380"
        let script = """
            case $1 in
              start) setsid etcd --name m --data-dir \(root)/data \(wal ? "--wal-dir \(root)/wal" : "") --enable-v2 \
                --listen-client-urls \(member.url) --advertise-client-urls \(member.url) --listen-peer-urls \(peer) \
                --initial-advertise-peer-urls \(peer) --initial-cluster m=\(peer) $(cat \(root)/args 2>/dev/null) \
                >\(root)/log 2>&1 </dev/null &
                echo $! >\(root)/pid
                until curl -sf \(member.url)/health >/dev/null; do
                  sh $0 status || { tail -n 2 \(root)/log; echo it died; exit 1; }; sleep 0.05; done ;;
              stop) kill $(cat \(root)/pid); while sh $0 status; do sleep 0.02; done; exit 0 ;;
              status) case "$(sed 's/.*) //' /proc/$(cat \(root)/pid)/stat 2>/dev/null)" in ''|Z*) exit 3 ;; esac; exit 0 ;;
            esac
            """
        let made = try await member.sh("mkdir -p \(root) && cat >\(root)/etcd.sh && echo 0 >\(root)/pid", input: script)
        try #require(made.exitCode == 0)
        do {
            try await body(member)
        } catch {
            try await member.clean()
            throw error
        }
        try await member.clean()
    }

    private func clean() async throws {
        try await sh(
            "p=$(cat \(root)/pid); [ \"$p\" = 0 ] || kill -9 $p 2>/dev/null; umount -l \(root)/disk 2>/dev/null; rm -rf \(root) /run/pawl/n1.\(unit).*"
        )
    }

    @discardableResult
    func sh(_ script: String, input: String = "") async throws -> CommandResult {
        try await LocalHost().run(
            RemoteCommand("test", script: script, standardInput: Array(input.utf8), effect: .mutating)
        )
    }

    /// The output of a script, without its last newline.
    func text(_ script: String) async throws -> String {
        try await sh(script).output.trimmingCharacters(in: .newlines)
    }

    func sum(_ path: String) async throws -> String {
        try await String(text("sha256sum <\(path) 2>/dev/null").prefix(64))
    }

    /// Writes keys of all kinds to the v2 store; the baseline is recorded as the preflight would.
    func fill(_ count: Int = 300) async throws {
        try await sh(
            """
            put() { printf 'url = "\(url)/v2/keys/%s"\\nrequest = PUT\\ndata-urlencode = "value=%s"\\nsilent\\nfail\\noutput = /dev/null\\nnext\\n' "$1" "$2"; }
            { i=1; while [ $i -le \(count - 4) ]; do put "k/$i" "value $i"; i=$((i+1)); done
              put "a/b/c/d/e/f/g/h/i/j/k" deep; put "empty" ""; put "utf8/%C3%BC%E2%82%AC" "grün €"; } >\(root)/puts
            curl -K \(root)/puts
            head -c 100000 /dev/zero | tr '\\0' x | curl -sf -o /dev/null -XPUT --data-urlencode value@- \(url)/v2/keys/big
            """
        )
        let keys = try await text(
            "curl -sf '\(url)/v2/keys/?recursive=true' | jq '[..|objects|select(has(\"value\"))]|length'"
        )
        try #require(Int(keys) == count)
        let index = try await text(
            "curl -sf '\(url)/v2/keys/?recursive=true' | jq '[..|objects|select(has(\"value\"))|.modifiedIndex]|max'"
        )
        await ledger.record("baseline_keys", keys)
        await ledger.record("baseline_max_index", index)
    }

    /// What the v3 store holds: `[key, value]` pairs as etcdctl prints them.
    func v3Keys() async throws -> Int {
        let text = try await text(
            "ETCDCTL_API=3 etcdctl --endpoints \(url) get '' --from-key --keys-only --consistency=s | grep -c . || true"
        )
        return try #require(Int(text))
    }

    func v2Value(_ key: String) async throws -> String {
        try await text("curl -sf '\(url)/v2/keys/\(key)' | jq -r .node.value")
    }

    func control(_ word: String) async throws {
        let result = try await sh("sh \(root)/etcd.sh \(word)")
        try #require(result.exitCode == 0, "etcd \(word): \(result.output)")
    }

    func context(_ step: String, attempt: Int = 1, timeout: Duration = .seconds(60)) -> ActionContext {
        let target = ActionTarget(host: host, variables: variables)
        return ActionContext(
            run: run,
            step: StepID(step),
            attempt: attempt,
            timeout: timeout,
            target: target,
            cluster: [target],
            completedHosts: [],
            facts: ledger,
            progress: { _ in }
        )
    }

    func service(_ state: String) throws -> Service {
        try Service(
            Parameters([
                "name": .string(unit), "state": .string(state), "start": .string("sh \(root)/etcd.sh start"),
                "stop": .string("sh \(root)/etcd.sh stop"), "status": .string("sh \(root)/etcd.sh status"),
                "within": .int(20),
            ])
        )
    }

    func backup(wal: String = "") throws -> Backup {
        try Backup(Parameters(["source": .string(data), "wal_dir": .string(wal), "to": .string(backups)]))
    }

    func migrate(wal: String = "", noTTL: Bool = false) throws -> EtcdMigrate {
        try EtcdMigrate(
            Parameters(["data_dir": .string(data), "wal_dir": .string(wal), "no_ttl": .bool(noTTL)])
        )
    }

    /// A program in place of etcdctl that does something else for `migrate`.
    func fakeEtcdctl(_ migrate: String, insteadOf word: String = "migrate") async throws -> LiveMember {
        let path = "\(root)/etcdctl-\(UUID().uuidString.prefix(4))"
        try await sh(
            "cat >\(path); chmod 755 \(path)",
            input: "#!/bin/sh\ncase $1 in \(word)) \(migrate) ;; *) exec /usr/bin/etcdctl \"$@\" ;; esac\n"
        )
        var member = self
        member.variables["etcdctl"] = .string(path)
        return member
    }

    /// Started, filled, stopped by the action, and backed up.
    func prepare(keys: Int = 40) async throws {
        try await control("start")
        try await fill(keys)
        _ = try await service("stopped").perform(context("steps.1/n1"))
        _ = try await backup().perform(context("steps.2/n1"))
    }
}

/// What an action said when it refused or failed.
func failure(of work: () async throws -> some Sendable) async throws -> ActionFailure {
    do {
        let value = try await work()
        Issue.record("it did not fail: \(value)")
        return ActionFailure("")
    } catch let error as ActionFailure {
        return error
    }
}
