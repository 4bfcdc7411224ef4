// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote
import Testing

@testable import SSH

@Suite("A way through other hosts", .serialized, needsServer, .timeLimit(.minutes(1)))
struct ProxyCommandTests {
    /// A command that carries bytes to the server over a hop, which is the same server.
    private func hop(_ server: SSHServerFixture) -> String {
        "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=\(server.path("known_hosts")) "
            + "-o StrictHostKeyChecking=yes -i \(server.path("user_ed25519")) -p \(server.port) "
            + "-W '[\(server.address)]:\(server.port)' \(NSUserName())@\(server.address)"
    }

    /// A host whose name no resolver knows, so that only the command can have got there.
    private func host(
        _ server: SSHServerFixture,
        through command: String,
        _ change: (inout SSHEndpoint) -> Void = { _ in }
    ) throws -> SSHHost {
        try server.host {
            $0.address = "behind-the-hop.invalid"
            $0.hostKeyAlias = server.recordName
            $0.proxyCommand = command
            change(&$0)
        }
    }

    private func await(_ what: String, _ isTrue: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while !isTrue() {
            guard ContinuousClock.now < deadline else { throw SSHServerFixture.Failure(description: "no \(what)") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Whether a process is at work; one that nobody has reaped yet is not.
    private func isAtWork(_ pid: Int32) -> Bool {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        return stat.split(separator: ")").last?.hasPrefix(" Z") == false
    }

    @Test func `a jump host is not asked for more connections at a time than it takes`() async throws {
        try await SSHServerFixture.with { server in
            // Each says how many there are, stays for a while, and leads nowhere.
            let live = server.path("live")
            try FileManager.default.createDirectory(atPath: live, withIntermediateDirectories: false)
            let command =
                "/bin/sh -c 'touch \(live)/$$; ls \(live) | wc -l >>\(server.path("counts")); sleep 0.4; rm \(live)/$$'"
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<24 {
                    group.addTask {
                        let host = try? host(server, through: command)
                        _ = try? await host?.run(RemoteCommand("nothing", script: ":", effect: .readOnly))
                    }
                }
            }
            let counts = server.read("counts").split(separator: "\n").compactMap { Int($0.filter(\.isNumber)) }
            #expect(counts.count >= 24)
            #expect((2...ProxyGates.count).contains(counts.max() ?? 0), "\(counts)")
        }
    }

    @Test func `commands and files go through a command`() async throws {
        try await SSHServerFixture.with { server in
            let host = try host(server, through: hop(server))
            for number in 1...5 {
                #expect(try await Script.output(host, "echo \(number)") == "\(number)\n")
            }
            let bytes = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
            try bytes.write(to: URL(filePath: server.path("here")))
            try await host.upload(
                URL(filePath: server.path("here")),
                to: server.path("there"),
                mode: 0o600,
                timeout: .seconds(30)
            )
            try await host.download(server.path("there"), to: URL(filePath: server.path("back")), timeout: .seconds(30))
            #expect(FileManager.default.contents(atPath: server.path("back")) == bytes)
            await host.close()
        }
    }

    @Test func `ProxyJump goes over several hops`() async throws {
        try await SSHServerFixture.with { server in
            let common = """
                Host *
                    User \(NSUserName())
                    IdentityFile \(server.path("user_ed25519"))
                    IdentitiesOnly yes
                    UserKnownHostsFile \(server.path("known_hosts"))
                    HostKeyAlias \(server.recordName)
                    StrictHostKeyChecking yes
                    HostName \(server.address)
                    Port \(server.port)
                """
            try server.write("config", "Host target\n    ProxyJump hop1,hop2,hop3\n" + common + "\n")
            let config = try SSHConfig(.file(server.path("config")))
            let settings = try config.settings(for: ConnectionSettings(destination: "target"))
            #expect(settings.hostName == server.address && settings.port == server.port)
            let host = try host(server, through: try #require(settings.proxyCommand))
            #expect(try await Script.output(host, "echo in") == "in\n")
            // One login for each hop, and one here.
            #expect(server.log.split(whereSeparator: \.isNewline).count { $0.contains("Accepted publickey") } == 4)
            await host.close()
        }
    }

    @Test func `the host key is checked behind a proxy too`() async throws {
        try await SSHServerFixture.with { server in
            let stranger = server.read("stranger.pub").split(separator: " ").prefix(2).joined(separator: " ")
            try server.write("record", "\(server.recordName) \(stranger)\n")
            let host = try host(server, through: hop(server)) { $0.knownHostsFiles = [server.path("record")] }
            let error = await Script.failure(host)
            #expect(error?.code == .hostKey)
            #expect(error?.message.contains("HAS CHANGED") == true)
        }
    }

    @Test func `a command that fails is unreachable, with what it said`() async throws {
        try await SSHServerFixture.with { server in
            let error = await Script.failure(try host(server, through: "sh -c 'echo no way there >&2; exit 1'"))
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("it said: no way there") == true, "\(String(describing: error))")
            #expect(error?.message.contains("through `sh -c") == true)
        }
    }

    @Test func `a jump host that refuses the login is not taken for a host without a server`() async throws {
        try await SSHServerFixture.with { server in
            let command = hop(server).replacing(server.path("user_ed25519"), with: server.path("stranger"))
            let error = await Script.failure(try host(server, through: command))
            #expect(error?.code == .unreachable)
            #expect(error?.message.hasPrefix("the jump host refused the login") == true, "\(String(describing: error))")
            #expect(error?.message.contains("Permission denied (publickey)") == true)
            // What is to be run by hand.
            #expect(error?.message.hasSuffix("through `\(command)`]") == true)
        }
    }

    @Test func `a command that says nothing is given up in time, and ended`() async throws {
        try await SSHServerFixture.with { server in
            let host = try host(server, through: "sh -c 'echo $$ >\(server.path("pid")); exec sleep 1000'") {
                $0.connectTimeout = .seconds(1)
            }
            let error = await Script.failure(host)
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("no SSH server answered within") == true)
            let pid = try #require(Int32(server.read("pid").trimmingCharacters(in: .whitespacesAndNewlines)))
            try await self.await("end of the command") { !isAtWork(pid) }
        }
    }

    @Test func `the command ends with the connection, and is out of a Ctrl-C's way before`() async throws {
        try await SSHServerFixture.with { server in
            let host = try host(
                server,
                through: "sh -c 'echo $$ >\(server.path("pid")); exec \(hop(server).replacing("'", with: "'\\''"))'"
            )
            #expect(try await Script.output(host, "echo in") == "in\n")
            let pid = try #require(Int32(server.read("pid").trimmingCharacters(in: .whitespacesAndNewlines)))
            #expect(isAtWork(pid))
            #expect(getpgid(pid) == pid)
            await host.close()
            try await self.await("end of the command") { !isAtWork(pid) }
        }
    }

    @Test func `a script whose proxy was lost is in doubt, and the next goes over a new one`() async throws {
        try await SSHServerFixture.with { server in
            let host = try host(
                server,
                through: "sh -c 'echo $$ >\(server.path("pid")); exec \(hop(server).replacing("'", with: "'\\''"))'"
            )
            async let failure = Script.failure(host, "echo begun >\(server.path("begun")); sleep 30")
            try await server.awaitFile("begun")
            let pid = try #require(Int32(server.read("pid").trimmingCharacters(in: .whitespacesAndNewlines)))
            kill(pid, SIGKILL)
            #expect(await failure?.code == .inDoubt)
            #expect(try await Script.output(host, "echo again") == "again\n")
            await host.close()
        }
    }
}
