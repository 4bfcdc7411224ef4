// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

/// A guard with fixed shell.
private struct ShellGuard: MutationGuard {
    var before = ":"
    var after = ":"

    func prologue(for command: RemoteCommand) -> String { before }
    func epilogue(for command: RemoteCommand) -> String { after }
}

@Suite("A guarded host", .timeLimit(.minutes(2)))
struct GuardedHostTests {
    @Test(arguments: HostPromise.ofCommands + HostPromise.ofFiles)
    func `a guarded host keeps the promise`(_ promise: HostPromise) async throws {
        try await promise.verify(GuardedHost(LocalHost(), guards: [ShellGuard()]))
    }

    private func change(_ script: String) -> RemoteCommand {
        RemoteCommand("change", script: script, effect: .mutating)
    }

    @Test func `a refusal is told from the script's own exit code, and nothing is begun`() async throws {
        let refusing = GuardedHost(
            LocalHost(),
            guards: [ShellGuard(before: "guard_refuse 'the lock is held by bob' 'ask bob'")]
        )
        let error = await #expect(throws: RemoteError.self) { _ = try await refusing.run(change("echo begun")) }
        #expect(error?.code == .fenced)
        #expect(error?.isNotBegun == true)
        #expect(error?.message == "change: the lock is held by bob")
        #expect(error?.remedy == "ask bob")
        let unrecorded = GuardedHost(
            LocalHost(),
            guards: [ShellGuard(before: "guard_refuse 'disk full' '' unrecorded")]
        )
        let other = await #expect(throws: RemoteError.self) { _ = try await unrecorded.run(change("echo begun")) }
        #expect(other?.code == .unrecorded)
        #expect(other?.isNotBegun == true)
        #expect(other?.remedy == nil)
        let own = try await GuardedHost(LocalHost(), guards: [ShellGuard()]).run(change("echo words >&2; exit 79"))
        #expect(own.exitCode == 79)
        #expect(own.errorOutput == "words\n")
    }

    @Test func `guards run in order in front of the script, and in reverse behind it, whatever its end`() async throws {
        let host = GuardedHost(
            LocalHost(),
            guards: [
                ShellGuard(before: "echo 1 >&2", after: "echo \"-1 $guard_code\" >&2"),
                ShellGuard(before: "echo 2 >&2", after: "echo -2 >&2"),
            ]
        )
        let result = try await host.run(change("echo work >&2; exit 7; echo never >&2"))
        #expect(result.exitCode == 7)
        #expect(result.errorOutput == "1\n2\nwork\n-2\n-1 7\n")
    }

    @Test func `a guard is told of the commands whose end was seen, and of no others`() async throws {
        actor Ledger {
            private(set) var passed: [String] = []
            func note(_ label: String) { passed.append(label) }
        }
        struct Listener: MutationGuard {
            let ledger: Ledger
            func prologue(for command: RemoteCommand) -> String { ":" }
            func epilogue(for command: RemoteCommand) -> String { ":" }
            func passed(_ command: RemoteCommand) async { await ledger.note(command.label) }
        }
        let ledger = Ledger()
        let host = GuardedHost(LocalHost(), guards: [Listener(ledger: ledger)])
        _ = try await host.run(RemoteCommand("fails", script: "exit 3", effect: .mutating))
        _ = try? await host.run(
            RemoteCommand("hangs", script: "sleep 60", effect: .mutating, timeout: .milliseconds(50))
        )
        let refusing = GuardedHost(
            LocalHost(),
            guards: [Listener(ledger: ledger), ShellGuard(before: "guard_refuse no")]
        )
        _ = try? await refusing.run(change("echo never"))
        #expect(await ledger.passed == ["fails"])
    }

    @Test func `a command that only reads is not guarded`() async throws {
        let host = GuardedHost(LocalHost(), guards: [ShellGuard(before: "guard_refuse no")])
        let result = try await host.run(RemoteCommand("look", script: "echo seen", effect: .readOnly))
        #expect(result.output == "seen\n")
    }

    @Test func `what refuses a command refuses an upload`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "pawl-guard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let source = folder.appending(path: "from")
        try Data("bytes".utf8).write(to: source)
        let target = folder.appending(path: "to").path
        let host = GuardedHost(LocalHost(), guards: [ShellGuard(before: "guard_refuse no")])
        await #expect(throws: RemoteError.self) {
            try await host.upload(source, to: target, mode: 0o600, timeout: .seconds(5))
        }
        #expect(!FileManager.default.fileExists(atPath: target))
    }
}
