// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Journal
import Remote
import Rollout
import TestSupport
import Testing

@testable import Engine

@Suite struct ClusterLockTests {
    // MARK: - Taking and leaving it

    @Test(arguments: [false, true])
    func `a run takes the lock of every host and gives it back, however it ends`(isBroken: Bool) async throws {
        let bench = try Bench(isBroken ? ["broken-b": ""] : [:])
        #expect(try await bench.run().exitCode == (isBroken ? 3 : 0))
        for host in ["a", "b", "c"] {
            #expect(bench.desk.lines(of: "\(host)/token") == ["1"])
            #expect(bench.lock(on: host) == nil)
        }
    }

    @Test func `of two runs that saw it free the one that comes second changes nothing`() async throws {
        let bench = try Bench()
        // Seen before the other one took it.
        let play = try PlayLoader.load(bench.request)
        let hosts = HostDirectory(play, connector: bench.connector)
        let nodes = LockNodes(play, hosts)
        let seen = await nodes.look(at: ["a", "b", "c"])
        let other = try await ClusterLock.acquire(for: .init(run: "r1", reason: "run", unlock: "x"), on: nodes)
        let error = await #expect(throws: RunControllerError.self) {
            try await bench.controller.run(
                Planner.plan(play, Survey(order: play.hosts, memberIDs: [:])),
                of: play,
                request: bench.request,
                over: hosts,
                locks: seen,
                observer: bench.events,
                signals: .init { _ in }
            )
        }
        #expect(error?.exitCode == 5)
        #expect(error?.message.contains("run r1 of") == true)
        #expect(bench.log == [])
        #expect(try await bench.store.runs().isEmpty)
        #expect(bench.lock(on: "c") == other.lock.text)
    }

    @Test func `a run that is refused gives the lock back`() async throws {
        let bench = try Bench(["not-ready-b": ""])
        #expect(try await bench.run().exitCode == 4)
        #expect(bench.lock(on: "a") == nil)
    }

    @Test func `a second controller is told who holds the lock since when and at which step`() async throws {
        let bench = try Bench()
        var lock = NodeLock(
            key: .init(run: "20261121-063538-abcd", token: 4, nonce: "n"),
            controller: ControllerIdentity.current,
            since: "2026-11-21T06:35:38Z",
            reason: "resume"
        )
        lock.controller.owner = "alice"
        lock.controller.host = "ctl1"
        try bench.put(lock, on: "b")
        try bench.desk.write("b/run", try Self.replica(of: lock.key.run, at: "steps.2/b"))
        let error = await #expect(throws: RunControllerError.self) { try await bench.run() }
        #expect(error?.exitCode == 5)
        let text = try #require(error?.description)
        for part in [
            "20261121-063538-abcd", "alice on ctl1", "since 2026-11-21T06:35:38Z", "reason: resume", "(on b)",
            "at step steps.2/b", "pawl unlock -i ",
        ] {
            #expect(text.contains(part), "\(text)")
        }
        #expect(bench.log == [])
        #expect(bench.lock(on: "a") == nil)
        #expect(bench.lock(on: "b") == lock.text)
        #expect(try await bench.store.runs().isEmpty, "nothing was begun, so nothing is journalled")
    }

    /// What a node carries of a run that has begun a step there.
    private static func replica(of run: String, at step: String) throws -> String {
        let record = RunRecord(
            id: run,
            createdAt: Date(),
            playbookPath: "p.yaml",
            inventoryPaths: ["i.yaml"],
            planJSON: "{}",
            planDigest: "d",
            controllerHost: "ctl1",
            controllerPID: 1,
            version: "1"
        )
        let writer = RunReplica.Writer(host: "ctl1", pid: 1, version: "1")
        let entry = RunReplica.Entry(.performing, step: step, attempt: 1, at: Date(), writer: writer)
        return try ReplicaText.text(
            of: RunReplica(run: record, playbook: "", records: [], facts: [], entry: entry)
        )
    }

    @Test func `the lock of a process that is gone is taken over, and that is said`() async throws {
        let bench = try Bench()
        let dead = try await Self.lock(ofDeadProcess: "20261121-063538-dead", token: 4)
        try bench.put(dead, on: "a")
        try bench.put(dead, on: "c")
        #expect(try await bench.run().exitCode == 0)
        #expect(await bench.events.notices.contains { $0.contains("20261121-063538-dead") && $0.contains("is gone") })
        #expect(bench.desk.lines(of: "b/token") == ["5"])
    }

    @Test(arguments: ["host", "boot", "space", "start"])
    func `what is not proven to be gone is not taken over`(field: String) async throws {
        let bench = try Bench()
        var lock = try await Self.lock(ofDeadProcess: "r1", token: 4)
        switch field {
        case "host": lock.controller.host = "elsewhere"
        case "boot": lock.controller.boot = "another"
        case "space": lock.controller.space = "pid:[1]"
        default: lock.controller.start = ""
        }
        try bench.put(lock, on: "a")
        let error = await #expect(throws: RunControllerError.self) { try await bench.run() }
        #expect(error?.exitCode == 5)
        #expect(bench.lock(on: "a") == lock.text)
    }

    @Test func `a process of the same number that started at another time is another one`() {
        var controller = ControllerIdentity.current
        #expect(ControllerIdentity.isAtWork(controller) == true)
        controller.start = "1"
        #expect(ControllerIdentity.isAtWork(controller) == false)
    }

    @Test func `of many that take it in the same instant exactly one gets it`() async throws {
        for _ in 0..<5 {
            let desk = try Desk()
            let nodes = LockNodes(
                members: ["a", "b", "c"],
                nodes: Dictionary(
                    uniqueKeysWithValues: ["a", "b", "c"].map {
                        ($0, .init(host: LocalHost(name: $0), state: NodeState(directory: desk.file($0)), user: nil))
                    }
                )
            )
            let locks = await withTaskGroup(of: ClusterLock?.self) { group in
                for number in 0..<4 {
                    group.addTask {
                        try? await ClusterLock.acquire(
                            for: .init(run: "r\(number)", reason: "run", unlock: "pawl unlock"),
                            on: nodes
                        )
                    }
                }
                var locks: [ClusterLock] = []
                for await lock in group { if let lock { locks.append(lock) } }
                return locks
            }
            let winner = try #require(locks.first)
            #expect(locks.count == 1)
            for host in ["a", "b", "c"] {
                #expect(desk.lines(of: "\(host)/lock").contains("run=\(winner.lock.key.run)"))
            }
            #expect(await winner.release() == [:])
        }
    }

    // MARK: - Holding it

    @Test func `a run whose lock is taken over halts before its next change and undoes nothing`() async throws {
        let bench = try Bench(["one-b": "sleep 0.3\n"])
        await bench.events.onStart(of: "steps.2/b") { bench.takeOver(on: ["a", "b", "c"]) }
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(bench.log == ["freeze", "one a", "two a", "look a", "one b"])
        let report = try #require(halted.report)
        #expect(report.reason.contains("has lost the lock"), "\(report.reason)")
        #expect(report.reason.contains("bob"), "\(report.reason)")
        #expect(report.host == "b")
        // The other's lock is left alone.
        #expect(bench.lock(on: "b")?.contains("run=other") == true)
        let refused = await #expect(throws: RunControllerError.self) { try await bench.resume() }
        #expect(refused?.exitCode == 5)
        for host in ["a", "b", "c"] { try bench.desk.remove("\(host)/lock") }
        try bench.desk.write("one-b")
        await bench.events.onEvent { _ in }
        let resumed = try await bench.resume()
        #expect(resumed.exitCode == 0, "\(resumed.kind) \(bench.log)")
    }

    @Test func `a run does not go on to a host that has lost the lock`() async throws {
        let bench = try Bench()
        await bench.events.onStart(of: "steps.1/a") { bench.takeOver(on: ["c"]) }
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(bench.log.last == "look b")
        #expect(halted.report?.host == "c")
        // The reaction holds the bench, which holds the reaction.
        await bench.events.onEvent { _ in }
    }

    @Test func `a majority that is not ours any more is an objection`() async throws {
        let bench = try Bench()
        let play = try PlayLoader.load(bench.request)
        let nodes = LockNodes(play, HostDirectory(play, connector: bench.connector))
        let lock = try await ClusterLock.acquire(for: .init(run: "r1", reason: "run", unlock: "x"), on: nodes)
        func answers() async throws -> [String: String] {
            var answers: [String: String] = [:]
            for (host, script) in lock.questions {
                answers[host] = try await LocalHost().run(.init("look", script: script, effect: .readOnly)).output
            }
            return answers
        }
        #expect(lock.standing(in: try await answers()) == .init())
        bench.takeOver(on: ["a"])
        let shaken = lock.standing(in: try await answers())
        #expect(shaken.objection == nil, "a majority has it yet")
        #expect(shaken.missing.keys.sorted() == ["a"])
        #expect(shaken.missing["a"]?.hasPrefix("held by run other of bob") == true)
        var some = try await answers()
        some["b"] = nil
        #expect(lock.standing(in: some).objection?.contains("b: it could not be asked") == true)
        bench.takeOver(on: ["b"])
        let objection = try #require(lock.standing(in: try await answers()).objection)
        #expect(objection.contains("1 of 3 nodes have it, 2 are needed"))
        #expect(objection.contains("a: held by run other of bob"))
    }

    @Test func `a host that did not answer when the lock was taken is not changed`() async throws {
        var bench = try Bench()
        bench.connector = { settings in
            let host = LocalHost(name: settings.name)
            return settings.name == "c" ? LocklessHost(inner: host) as any RemoteHost : host
        }
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(bench.log.last == "look b")
        #expect(halted.report?.reason.contains("no lock on c") == true)
    }

    @Test func `a host that took the lock without saying so is not changed, and gives it back`() async throws {
        var bench = try Bench()
        bench.connector = { settings in
            let host = LocalHost(name: settings.name)
            return settings.name == "c" ? MuteLockHost(inner: host) as any RemoteHost : host
        }
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(halted.report?.reason.contains("no lock on c") == true)
        #expect(bench.desk.lines(of: "c/token") == ["1"], "it was there")
        for host in ["a", "b", "c"] { #expect(bench.lock(on: host) == nil, "\(host)") }
    }

    @Test func `a node whose lock was replaced is asked once more what run it is in`() async throws {
        let bench = try Bench()
        let play = try PlayLoader.load(bench.request)
        let nodes = LockNodes(play, HostDirectory(play, connector: bench.connector))
        try bench.put(try await Self.lock(ofDeadProcess: "r0", token: 4), on: "b")
        let lock = try await ClusterLock.acquire(for: .init(run: "r1", reason: "run", unlock: "x"), on: nodes)
        #expect(lock.replicas.keys.sorted() == ["a", "c"])
        #expect(await lock.release().isEmpty)
    }

    @Test func `less than a majority is refused with what each host said`() async throws {
        var bench = try Bench()
        bench.connector = { settings in
            let host = LocalHost(name: settings.name)
            return settings.name == "a" ? host as any RemoteHost : LocklessHost(inner: host)
        }
        let error = await #expect(throws: RunControllerError.self) { try await bench.run() }
        #expect(error?.exitCode == 4)
        #expect(error?.message.contains("2 are needed") == true)
        #expect(error?.message.contains("c: no way to it") == true)
        #expect(bench.lock(on: "a") == nil)
        #expect(try await bench.store.runs().isEmpty)
        #expect(bench.log == [])
    }

    // MARK: - Unlock

    @Test func `an operator takes the lock over with a higher token, on record`() async throws {
        let bench = try Bench()
        let inventory = ["a", "b", "c"].map { "\($0) pawl_state_dir=\(bench.desk.file($0))" } + ["web1"]
        try bench.desk.write("hosts.ini", inventory.joined(separator: "\n") + "\n")
        var lock = try await Self.lock(ofDeadProcess: "r1", token: 4)
        lock.controller.host = "ctl1"
        for host in ["a", "b"] { try bench.put(lock, on: host) }
        try await bench.store.create(bench.sampleRun("r1"))
        let unlock = try ClusterUnlock(
            inventory: [bench.desk.file("hosts.ini")],
            limit: "!web1",
            extraVariables: [],
            become: true,
            connector: { LocalHost(name: $0.name) }
        )
        let findings = try await unlock.look()
        #expect(findings.holder == lock)
        #expect(findings.isAtWork == nil)
        #expect(findings.hosts == ["a", "b"], "on c there never was a lock")
        let report = try await unlock.takeOver(lock, findings, reason: "ctl1 burnt\ndown", journal: bench.store)
        #expect(report.hosts == ["a", "b"])
        #expect(report.warnings == [])
        #expect(report.isJournalled)
        for host in ["a", "b"] {
            #expect(bench.lock(on: host) == nil)
            #expect(bench.desk.lines(of: "\(host)/token") == ["5"])
            let note = bench.desk.lines(of: "\(host)/unlocks").joined()
            #expect(note.contains("from_run=r1 from_token=4"))
            #expect(note.hasSuffix("reason=ctl1 burnt down"))
        }
        #expect(try await bench.store.fact("unlock", of: "r1")?.contains("ctl1 burnt down") == true)
        // Once it is free there is nothing to take over.
        #expect(try await unlock.look().holder == nil)
    }

    @Test func `an unlock takes only the lock that was shown`() async throws {
        let bench = try Bench()
        let inventory = ["a", "b", "c"].map { "\($0) pawl_state_dir=\(bench.desk.file($0))\n" }.joined()
        try bench.desk.write("hosts.ini", inventory)
        let lock = try await Self.lock(ofDeadProcess: "r1", token: 4)
        for host in ["a", "b", "c"] { try bench.put(lock, on: host) }
        let unlock = try ClusterUnlock(
            inventory: [bench.desk.file("hosts.ini")],
            limit: nil,
            extraVariables: [],
            become: true,
            connector: { LocalHost(name: $0.name) }
        )
        let findings = try await unlock.look()
        bench.takeOver(on: ["a", "b", "c"])
        let error = await #expect(throws: RunControllerError.self) {
            _ = try await unlock.takeOver(lock, findings, reason: "x", journal: nil)
        }
        #expect(error?.exitCode == 5)
        #expect(error?.message.contains("run other of bob") == true)
        #expect(bench.lock(on: "a")?.contains("run=other") == true)
        try bench.put(lock, on: "a")
        let several = await #expect(throws: RunControllerError.self) { _ = try await unlock.look() }
        #expect(several?.message.contains("several runs hold") == true)
    }

    // MARK: - Parts

    /// A lock of a process of this machine that has ended.
    static func lock(ofDeadProcess run: String, token: Int) async throws -> NodeLock {
        let output = try await LocalHost().run(.init("a process", script: "echo $$", effect: .readOnly)).output
        var controller = ControllerIdentity.current
        controller.pid = try #require(Int32(output.trimmingCharacters(in: .whitespacesAndNewlines)))
        return NodeLock(
            key: .init(run: run, token: token, nonce: "n"),
            controller: controller,
            since: "2026-11-21T06:35:38Z",
            reason: "run"
        )
    }
}

