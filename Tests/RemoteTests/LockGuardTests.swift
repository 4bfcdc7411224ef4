// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

@Suite("The fence", .timeLimit(.minutes(2)))
struct LockGuardTests {
    private func fenced(_ node: LockedNode, _ lock: NodeLock) -> GuardedHost {
        GuardedHost(node.host, guards: [LockGuard(lock.key, in: node.directory, of: nil)])
    }

    private func change(_ script: String, _ input: String = "") -> RemoteCommand {
        RemoteCommand("change", script: script, standardInput: Array(input.utf8), effect: .mutating)
    }

    @Test func `a command of the holder is begun, with its input, its output and a clean shell`() async throws {
        try await withNode { node in
            let lock = sampleLock("r1", 7)
            _ = try await node.take(lock)
            let host = fenced(node, lock)
            let result = try await host.run(change("cat; echo \"${state-none} ${lock_token-none}\"; exit 3", "in\n"))
            #expect(result.output == "in\nnone none\n")
            #expect(result.errorOutput == "")
            #expect(result.exitCode == 3)
        }
    }

    @Test func `nothing is begun on a node that has another's lock, an older one, or none`() async throws {
        try await withNode { node in
            let mine = sampleLock("r1", 7)
            let none = try await refusal(node, mine)
            #expect(none.contains("nobody holds it now"))
            _ = try await node.take(mine)
            _ = try await node.take(sampleLock("r2", 8), replacing: mine.key, note: "by bob: it was gone")
            let other = try await refusal(node, mine)
            let holder = "run r2 of alice on ctl1 (process 4711), since 2026-11-21T06:35:38Z, reason: run"
            #expect(other.contains("now: \(holder)"))
            #expect(other.contains("last unlock: by bob: it was gone"))
            // The same run under an older token: a controller that was paused while its run was resumed elsewhere.
            _ = try await node.take(sampleLock("r1", 9), replacing: .init(run: "r2", token: 8, nonce: "n1"))
            _ = try await refusal(node, mine)
            // The same token of another run.
            try node.write("lock", sampleLock("r2", 7).text)
            _ = try await refusal(node, mine)
            // The same run and token, taken by another process.
            try node.write("lock", sampleLock("r1", 7, nonce: "n2").text)
            _ = try await refusal(node, mine)
            try node.write("lock", "damaged")
            _ = try await refusal(node, mine)
        }
    }

    private func refusal(_ node: LockedNode, _ lock: NodeLock) async throws -> String {
        let witness = node.directory + ".begun"
        let error = await #expect(throws: RemoteError.self) {
            _ = try await fenced(node, lock).run(change("touch \(ShellQuoting.quote(witness))"))
        }
        #expect(error?.code == .fenced)
        #expect(error?.isNotBegun == true)
        #expect(error?.remedy?.contains("pawl resume") == true)
        #expect(!FileManager.default.fileExists(atPath: witness))
        return error?.message ?? ""
    }

    @Test func `nothing is begun where the lock was taken over while the replica waited for the disk`() async throws {
        try await withNode { node in
            let mine = sampleLock("r1", 7)
            _ = try await node.take(mine)
            let witness = node.directory + ".begun"
            let slow = SlowGuard(file: node.directory + "/lock", text: sampleLock("r1", 8).text)
            let host = GuardedHost(node.host, guards: [LockGuard(mine.key, in: node.directory, of: nil), slow])
            let error = await #expect(throws: RemoteError.self) {
                _ = try await host.run(change("touch \(ShellQuoting.quote(witness))"))
            }
            #expect(error?.code == .fenced)
            #expect(!FileManager.default.fileExists(atPath: witness))
        }
    }

    @Test func `the fence costs no program`() async throws {
        try await withNode { node in
            let lock = sampleLock("r1", 7)
            _ = try await node.take(lock)
            // A shell that finds no program but those that are built in.
            let host = GuardedHost(
                LocalHost(name: "n1", prelude: "PATH=/nonexistent\n"),
                guards: [LockGuard(lock.key, in: node.directory, of: nil)]
            )
            #expect(try await host.run(change("echo begun")).output == "begun\n")
        }
    }
}

/// Takes so long that the lock is another's when it is done.
private struct SlowGuard: MutationGuard {
    let file: String
    let text: String

    func prologue(for command: RemoteCommand) -> String {
        "printf %s \(ShellQuoting.quote(text)) >\(ShellQuoting.quote(file))"
    }

    func epilogue(for command: RemoteCommand) -> String { ":" }
}

/// Runs scripts as a user who may look at nothing.
private struct StrangersHost: ForwardingHost {
    let inner: any RemoteHost

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        var command = command
        let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", command.script]
        command.script = "cd / && exec " + ShellQuoting.line(words)
        return try await inner.run(command)
    }
}

extension LockGuardTests {
    @Test(.enabled(if: getuid() == 0, "only root can be somebody else without a password"))
    func `whoever may not see the lock is told so, and what to do`() async throws {
        try await withNode { node in
            let lock = sampleLock("r1", 7)
            _ = try await node.take(lock)
            let host = GuardedHost(
                StrangersHost(inner: node.host),
                guards: [LockGuard(lock.key, in: node.directory, of: "root")]
            )
            let witness = node.directory + ".begun"
            let error = await #expect(throws: RemoteError.self) {
                _ = try await host.run(change("touch \(ShellQuoting.quote(witness))"))
            }
            #expect(error?.code == .fenced)
            #expect(
                error?.message.contains("cannot see whether this run has the lock") == true,
                "\(String(describing: error))"
            )
            #expect(error?.remedy?.contains("let this step become root") == true)
            #expect(!FileManager.default.fileExists(atPath: witness))
        }
    }
}
