// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

@testable import SSH

/// Servers that are set up in unusual ways, and ports behind which there is none.
@Suite("An odd server", .serialized, needsServer, .timeLimit(.minutes(2)))
struct OddServerTests {
    // MARK: - Connections that are dropped

    /// A connection that says nothing, and so counts for `MaxStartups` until it is closed.
    private func openSilently(_ server: SSHServerFixture) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = in_port_t(server.port).bigEndian
        name.sin_addr.s_addr = inet_addr(server.address)
        let status = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // Its version shows that the server has counted it.
        var piece = [UInt8](repeating: 0, count: 64)
        guard status == 0, recv(descriptor, &piece, piece.count, 0) > 0 else {
            close(descriptor)
            throw SSHServerFixture.Failure(description: "no connection")
        }
        return descriptor
    }

    @Test(arguments: SSHServerRelease.all)
    func `a connection that the server drops is tried again`(_ release: SSHServerRelease) async throws {
        try await SSHServerFixture.with(["MaxStartups 1:100:1"], release: release) { server in
            let silent = try openSilently(server)
            async let said = Script.output(try server.host(), "echo in")
            try await SSHServerFixture.sh(
                "n=0; until grep -q -e 'past MaxStartups' -e 'beginning MaxStartups' -e 'drop connection' \(server.path("log")); do "
                    + "n=$((n + 1)); [ $n -lt 500 ] || exit 1; sleep 0.02; done"
            )
            close(silent)
            #expect(try await said == "in\n")
        }
    }

    @Test(arguments: SSHServerRelease.all)
    func `connections that are always dropped are told by MaxStartups, in time`(
        _ release: SSHServerRelease
    ) async throws {
        try await SSHServerFixture.with(["MaxStartups 1:100:1"], release: release) { server in
            let silent = try openSilently(server)
            defer { close(silent) }
            let started = ContinuousClock.now
            let error = try #require(await Script.failure(try server.host { $0.connectTimeout = .seconds(4) }))
            #expect(ContinuousClock.now - started < .seconds(6))
            #expect(error.code == .unreachable)
            #expect(error.message.contains("before its SSH version"), "\(error)")
            #expect(error.message.contains("connections)"), "\(error)")
            #expect(error.remedy?.contains("MaxStartups") == true, "\(error)")
            #expect(!error.description.contains("\n"))
        }
    }

    @Test(.enabled(if: SSHServerRelease.release("10.0") != nil, "scripts/fetch-ssh has not been run"))
    func `a penalty is told as one`() async throws {
        let options = ["PerSourcePenalties authfail:30s min:1s max:60s"]
        try await SSHServerFixture.with(options, release: try #require(SSHServerRelease.release("10.0"))) { server in
            let stranger = try server.host { $0.privateKeyFiles = [server.path("stranger")] }
            #expect(await Script.failure(stranger)?.code == .authentication)
            await stranger.close()
            // The server learns of it when the process of that connection has ended.
            try await SSHServerFixture.sh(
                "n=0; until grep -q -e penalty -e 'Connection closed' -e 'Received disconnect' \(server.path("log")); do "
                    + "n=$((n + 1)); [ $n -lt 500 ] || exit 1; sleep 0.02; done; sleep 0.3"
            )
            let error = try #require(await Script.failure(try server.host { $0.connectTimeout = .seconds(3) }))
            #expect(error.code == .unreachable)
            #expect(error.message.contains("Not allowed at this time"), "\(error) \(server.log)")
            #expect(error.remedy?.contains("PerSourcePenaltyExemptList") == true, "\(error)")
        }
    }

    // MARK: - What is said besides

    @Test(arguments: SSHServerRelease.all)
    func `banners and words of the login are no part of what a command says`(_ release: SSHServerRelease) async throws {
        let options = ["Banner DIRECTORY/banner", "PrintMotd yes", "PrintLastLog yes", "VersionAddendum long words"]
        let setup = "yes 'Authorised staff only. Everything that you do here is written down.' | head -n 400 >banner"
        try await SSHServerFixture.with(options, release: release, setup: setup) { server in
            let host = try server.host()
            for number in 1...3 { #expect(try await Script.output(host, "echo \(number)") == "\(number)\n") }
            await host.close()
        }
    }

    @Test func `lines before the server's version are let pass`() async throws {
        try await SSHServerFixture.with { server in
            let lines =
                "printf 'Welcome to the switchboard\\r\\n\\r\\nPlease hold the li'; sleep 0.3; printf 'ne\\r\\n'"
            let host = try server.host {
                $0.hostKeyAlias = server.recordName
                $0.proxyCommand =
                    "sh -c \"\(lines); exec ssh -F none -o BatchMode=yes -o UserKnownHostsFile=\(server.path("known_hosts")) "
                    + "-i \(server.path("user_ed25519")) -p \(server.port) -W '[\(server.address)]:\(server.port)' "
                    + "\(NSUserName())@\(server.address)\""
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
            await host.close()
        }
    }

    /// What answers on a port that is no SSH server's, as a shell script on stdin and stdout.
    @Test(arguments: [
        (
            "an HTTP server", "read -r line; printf 'HTTP/1.1 400 Bad Request\\r\\n\\r\\n'; exec cat >/dev/null",
            "no SSH server: it speaks HTTP"
        ),
        (
            "an HTTP server that takes us for an old browser, and hangs up",
            "read -r line; printf '<!DOCTYPE HTML>\\n<html>\\n<body>Bad request</body>\\n</html>\\n'",
            "no SSH server: it speaks HTTP"
        ), ("a TLS server", "read -r line; printf '\\025\\003\\001\\000\\002\\002F'", "no SSH server: it speaks TLS"),
        (
            "a server of before 1999", "printf 'SSH-1.5-OpenSSH_3\\n'; exec cat >/dev/null",
            "no SSH server: it speaks version 1 of SSH only"
        ), ("random bytes", "exec cat /dev/urandom", "no SSH server"),
        ("lines without an end", "exec yes hello", "no SSH server: it sends lines without an end, it said: hello"),
        ("one line without an end", "exec tr '\\0' x </dev/zero", "no SSH server"),
        ("nothing", "exec cat >/dev/null", "no SSH server answered within"),
        ("half a version", "printf SS; exec cat >/dev/null", "no SSH server answered within"),
        ("an end at once", "exit 0", "before its SSH version"),
        ("a word and an end", "echo go away", "before its SSH version, it said: go away"),
    ])
    func `a port that is no SSH server's is named as one`(_ what: String, _ script: String, _ word: String) async throws
    {
        try await TalkingPort.with(script) { port in
            try await SSHServerFixture.with { server in
                let started = ContinuousClock.now
                let host = try server.host {
                    ($0.address, $0.port, $0.connectTimeout) = ("127.0.0.1", port, .seconds(2))
                }
                // Others on the same threads get on meanwhile.
                let others = try (0..<4).map { number in try server.host { $0.name = "other\(number)" } }
                async let failure = Script.failure(host)
                for other in others { #expect(try await Script.output(other, "echo in") == "in\n") }
                let error = try #require(await failure)
                #expect(error.code == .unreachable)
                #expect(error.message.contains(word), "\(what): \(error)")
                #expect(!error.description.contains("\n"))
                #expect(ContinuousClock.now - started < .seconds(8))
            }
        }
    }

    @Test func `a connection that is reset is told as one that is closed, and the first line is told of many`() throws {
        func greeting(_ said: String, leavingUnread isUnread: Bool) throws -> String? {
            var ends: [Int32] = [-1, -1]
            #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
            defer { close(ends[0]) }
            // A peer that has not read what was sent to it resets the connection when it goes.
            if isUnread { #expect(write(ends[0], "x", 1) == 1) }
            #expect(write(ends[1], said, said.utf8.count) == said.utf8.count)
            close(ends[1])
            var greeting = ServerGreeting()
            do throws(SSHFailure) {
                _ = try greeting.take(from: ends[0])
            } catch {
                #expect(error.kind == .noVersion)
                return error.message
            }
            return nil
        }
        let closed = "the server closed the connection before its SSH version"
        #expect(try greeting("", leavingUnread: false) == closed)
        #expect(try greeting("", leavingUnread: true) == closed)
        #expect(
            try greeting("one\ntwo\nthree\nfour\nfive\n", leavingUnread: false) == closed
                + ", it said: one / … / four / five"
        )
    }

    @Test func `a banner that libssh2 cannot take is not taken for a refused key`() async throws {
        let setup = "yes 'Authorised staff only. Everything that you do here is written down.' | head -n 2000 >banner"
        try await SSHServerFixture.with(["Banner DIRECTORY/banner"], setup: setup) { server in
            let error = try #require(await Script.failure(try server.host()))
            #expect(error.code == .authentication)
            #expect(error.message.contains("ended the connection during authentication"), "\(error)")
            #expect(error.remedy?.contains("Banner") == true, "\(error)")
        }
    }

    // MARK: - Channels and keys

    /// A server that renews the keys all the time, which libssh2 does not always get over (its issue 2110).
    @Test(arguments: SSHServerRelease.all)
    func `with keys renewed every 256 KiB, a transfer arrives or its loss is noticed`(
        _ release: SSHServerRelease
    ) async throws {
        try await SSHServerFixture.with(["RekeyLimit 256K"], release: release) { server in
            let losses = try await transfer(8 << 20, times: 2, by: try server.host())
            print("\(release), RekeyLimit 256K: \(losses) of 2 lost")
            // Where the link is slower than the server, packets are half sent now and then.
            try await TCPRelay.with(to: server.address, port: server.port) { relay in
                relay.set { ($0.delay, $0.window) = (.milliseconds(1), 64 << 10) }
                let host = try server.host {
                    ($0.address, $0.port, $0.hostKeyAlias) = ("127.0.0.1", relay.port, server.recordName)
                }
                let losses = try await transfer(8 << 20, times: 2, by: host)
                print("\(release), RekeyLimit 256K, held up: \(losses) of 2 lost")
            }
        }
    }

    /// Else the end of a version that came between two looks would be missing.
    @Test func `our version is sent without taking a byte of the server's`() throws {
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        let said = Array("SSH-2.0-early\r\n".utf8)
        #expect(write(ends[1], said, said.count) == said.count)
        let session = try SessionHandle(socket: ends[0])
        guard case .again = session.beginHandshake() else { Issue.record("the handshake did not begin"); return }
        var greeting = ServerGreeting()
        #expect(try greeting.take(from: session.descriptor) == .version)
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(ends[1], &bytes, bytes.count)
        #expect(String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self).hasPrefix("SSH-2.0-libssh2"))
        // It goes on from there: behind the version comes our list of algorithms.
        _ = session.handshake()
        #expect(read(ends[1], &bytes, bytes.count) > 100)
    }

    /// What libssh2 would do for ever is given up; a packet that gets on, or is followed by others, is not.
    @Test func `a packet that stays half sent is given up`() async throws {
        var standstill = Standstill(longest: .milliseconds(50))
        for sent in 0..<200 {
            #expect(try standstill.note(true, sent: sent) == nil)
            #expect(try standstill.note(false, sent: sent) == nil)
        }
        var failure: SSHFailure?
        for _ in 0..<1000 where failure == nil {
            do throws(SSHFailure) {
                if let rest = try standstill.note(true, sent: 200) { try? await Task.sleep(for: rest) }
            } catch {
                failure = error
            }
        }
        #expect(failure?.message.contains("RekeyLimit") == true)
    }

    /// Sends bytes there and back, and counts how often that was noticed to fail.
    private func transfer(_ count: Int, times: Int, by host: SSHHost) async throws -> Int {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let both = RemoteCommand(
            "both",
            script: "cat",
            standardInput: bytes,
            effect: .readOnly,
            timeout: .seconds(60)
        )
        var losses = 0
        for _ in 0..<times {
            let started = ContinuousClock.now
            do throws(RemoteError) {
                #expect(try await host.run(both).standardOutput == bytes)
            } catch {
                #expect(error.code == .inDoubt, "\(error)")
                print("\(ContinuousClock.now - started): \(error)")
                losses += 1
            }
            #expect(ContinuousClock.now - started < .seconds(30))
            #expect(try await Script.output(host, "echo on") == "on\n")
        }
        let down = try await Script.output(host, "head -c \(count) /dev/zero", timeout: .seconds(60))
        #expect(down.utf8.count == count)
        await host.close()
        return losses
    }
}

/// A port of this machine behind which a script talks, one for each connection.
enum TalkingPort {
    static func with(_ script: String, _ body: (Int) async throws -> Void) async throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) | listen(listener, 8) | getsockname(listener, $0, &size)
            }
        }
        guard status == 0 else { throw SSHServerFixture.Failure(description: "no port") }
        let thread = Thread {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                let program = Process()
                program.executableURL = URL(filePath: "/bin/sh")
                program.arguments = ["-c", script]
                let handle = FileHandle(fileDescriptor: connection, closeOnDealloc: false)
                program.standardInput = handle
                program.standardOutput = handle
                program.standardError = FileHandle.nullDevice
                try? program.run()
                try? handle.close()
            }
        }
        thread.start()
        // A thread that waits in accept(2) is woken by the end of the listening.
        defer {
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
        }
        try await body(Int(UInt16(bigEndian: name.sin_port)))
    }
}
