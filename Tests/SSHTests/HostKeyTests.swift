// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Synchronization
import Testing

@testable import SSH

@Suite("Host keys", .serialized, needsServer, .timeLimit(.minutes(1)))
struct HostKeyTests {
    /// A key that is nobody's, as it stands in `known_hosts`.
    private func otherKey(_ server: SSHServerFixture) -> String {
        server.read("stranger.pub").split(separator: " ").prefix(2).joined(separator: " ")
    }

    @Test(arguments: SSHEndpoint.HostKeyPolicy.refusing)
    func `a changed host key is refused`(_ policy: SSHEndpoint.HostKeyPolicy) async throws {
        try await SSHServerFixture.with { server in
            try server.write("known_hosts", "\(server.recordName) \(otherKey(server))\n")
            let host = try server.host { $0.hostKeyPolicy = policy }
            let error = await Script.failure(host, "echo ran >\(server.path("ran"))")
            #expect(error?.code == .hostKey)
            #expect(error?.message.contains("HAS CHANGED") == true)
            #expect(error?.remedy?.contains("ssh-keygen -R '\(server.recordName)'") == true)
            #expect(server.read("ran").isEmpty)
            #expect(!server.log.contains("Accepted publickey"))
        }
    }

    @Test func `an unknown host is refused, and nothing is written down`() async throws {
        try await SSHServerFixture.with { server in
            try server.write("known_hosts", "other.example \(otherKey(server))\n")
            let error = await Script.failure(try server.host())
            #expect(error?.code == .hostKey)
            #expect(error?.message.contains("not on record") == true)
            #expect(server.read("known_hosts").split(separator: "\n").count == 1)
            #expect(!server.log.contains("Accepted publickey"))
        }
    }

    /// As ssh: what it says "found matching key w/out port" of.
    @Test func `a host on record without its port is known by the same key, and by no other`() async throws {
        try await SSHServerFixture.with { server in
            for type in ["ed25519", "ecdsa"] {
                try server.write("known_hosts", "\(server.address) \(server.hostKey(type))\n")
                #expect(try await Script.output(try server.host(), "echo in") == "in\n")
                #expect(await Script.failure(try server.host { $0.hostKeyAlias = "alias" })?.code == .hostKey)
            }
            try server.write("known_hosts", "\(server.address) \(otherKey(server))\n")
            let error = await Script.failure(try server.host())
            #expect(error?.message.contains("not on record") == true, "\(String(describing: error))")
            let key = server.hostKey("ed25519")
            try server.write("known_hosts", "\(server.address) \(key)\n@revoked \(server.address) \(key)\n")
            #expect(await Script.failure(try server.host())?.message.contains("revoked") == true)
            try server.write(
                "known_hosts",
                "\(server.address) \(server.hostKey("ed25519"))\n\(server.recordName) \(otherKey(server))\n"
            )
            #expect(await Script.failure(try server.host())?.message.contains("CHANGED") == true)
        }
    }

