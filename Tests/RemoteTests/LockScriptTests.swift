// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote
import TestSupport
import Testing

/// The lock's scripts in a real shell, on a state directory of the test's own.
@Suite("The lock on a node", .timeLimit(.minutes(2)))
struct LockScriptTests {
    @Test func `a state directory without a name is the default one`() {
        #expect(NodeState(directory: "") == NodeState())
        #expect(NodeState(variables: [NodeState.variable: .string("")]) == NodeState())
        #expect(NodeState().path.contains("/var/lib/pawl"))
    }

    @Test func `a node that never had a lock is looked at and left as it is`() async throws {
        try await withNode { node in
            let sight = try await node.look()
            #expect(sight.directory == node.directory)
            #expect(sight.token == 0)
            #expect(sight.lock == nil)
            #expect(sight.rank.hasSuffix(" \(node.directory)"))
            #expect(!FileManager.default.fileExists(atPath: node.directory))
        }
    }

    @Test func `what is taken is read again, whatever its words are`() async throws {
        try await withNode { node in
            let lock = sampleLock("r1", 7, reason: "it's \"gone\"; $(rm -rf /) =\\ `x` é\n\u{1b}[31mtoken=99")
            #expect(try await node.take(lock) == .taken)
            let sight = try await node.look()
            #expect(sight.token == 7)
            #expect(sight.lock?.key == lock.key)
            #expect(sight.lock?.controller == lock.controller)
            #expect(sight.lock?.reason == NodeLock.line(lock.reason))
            #expect(sight.lock?.reason.contains("\n") == false)
            #expect(try node.modes() == ["": 0o700, "lock": 0o600, "lock.guard": 0o600, "token": 0o600])
            #expect(try node.text("lock") == sight.lock?.text)
        }
    }

    @Test func `to take it twice changes nothing, and another one is refused and told whose it is`() async throws {
        try await withNode { node in
            let lock = sampleLock("r1", 7)
            _ = try await node.take(lock)
            #expect(try await node.take(lock) == .taken)
            #expect(try await node.take(sampleLock("r2", 9)) == .held(lock))
            // The same token, as of two that looked at the same moment.
            #expect(try await node.take(sampleLock("r2", 7)) == .held(lock))
            // The same run too: two that resume it in the same instant.
            let other = sampleLock("r1", 7, nonce: "n2")
            #expect(try await node.take(other) == .held(lock))
            #expect(try await node.take(sampleLock("r2", 8), replacing: other.key) == .held(lock))
            #expect(try await node.release(other.key) == .held(lock))
            #expect(try await node.look() == node.look(token: 7, lock))
        }
    }

    @Test func `what is asked beside the lock is answered apart from it`() async throws {
        try await withNode { node in
            let lock = sampleLock("r1", 7, reason: "besides")
            let question = "printf 'answer=released\\nbesides\\n\\377\\0'; umask; echo ${my_run:-none}; exit 3"
            let said = Array("answer=released\nbesides\n".utf8) + [255, 0] + Array("0022\nnone\n".utf8)
            let before = try await node.sh("umask 022\n" + LockScript.take(lock, in: node.directory, besides: ":"))
            #expect(try LockScript.answer(before) == .taken)
            #expect(LockScript.besides(before) == [])
            let held = try await node.sh(
                "umask 022\n" + LockScript.take(sampleLock("r2", 9), in: node.directory, besides: question)
            )
            #expect(try LockScript.answer(held) == .held(lock))
            #expect(LockScript.besides(held) == said)
            #expect(LockScript.besides(try await node.sh(LockScript.take(lock, in: node.directory))) == nil)
            // A node that cannot give the lock is asked nothing else.
            let failed = try await node.sh(LockScript.take(lock, in: "/proc/none", besides: "echo asked"))
            #expect(throws: LockAnswerError.self) { try LockScript.answer(failed) }
            #expect(LockScript.besides(failed) == nil)
        }
    }

