// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import SSH
import Testing

@Suite("A connection that fails", .serialized, needsServer, .timeLimit(.minutes(1)))
struct ConnectionLossTests {
    /// The pid of the server's process for the session that a script runs in: the login shell's parent.
    private func sessionProcess(of host: SSHHost) async throws -> Int32 {
        let said = try await Script.output(host, "echo $PPID")
        guard let pid = Int32(said.trimmingCharacters(in: .whitespacesAndNewlines)), pid > 1 else {
            throw SSHServerFixture.Failure(description: "no process: \(said)")
        }
        return pid
    }

    @Test func `a closed port is unreachable at once`() async throws {
        try await SSHServerFixture.with { server in
            let started = ContinuousClock.now
            let error = await Script.failure(try server.host { $0.port = 1 })
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("refused") == true)
            #expect(ContinuousClock.now - started < .seconds(5))
        }
    }

    @Test func `a name that nobody knows is unreachable`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host {
                $0.address = "no-such-host.invalid"
                $0.connectTimeout = .seconds(15)
            }
            #expect(await Script.failure(host)?.code == .unreachable)
        }
    }

    @Test func `a channel that the server closes is in doubt, though it ends without an error`() async throws {
        try await SSHServerFixture.with(["ChannelTimeout session:*=1s"]) { server in
            let error = await Script.failure(try server.host(), "sleep 20")
            #expect(error?.code == .inDoubt)
            #expect(error?.message.contains("without the command's own end") == true)
        }
    }

    @Test func `a connection that is cut amid a command is in doubt, and the next command connects anew`() async throws
    {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            let session = try await sessionProcess(of: host)
            async let error = Script.failure(host, "echo x >\(server.path("begun")); echo y; sleep 20")
            try await server.awaitFile("begun")
            kill(session, SIGKILL)
            #expect(await error?.code == .inDoubt)
            #expect(try await sessionProcess(of: host) != session)
        }
    }

    @Test func `a connection that was cut between commands is opened anew without a word`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            for _ in 0..<3 {
                let session = try await sessionProcess(of: host)
                kill(session, SIGKILL)
                while kill(session, 0) == 0 { try await Task.sleep(for: .milliseconds(5)) }
                let count = "echo x >>\(server.path("count"))"
                _ = try await host.run(RemoteCommand("count", script: count, effect: .mutating))
            }
            #expect(server.read("count") == "x\nx\nx\n")
        }
    }

    @Test func `a server that is stopped amid a command is noticed long before the command's time is over`()
        async throws
    {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            let session = try await sessionProcess(of: host)
            let started = ContinuousClock.now
            async let error = Script.failure(
                host,
                "echo x >\(server.path("begun")); sleep 50",
                timeout: .seconds(50)
            )
            try await server.awaitFile("begun")
            kill(session, SIGSTOP)
            let ended = await error
            kill(session, SIGKILL)
            #expect(ended?.code == .inDoubt)
            #expect(ended?.message.contains("silent") == true)
            #expect(ContinuousClock.now - started < .seconds(20))
        }
    }

    /// Several at once, so that now and then an answer has come before the loop waits for it.
    @Test func `commands that say nothing for longer than a silent peer may are waited for`() async throws {
        try await SSHServerFixture.with { server in
            try await withThrowingTaskGroup(of: String.self) { group in
                // Long enough for a server on a machine that is busy with other tests.
                var limits = SSHLimits()
                limits.silence = .seconds(8)
                for _ in 0..<20 {
                    let host = try SSHHost(server.endpoint(), limits: limits)
                    group.addTask { try await Script.output(host, "sleep 12; echo done", timeout: .seconds(60)) }
                }
                for try await said in group { #expect(said == "done\n") }
            }
        }
    }

    @Test func `the deadline ends a command that never stops talking`() async throws {
        try await SSHServerFixture.with { server in
            let started = ContinuousClock.now
            let script = "while echo chatter; do sleep 0.05; done"
            let error = await Script.failure(try server.host(), script, timeout: .seconds(2))
            #expect(error?.code == .inDoubt)
            #expect(error?.message.contains("not done after") == true)
            #expect(ContinuousClock.now - started < .seconds(12))
        }
    }

    @Test func `more output than is allowed is in doubt and not cut`() async throws {
        try await SSHServerFixture.with { server in
            var limits = SSHLimits()
            limits.outputBytes = 1 << 20
            let host = try SSHHost(server.endpoint(), limits: limits)
            let error = await Script.failure(host, "head -c 3000000 /dev/zero")
            #expect(error?.code == .inDoubt)
            #expect(error?.message.contains("printed more than") == true)
        }
    }

    @Test func `what a script leaves behind does not hold up its result`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            let said = try await Script.output(host, "sleep 15 & echo $!")
            let started = ContinuousClock.now
            _ = try await Script.output(host, "kill \(said)")
            #expect(ContinuousClock.now - started < .seconds(10))
        }
    }

    /// Its streams are still open then; with sudo, a shell around it tells.
    @Test(arguments: SSHServerFixture.isRoot ? [nil, "root", "nobody"] : [nil])
    func `a shell that is killed is told at once, and no success`(user: String?) async throws {
        try await SSHServerFixture.with { server in
            let login = try server.host()
            let host = user.map { login.elevated(as: $0) } ?? login
            for script in ["kill -9 $$", "echo said >&2; sleep 15 & kill -9 $$; sleep 15", "kill -9 $$; exec >&- 2>&-"]
            {
                let started = ContinuousClock.now
                let error = await Script.failure(host, script)
                #expect(error?.code == .inDoubt, "\(String(describing: error))")
                #expect(error?.message.contains("its shell was killed") == true, "\(error?.message ?? "")")
                #expect(ContinuousClock.now - started < .seconds(10))
            }
            #expect(try await Script.output(host, "echo on") == "on\n")
            await login.close()
        }
    }

    /// sshd may see the end of a dying shell's streams before it has reaped it.
    @Test func `what a shell died of may be said behind the end of its streams`() async throws {
        let late = #"/bin/sh -c "$SSH_ORIGINAL_COMMAND"; exec >&- 2>&-; sleep 0.2; kill -9 $$"#
        try await SSHServerFixture.with(["ForceCommand exec /bin/sh -c '\(late)'"]) { server in
            let error = await Script.failure(try server.host(), "kill -9 $$")
            #expect(error?.code == .inDoubt)
            #expect(error?.message.contains("its shell was killed (KILL)") == true, "\(error?.message ?? "")")
        }
    }

    /// A slot is free when the server has reaped the shell, so that now and then a new connection is made instead.
    @Test func `one session at a time is enough`() async throws {
        try await SSHServerFixture.with(["MaxSessions 1"]) { server in
            let host = try server.host()
            for number in 0..<10 { #expect(try await Script.output(host, "echo \(number)") == "\(number)\n") }
        }
    }

    @Test func `a command that waits for its turn can be cancelled and does not run`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            async let first = Script.output(host, "echo x >\(server.path("begun")); sleep 2; echo first")
            try await server.awaitFile("begun")
            let second = await withTaskGroup(of: RemoteError?.self) { group in
                group.addTask { await Script.failure(host, "echo ran >\(server.path("ran"))") }
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(second?.isNotBegun == true)
            #expect(try await first == "first\n")
            #expect(try await Script.output(host, "echo third") == "third\n")
            #expect(server.read("ran").isEmpty)
        }
    }

    @Test func `a running command that is cancelled is in doubt at once`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            let started = ContinuousClock.now
            try await withThrowingTaskGroup(of: RemoteError?.self) { group in
                group.addTask { await Script.failure(host, "echo x >\(server.path("begun")); sleep 18") }
                try await server.awaitFile("begun")
                group.cancelAll()
                let error = try await group.next() ?? nil
                #expect(error?.code == .inDoubt)
            }
            #expect(ContinuousClock.now - started < .seconds(12))
            #expect(try await Script.output(host, "echo next") == "next\n")
        }
    }

    @Test func `30 hosts at once need no more threads than one`() async throws {
        try await SSHServerFixture.with { server in
            let hosts = try (1...30).map { number in try server.host { $0.name = "n\(number)" } }
            let folder = server.path("met")
            try await SSHServerFixture.sh("mkdir \(folder)")
            // Each waits until all have come, so that they do run at once.
            let script = "> \(folder)/$$; until [ $(ls \(folder) | wc -l) -ge 30 ]; do sleep 0.1; done; echo met"
            let threads = try await withThrowingTaskGroup(of: Void.self) { group in
                for host in hosts {
                    group.addTask {
                        let said = try await Script.output(host, script, timeout: .seconds(45))
                        #expect(said == "met\n")
                    }
                }
                try await SSHServerFixture.sh("until [ $(ls \(folder) | wc -l) -ge 15 ]; do sleep 0.05; done")
                let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").map {
                    try String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)
                }
                try await group.waitForAll()
                return names
            }
            // Other suites have threads of their own in this process; pawl's are known by their names.
            #expect(threads.filter { $0.hasPrefix("pawl-ssh-") }.count <= 2)
            #expect(threads.filter { $0.hasPrefix("pawl-") }.count <= 4, "\(threads)")
        }
    }
}
