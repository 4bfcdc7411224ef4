// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

/// The command that gives a lock back amid what else is to be done for the last time, in a real shell.
@Suite("The last command under a lock", .timeLimit(.minutes(2)))
struct LockLeavingTests {
    private let lock = sampleLock("r1", 7)
    private let sign = #"{"run":"r1","it's":"$(done) \\ \n"}"#

    /// What it does leaves a trace in a file, with what it saw of the lock.
    private func leaving(_ node: LockedNode, swept: String = "exit 0") -> LockScript.Leaving {
        let trace = { (name: String) in
            """
            cd \(ShellQuoting.quote(node.directory)) || exit
            if [ -e lock ]; then echo \(name) under the lock; else echo \(name); fi >>done
            echo answer=held

            """
        }
        return LockScript.Leaving(
            told: trace("told") + "printf '%s\\n' \(ShellQuoting.quote(sign)) >last-run",
            sign: sign,
            swept: trace("swept") + swept
        )
    }

    private func leave(_ node: LockedNode, swept: String = "exit 0") async throws -> LockScript.LeavingFailures {
        let leaving = leaving(node, swept: swept)
        let script = LockScript.release(lock.key, in: node.directory, leaving)
        return LockScript.failures(of: leaving, in: try await node.sh(script))
    }

    @Test func `the node is told under the lock, and swept behind it`() async throws {
        try await withNode { node in
            _ = try await node.take(lock)
            #expect(try await leave(node) == .init())
            #expect(try node.text("done") == "told under the lock\nswept\n")
            #expect(try await node.look().lock == nil)
        }
    }

    /// Its answer may have been lost, or another run may have begun since.
    @Test(arguments: [nil, sampleLock("r2", 8)])
    func `asked for once more, it is told that the node was told, and what is not swept`(next: NodeLock?) async throws {
        try await withNode { node in
            _ = try await node.take(lock)
            _ = try await leave(node)
            if let next { _ = try await node.take(next) }
            try node.write("done", "")
            let again = try await leave(node, swept: "echo cannot >&2; exit 4")
            #expect(again == .init(swept: "failed with exit code 4: cannot"))
            #expect(try node.text("done") == (next == nil ? "swept\n" : "swept under the lock\n"))
            #expect(try await node.look().lock == next)
        }
    }

    @Test func `what fails is told by its last line, and keeps nothing else from being done`() async throws {
        try await withNode { node in
            _ = try await node.take(lock)
            let swept = "printf 'one\\nleave.swept=done\\nrm: no such luck\\n' >&2; exit 3"
            #expect(try await leave(node, swept: swept) == .init(swept: "failed with exit code 3: rm: no such luck"))
            #expect(try await node.look().lock == nil)
            let next = sampleLock("r1", 9)
            _ = try await node.take(next)
            let untold = LockScript.Leaving(told: "echo full >&2; exit 1", sign: "x", swept: "exit 0")
            let said = try await node.sh(LockScript.release(next.key, in: node.directory, untold))
            #expect(LockScript.failures(of: untold, in: said) == .init(told: "failed with exit code 1: full"))
            #expect(try await node.look().lock == nil)
        }
    }

    @Test func `nothing is told under another's lock, or under none`() async throws {
        try await withNode { node in
            let other = sampleLock("r2", 8)
            _ = try await node.take(other)
            let held = try await leave(node)
            #expect(
                held.told?.contains("has lost the lock on this node; now: run r2 of alice on ctl1") == true,
                "\(held)"
            )
            #expect(held.lock == nil && held.swept == nil)
            #expect(try await node.look().lock == other)
            _ = try await node.release(other.key)
            for sign in ["", "{\"run\":\"r2\"}\n"] {
                try node.write("last-run", sign)
                #expect(try await leave(node).told?.contains("nobody holds it now") == true)
            }
            #expect(try !node.text("done").contains("told"))
        }
    }

    @Test func `a lock that cannot be removed is told, and the rest is done`() async throws {
        try await withNode { node in
            _ = try await node.take(lock)
            _ = try await node.sh("cd \(ShellQuoting.quote(node.directory)) && rm -f lock.guard && mkdir lock.guard")
            let failures = try await leave(node)
            #expect(failures.told == nil && failures.swept == nil)
            #expect(failures.lock?.contains("lock.guard cannot be written") == true, "\(failures)")
            #expect(try await node.look().lock == lock)
        }
    }

    @Test func `with nothing else to do, it gives the lock back`() async throws {
        try await withNode { node in
            _ = try await node.take(lock)
            let nothing = LockScript.Leaving(told: nil, sign: "", swept: nil)
            for _ in 1...2 {
                let said = try await node.sh(LockScript.release(lock.key, in: node.directory, nothing))
                #expect(LockScript.failures(of: nothing, in: said) == .init())
            }
            #expect(try await node.look().lock == nil)
        }
    }
}