    @Test func `only the lock that is named is replaced`() async throws {
        try await withNode { node in
            let first = sampleLock("r1", 7)
            _ = try await node.take(first)
            let second = sampleLock("r2", 8)
            #expect(try await node.take(second, replacing: .init(run: "r1", token: 6, nonce: "n1")) == .held(first))
            #expect(try await node.take(second, replacing: .init(run: "r0", token: 7, nonce: "n1")) == .held(first))
            #expect(try await node.take(second, replacing: first.key, note: "by=bob\treason=x\ny") == .taken)
            #expect(try await node.look().lock == second)
            #expect(try node.text("unlocks") == "by=bob\treason=x y\n".replacing("\t", with: " "))
        }
    }

    @Test func `a token is never given twice, also after the lock was given back`() async throws {
        try await withNode { node in
            let lock = sampleLock("r1", 7)
            _ = try await node.take(lock)
            #expect(try await node.release(lock.key) == .released)
            #expect(try await node.look() == node.look(token: 7, nil))
            #expect(try await node.take(sampleLock("r2", 7)) == .behind(token: 7))
            #expect(try await node.take(sampleLock("r2", 6)) == .behind(token: 7))
            #expect(try await node.take(sampleLock("r2", 8)) == .taken)
        }
    }

    @Test func `only one's own lock is given back`() async throws {
        try await withNode { node in
            #expect(try await node.release(.init(run: "r1", token: 7, nonce: "n1")) == .absent)
            #expect(!FileManager.default.fileExists(atPath: node.directory))
            let lock = sampleLock("r1", 7)
            _ = try await node.take(lock)
            #expect(try await node.release(.init(run: "r1", token: 6, nonce: "n1")) == .held(lock))
            #expect(try await node.release(.init(run: "r2", token: 7, nonce: "n1")) == .held(lock))
            #expect(try await node.look().lock == lock)
            #expect(try await node.release(lock.key) == .released)
            #expect(try await node.release(lock.key) == .absent)
        }
    }

    @Test func `of many that take it at once exactly one gets it`() async throws {
        try await withNode { node in
            for round in 1...5 {
                let answers = try await withThrowingTaskGroup(of: LockScript.Answer.self) { group in
                    for number in 0..<8 { group.addTask { try await node.take(sampleLock("r\(number)", round)) } }
                    var answers: [LockScript.Answer] = []
                    for try await answer in group { answers.append(answer) }
                    return answers
                }
                #expect(answers.count { $0 == .taken } == 1)
                let holder = try #require(try await node.look().lock)
                #expect(answers.count { $0 == .held(holder) } == 7)
                #expect(try await node.release(holder.key) == .released)
            }
        }
    }

    @Test func `a damaged lock is a lock, and a damaged token stops everything`() async throws {
        try await withNode { node in
            _ = try await node.take(sampleLock("r1", 7))
            try node.write("lock", "nonsense\n\u{1}\u{2}")
            let seen = try #require(try await node.look().lock)
            #expect(seen.key == .init(run: "", token: 0, nonce: ""))
            #expect(try await node.take(sampleLock("r2", 8)) == .held(seen))
            #expect(try await node.take(sampleLock("r2", 8), replacing: seen.key) == .taken)
            for token in ["", "x\n", "-1\n", "99999999999999999999\n"] {
                try node.write("token", token)
                let error = await #expect(throws: LockAnswerError.self) { _ = try await node.look() }
                #expect(error?.message.contains("token is damaged") == true)
                await #expect(throws: LockAnswerError.self) { _ = try await node.take(sampleLock("r3", 9)) }
            }
        }
    }

