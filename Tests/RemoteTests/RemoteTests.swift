// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote
import Synchronization
import TestSupport
import Testing

@Suite("A local host", .timeLimit(.minutes(2)))
struct LocalHostTests {
    @Test(arguments: HostPromise.ofCommands + HostPromise.ofFiles)
    func `a local host keeps the promise`(_ promise: HostPromise) async throws {
        try await promise.verify(LocalHost())
    }
}

/// Counts what reaches it.
private final class CountingHost: RemoteHost {
    let name = "counting"
    private let calls = Mutex<[String]>([])
    var seen: [String] { calls.withLock { $0 } }

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        calls.withLock { $0.append(command.script) }
        return CommandResult(exitCode: 0, standardOutput: [], standardError: [], duration: .zero)
    }

    func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        calls.withLock { $0.append(transfer.path) }
    }

    func download(_ transfer: FileTransfer) async throws(RemoteError) {
        calls.withLock { $0.append(transfer.path) }
    }

    func elevated(as user: String) -> any RemoteHost { self }
    func close() async {}
}

@Suite("A read-only host", .timeLimit(.minutes(2)))
struct ReadOnlyHostTests {
    @Test(arguments: HostPromise.ofCommands)
    func `a read-only host keeps the promise`(_ promise: HostPromise) async throws {
        try await promise.verify(ReadOnlyHost(LocalHost()))
    }

    @Test func `a mutating command is refused and not sent, for any user`() async throws {
        let inner = CountingHost()
        let command = RemoteCommand("stop etcd", script: "systemctl stop etcd", effect: .mutating)
        for host in [ReadOnlyHost(inner), ReadOnlyHost(inner).elevated(as: "root")] as [any RemoteHost] {
            let error = await #expect(throws: RemoteError.self) { _ = try await host.run(command) }
            #expect(error?.code == .refused)
            #expect(error?.isNotBegun == true)
            #expect(error?.message.contains("stop etcd") == true)
        }
        #expect(inner.seen.isEmpty)
    }

    @Test func `an upload is refused and not sent`() async throws {
        let inner = CountingHost()
        let host = ReadOnlyHost(inner).elevated(as: "root")
        let error = await #expect(throws: RemoteError.self) {
            try await host.upload(URL(filePath: "/etc/hostname"), to: "/x", mode: 0o600, timeout: .seconds(1))
        }
        #expect(error?.code == .refused)
        #expect(inner.seen.isEmpty)
    }

    @Test func `reading goes through`() async throws {
        let inner = CountingHost()
        let host = ReadOnlyHost(inner)
        _ = try await host.run(RemoteCommand("look", script: "uptime", effect: .readOnly))
        try await host.download("/etc/hostname", to: URL(filePath: "/dev/null"), timeout: .seconds(1))
        #expect(inner.seen == ["uptime", "/etc/hostname"])
    }
}

@Suite("Values", .timeLimit(.minutes(1)))
struct RemoteValueTests {
    @Test func `a secret is redacted however it is printed`() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(["key": secret], to: &dumped)
        let printed = ["\(secret)", String(describing: secret), String(reflecting: secret), "\([secret])", dumped]
        for text in printed {
            #expect(!text.contains("hunter2"))
            #expect(text.contains("redacted"))
        }
    }

    @Test func `a secret's bytes reach the node unchanged`() async throws {
        let value = "p'a\"s$s\\ \u{301}é\n"
        let secret = Secret(value)
        let script = "printf %s \(ShellQuoting.quote(secret.reveal())); cat"
        let result = try await LocalHost().run(
            RemoteCommand("secret", script: script, standardInput: Array(secret.reveal().utf8), effect: .readOnly)
        )
        #expect(result.standardOutput == Array(value.utf8) + Array(value.utf8))
    }

    @Test func `plain words stay readable, all others are quoted`() {
        #expect(ShellQuoting.line(["etcdctl", "get", "/a/b_c.d-e", "a b"]) == "etcdctl get /a/b_c.d-e 'a b'")
        #expect(ShellQuoting.quote("a=b") == "'a=b'")
        #expect(ShellQuoting.quote("") == "''")
        #expect(ShellQuoting.quote("it's") == "'it'\\''s'")
    }

    @Test func `a quote with a combining mark behind it does not end the word early`() {
        #expect(Array(ShellQuoting.quote("'\u{301};id").utf8) == Array("''\\''\u{301};id'".utf8))
    }

    @Test func `only an error after which nothing ran is not begun`() {
        let notBegun: [RemoteError.Code] = [.unreachable, .hostKey, .authentication, .become, .refused]
        #expect(notBegun.allSatisfy { RemoteError($0, host: "n", "m").isNotBegun })
        #expect(!RemoteError(.inDoubt, host: "n", "m").isNotBegun)
        #expect(!RemoteError(.transfer, host: "n", "m").isNotBegun)
        #expect(RemoteError(.become, host: "n1", "no", remedy: "ask").description == "n1: no (ask)")
    }

    @Test func `a digest is that of sha256sum`() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "pawl-digest-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("abc".utf8).write(to: file)
        let content = try ContentDigest.ofFile(file)
        // FIPS 180-4, example of one block.
        #expect(content.digest.hexadecimal == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(content.size == 3)
    }
}