extension Bench {
    /// The text of a host's lock.
    func lock(on host: String) -> String? {
        try? String(contentsOfFile: desk.file("\(host)/lock"), encoding: .utf8)
    }

    func put(_ lock: NodeLock, on host: String) throws {
        try FileManager.default.createDirectory(atPath: desk.file(host), withIntermediateDirectories: true)
        try desk.write("\(host)/token", "\(lock.key.token)\n")
        try desk.write("\(host)/lock", lock.text)
    }

    /// As another controller does that an operator let in.
    func takeOver(on hosts: [String]) {
        let bob = NodeLock.Controller(owner: "bob", host: "ctl2", boot: "b", space: "s", pid: 1, start: "1")
        let lock = NodeLock(
            key: .init(run: "other", token: 99, nonce: "o"),
            controller: bob,
            since: "now",
            reason: "run"
        )
        for host in hosts {
            do { try put(lock, on: host) } catch { Issue.record(error) }
        }
    }

    func sampleRun(_ id: String) -> RunRecord {
        RunRecord(
            id: id,
            createdAt: Date(),
            playbookPath: "play.yaml",
            inventoryPaths: ["hosts.ini"],
            limit: nil,
            extraVariablesJSON: "{}",
            planJSON: "{}",
            planDigest: "x",
            state: .running,
            exitCode: nil,
            endedAt: nil,
            controllerHost: "ctl1",
            controllerPID: 1,
            version: "test"
        )
    }
}

/// Grants its lock, and the connection is lost before it has said so.
struct MuteLockHost: ForwardingHost {
    let inner: any RemoteHost

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        let result = try await inner.run(command)
        if command.label == "lock: take it" { throw RemoteError(.inDoubt, host: name, "connection lost") }
        return result
    }
}

/// A host that answers to everything but questions about its lock.
struct LocklessHost: ForwardingHost {
    let inner: any RemoteHost

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        if command.label.contains("lock") { throw RemoteError(.unreachable, host: name, "no way to it") }
        return try await inner.run(command)
    }
}
