// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

/// What is done under a lock for the last time, and its end, in a real shell.
@Suite("The last command under a lock", .timeLimit(.minutes(2)))
struct LockLeavingTests {
    private let lock = sampleLock("r1", 7)
    private let sign = #"{"run":"r1","it's":"$(done) \\ \n"}"#

    /// The sign, and a trace in a file of its own.
    private func deeds(_ node: LockedNode, swept: String = "exit 0") -> [LockScript.Deed] {
        let told = """
            cd \(ShellQuoting.quote(node.directory)) && echo told >>done && echo heard
            printf '%s\\n' \(ShellQuoting.quote(sign)) >last-run
            """
        return [
            LockScript.Deed(name: "told", script: told),
            LockScript.Deed(
                name: "swept",
                script: "echo swept >>\(ShellQuoting.quote(node.directory + "/done")); \(swept)"
            ),
        ]
    }

    private func leave(_ node: LockedNode, swept: String = "exit 0") async throws -> LockScript.Leaving {
        let deeds = deeds(node, swept: swept)
        let script = LockScript.release(lock.key, in: node.directory, behind: deeds, sign: sign)
        return LockScript.leaving(try await node.sh(script), deeds)
    }

    @Test func `what is to be done is done in order, and the lock is given back`() async throws {
        try await withNode { node in
            _ = try await node.take(lock)
            #expect(try await leave(node) == LockScript.Leaving())
            #expect(try node.text("done") == "told\nswept\n")
            #expect(try await node.look().lock == nil)
            // Its answer may have been lost, so that it is asked for once more.
            #expect(try await leave(node) == LockScript.Leaving())
            #expect(try node.text("done") == "told\nswept\n")
        }
    }

    @Test func `what fails is told by its last line, and keeps nothing else from being done`() async throws {
        try await withNode { node in
            _ = try await node.take(lock)
            let swept = "echo 'answer=held'; printf 'one\\nleave.swept=done\\nrm: no such luck\\n' >&2; exit 3"
            let leaving = try await leave(node, swept: swept)
            #expect(leaving.failures == ["swept": "failed with exit code 3: rm: no such luck"])
            #expect(leaving.lockFailure == nil)
            #expect(try node.text("done") == "told\nswept\n")
            #expect(try await node.look().lock == nil)
        }
    }

    @Test func `nothing is done under another's lock, or under none`() async throws {
        try await withNode { node in
            let other = sampleLock("r2", 8)
            _ = try await node.take(other)
            let held = try await leave(node)
            #expect(held.failures.keys.sorted() == ["swept", "told"])
            #expect(held.failures["told"]?.contains("has lost the lock on this node") == true, "\(held)")
            #expect(held.failures["told"]?.contains("run r2 of alice on ctl1") == true, "\(held)")
            #expect(held.lockFailure == nil)
            #expect(try await node.look().lock == other)
            _ = try await node.release(other.key)
            for sign in ["", "{\"run\":\"r2\"}\n"] {
                try node.write("last-run", sign)
                #expect(try await leave(node).failures["swept"]?.contains("nobody holds it now") == true)
            }
            #expect(!FileManager.default.fileExists(atPath: node.directory + "/done"))
        }
    }

    @Test func `a lock that cannot be removed is told, and what was done`() async throws {
        try await withNode { node in
            _ = try await node.take(lock)
            let file = ShellQuoting.quote(node.directory + "/lock.guard")
            let swept = "rm -f \(file) && mkdir \(file)"
            let leaving = try await leave(node, swept: swept)
            #expect(leaving.failures.isEmpty)
            #expect(leaving.lockFailure?.contains("lock.guard cannot be written") == true, "\(leaving)")
            #expect(try await node.look().lock == lock)
        }
    }
}