    @Test func `a state directory that cannot be trusted is refused with words`() async throws {
        try await withNode { node in
            try FileManager.default.createDirectory(
                atPath: node.directory + "-real",
                withIntermediateDirectories: true
            )
            try FileManager.default.createSymbolicLink(
                atPath: node.directory,
                withDestinationPath: node.directory + "-real"
            )
            let error = await #expect(throws: LockAnswerError.self) { _ = try await node.take(sampleLock("r1", 1)) }
            #expect(error?.message.contains("is not a directory that") == true)
        }
    }

    @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
    func `a full disk leaves the node as it was, and says so`() async throws {
        try await withNode { node in
            try FileManager.default.createDirectory(atPath: node.directory, withIntermediateDirectories: true)
            let mounted = try await node.sh(
                "mount -t tmpfs -o size=16k,mode=700 none \(ShellQuoting.quote(node.directory))"
            )
            guard mounted.exitCode == 0 else {
                withKnownIssue("this machine does not let root mount a tmpfs") { Issue.record("no mount") }
                return
            }
            defer { umount2(node.directory, Int32(MNT_DETACH)) }
            _ = try await node.take(sampleLock("r1", 1))
            _ = try await node.release(.init(run: "r1", token: 1, nonce: "n1"))
            _ = try await node.sh("cat /dev/zero >\(ShellQuoting.quote(node.directory))/filling")
            let error = await #expect(throws: LockAnswerError.self) { _ = try await node.take(sampleLock("r2", 2)) }
            #expect(error?.message.contains("cannot be written") == true)
            #expect(try await node.look() == node.look(token: 1, nil))
            _ = try await node.sh("rm \(ShellQuoting.quote(node.directory))/filling")
            #expect(try await node.take(sampleLock("r2", 2)) == .taken)
        }
    }
}

func sampleLock(_ run: String, _ token: Int, nonce: String = "n1", reason: String = "run") -> NodeLock {
    NodeLock(
        key: .init(run: run, token: token, nonce: nonce),
        controller: .init(
            owner: "alice",
            host: "ctl1",
            boot: "0b0b",
            space: "pid:[4026531836]",
            pid: 4711,
            start: "12345"
        ),
        since: "2026-11-21T06:35:38Z",
        reason: reason
    )
}

/// A state directory on this machine.
struct LockedNode: Sendable {
    let directory: String
    let host = LocalHost(name: "n1")

    func sh(_ script: String) async throws -> CommandResult {
        try await host.run(RemoteCommand("sh", script: script, effect: .readOnly))
    }

    func look() async throws -> LockSight {
        try LockSight(output: try await sh(LockScript.look(NodeState(directory: directory))).output)
    }

    /// What is expected to be seen.
    func look(token: Int, _ lock: NodeLock?) async throws -> LockSight {
        var sight = try await look()
        sight.token = token
        sight.lock = lock
        return sight
    }

    func take(
        _ lock: NodeLock,
        replacing key: NodeLock.Key? = nil,
        note: String? = nil
    ) async throws -> LockScript.Answer {
        try LockScript.answer(try await sh(LockScript.take(lock, in: directory, replacing: key, note: note)))
    }

    func release(_ key: NodeLock.Key) async throws -> LockScript.Answer {
        try LockScript.answer(try await sh(LockScript.release(key, in: directory)))
    }

    func text(_ file: String) throws -> String {
        try String(contentsOfFile: "\(directory)/\(file)", encoding: .utf8)
    }

    func write(_ file: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: "\(directory)/\(file)"))
    }

    /// The permissions of the directory, under an empty name, and its files.
    func modes() throws -> [String: Int] {
        var modes: [String: Int] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: directory) + [""] {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory)/\(name)")
            modes[name] = (attributes[.posixPermissions] as? NSNumber)?.intValue
        }
        return modes
    }
}

/// A node without a state directory; what the test leaves goes with it.
func withNode<Value>(_ body: (LockedNode) async throws -> Value) async throws -> Value {
    let place = FileManager.default.temporaryDirectory.appending(path: "pawl-lock-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: place) }
    return try await body(LockedNode(directory: "\(place)/it's state"))
}