    @Test func `a new key may be accepted and forgotten`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host {
                $0.hostKeyPolicy = .acceptNew
                $0.knownHostsFiles = ["/dev/null"]
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
        }
    }

    @Test func `a record that changes is read again, one that does not is not`() async throws {
        try await SSHServerFixture.with { server in
            let cache = KnownHostsCache()
            let files = [server.path("known_hosts"), server.path("absent")]
            let first = cache.record(in: files)
            #expect(first.entries.count == 2)
            #expect(cache.record(in: files).entries == first.entries)
            let text = server.read("known_hosts")
            // The same length, and within the grain of the clock: what is written anew is another file.
            try server.write(
                "known_hosts",
                text.replacing(server.recordName, with: String(server.recordName.reversed()))
            )
            #expect(cache.record(in: files).entries(for: server.recordName).isEmpty)
            try server.write("absent", text)
            #expect(cache.record(in: files).entries(for: server.recordName).count == 2)
        }
    }

    @Test func `a hashed record is read`() async throws {
        try await SSHServerFixture.with { server in
            try await SSHServerFixture.sh("ssh-keygen -q -H -f \(server.path("known_hosts")) 2>/dev/null")
            #expect(server.read("known_hosts").hasPrefix("|1|"))
            #expect(try await Script.output(try server.host(), "echo in") == "in\n")
        }
    }

    @Test(arguments: ["ed25519", "ecdsa"])
    func `the server is asked for the type of key that is on record`(_ type: String) async throws {
        try await SSHServerFixture.with { server in
            try server.write("known_hosts", "\(server.recordName) \(server.hostKey(type))\n")
            #expect(try await Script.output(try server.host(), "echo in") == "in\n")
        }
    }

    @Test(arguments: SSHEndpoint.HostKeyPolicy.all)
    func `a revoked key is refused whatever the policy`(_ policy: SSHEndpoint.HostKeyPolicy) async throws {
        try await SSHServerFixture.with { server in
            let keys = ["ed25519", "ecdsa"].map(server.hostKey)
            let lines = keys.map { "\(server.recordName) \($0)\n@revoked * \($0)\n" }
            try server.write("known_hosts", lines.joined())
            let error = await Script.failure(try server.host { $0.hostKeyPolicy = policy })
            #expect(error?.code == .hostKey)
            #expect(error?.message.contains("revoked") == true)
        }
    }

    @Test func `acceptNew writes a new key down once, and refuses another after that`() async throws {
        try await SSHServerFixture.with { server in
            let hosts = try (1...8).map { number in
                try server.host {
                    $0.name = "n\(number)"
                    $0.hostKeyPolicy = .acceptNew
                    $0.knownHostsFiles = [server.path("new/known_hosts")]
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for host in hosts { group.addTask { _ = try await Script.output(host, ":") } }
                try await group.waitForAll()
            }
            #expect(server.read("new/known_hosts") == "\(server.recordName) \(server.hostKey("ed25519"))\n")
            try server.write("new/known_hosts", "\(server.recordName) \(otherKey(server))\n")
            let late = try server.host {
                $0.hostKeyPolicy = .acceptNew
                $0.knownHostsFiles = [server.path("new/known_hosts")]
            }
            #expect(await Script.failure(late)?.code == .hostKey)
        }
    }

    @Test func `of two different keys that are new at once, one is refused`() throws {
        let file = FileManager.default.temporaryDirectory.path + "/pawl-known-\(UUID().uuidString)"
        defer { unlink(file) }
        let (first, second) = (key(1), key(2))
        #expect(try KnownHostsRecorder.record(first, of: "n1", in: file) == .unknown)
        #expect(try KnownHostsRecorder.record(first, of: "n1", in: file) == .known)
        guard case .changed(let entry) = try KnownHostsRecorder.record(second, of: "n1", in: file) else {
            Issue.record("a second key was taken for new")
            return
        }
        #expect(entry.key == first)
        #expect(try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").count == 1)
    }

    @Test func `what is written down is known without another reading, and is what a reading would find`() throws {
        let file = FileManager.default.temporaryDirectory.path + "/pawl-known-\(UUID().uuidString)"
        defer { unlink(file) }
        let readings = Mutex(0)
        let cache = KnownHostsCache {
            readings.withLock { $0 += 1 }
            return KnownHosts(files: $0)
        }
        let lists = [[file], ["/absent", file]]
        try "# Mine\n*.example,!n2.example \(key(9).type) \(key(9).base64)".write(
            toFile: file,
            atomically: true,
            encoding: .utf8
        )
        for number in 1...20 {
            for files in lists { _ = cache.record(in: files) }
            // Another program may write between two lines of ours.
            if number == 7 {
                let handle = try #require(FileHandle(forWritingAtPath: file))
                try handle.seekToEnd()
                try handle.write(contentsOf: Data("other \(key(9).type) \(key(9).base64)\n".utf8))
                try handle.close()
            }
            let verdict = try KnownHostsRecorder.record(
                key(UInt8(number)),
                of: "n\(number)",
                in: file,
                isHashed: number.isMultiple(of: 3),
                cache: cache
            )
            #expect(verdict == .unknown)
            let read = KnownHosts(files: [file])
            for files in lists { #expect(cache.record(in: files).entries == read.entries) }
        }
        // Once each; again behind a line that had no end, and behind another's.
        #expect(readings.withLock { $0 } == 3 * lists.count)
        #expect(cache.record(in: [file]).entries(for: "N4").map(\.key) == [key(4)])
        #expect(cache.record(in: [file]).entries(for: "n3.example").map(\.key) == [key(9)])
        #expect(cache.record(in: [file]).entries(for: "n2.example").isEmpty)
    }

    // MARK: - The file's format

    private func key(_ number: UInt8) -> HostKey {
        var writer = SSHWireWriter()
        writer.string(Array("ssh-ed25519".utf8))
        writer.string([UInt8](repeating: number, count: 32))
        return HostKey(blob: writer.bytes)
    }

    private func line(_ names: String, _ number: UInt8) -> String {
        "\(names) ssh-ed25519 \(key(number).base64) comment"
    }

    @Test(arguments: ["\n", "\r\n"])
    func `each line counts, whichever way lines end`(_ end: String) {
        let text = [
            "# comment", "", line("n1,10.0.0.1", 1), "  \t" + line("n2", 2), "@revoked " + line("*", 3), "junk",
        ]
        let record = KnownHosts(text: text.joined(separator: end), name: "file")
        #expect(record.entries.map(\.place) == ["file:3", "file:4", "file:5"])
        #expect(record.verdict(on: key(1), of: "10.0.0.1") == .known)
        #expect(record.verdict(on: key(2), of: "n2") == .known)
        #expect(record.verdict(on: key(2), of: "n3") == .unknown)
        guard case .revoked = record.verdict(on: key(3), of: "n1") else {
            Issue.record("a revoked key was not seen")
            return
        }
        #expect(record.warnings.count == 1)
    }

    @Test func `patterns match as ssh matches them`() {
        #expect(KnownHosts.matches("*.example", "n1.example"))
        #expect(KnownHosts.matches("N?.Example", "n1.example"))
        #expect(!KnownHosts.matches("*.example,!n1.example", "n1.example"))
        #expect(!KnownHosts.matches("!n1.example", "n2.example"))
        #expect(KnownHosts.matches("[10.0.0.*]:2222", "[10.0.0.7]:2222"))
        #expect(!KnownHosts.matches("n1", "n10"))
        #expect(!KnownHosts.matches("|1|bad", "n1"))
    }

    @Test func `a certificate authority is not taken for a host key`() {
        let record = KnownHosts(text: "@cert-authority " + line("*", 1), name: "file")
        #expect(record.verdict(on: key(1), of: "n1") == .unknown)
    }
}

extension SSHEndpoint.HostKeyPolicy {
    static let refusing: [Self] = [.strict, .acceptNew]
    static let all: [Self] = [.strict, .acceptNew, .off]
}
