// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

@testable import SSH

/// Shells that are started ahead of their scripts.
@Suite("A shell that waits for its script", .serialized, needsServer, .timeLimit(.minutes(2)))
struct SpareShellTests {
    /// Tells who it is, and which shells wait on its session, as soon as there is one or when it has looked long enough.
    ///
    /// They are this shell's brothers: below the same sshd.
    private static let whoWaits = """
        for look in $(seq 200); do
          found=
          for pid in $(ps -o pid= --ppid $PPID); do [ $pid = $$ ] || found="$found $pid"; done
          [ -z "$found" ] || break
          sleep 0.05
        done
        echo $$ $found
        """

    @Test func `the next command's shell is started while one runs`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            #expect(try await Script.output(host, ":").isEmpty)
            // One that is not up yet is there for a later script, and one that was not heard of lately for none, which a
            // busy machine may bring about now and then.
            var waited: Set<Substring> = []
            var isUsed = false
            for _ in 0..<20 where !isUsed {
                let answer = try await Script.output(host, Self.whoWaits).split(whereSeparator: \.isWhitespace)
                isUsed = waited.contains(try #require(answer.first))
                waited.formUnion(answer.dropFirst())
            }
            #expect(!waited.isEmpty)
            #expect(isUsed)
            await host.close()
        }
    }

    @Test func `a script gets through to it as it is, long or short`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            let odd = #"it's a "$HOME" `id` \\ \' ! * ; & | ü € \t \0101 %s ~ # {a,b}"# + "\t\u{7f}"
            for lines in [0, 10, 4000] {
                let filler = String(repeating: "# ä line of some length that says nothing\n", count: lines)
                let script = filler + "cat <<'END'\n\(odd)\nEND\ncat; echo $0 $#; exit 9\n\n\n"
                for _ in 0..<4 {
                    let result = try await host.run(RemoteCommand("odd", script: script, effect: .readOnly))
                    #expect(result.exitCode == 9)
                    #expect(result.output == odd + "\nsh 0\n")
                }
            }
            await host.close()
        }
    }

    @Test func `one that is killed while it waits is not used`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            let count = "echo x >>\(server.path("count"))"
            for _ in 0..<3 {
                _ = try await Script.output(host, "sleep 0.3")
                // The server tells of their end before it tells of this script's.
                let kill = """
                    waiting=
                    for pid in $(ps -o pid= --ppid $PPID); do [ $pid = $$ ] || waiting="$waiting $pid"; done
                    kill -9 $waiting
                    for pid in $waiting; do while [ -d /proc/$pid ]; do sleep 0.05; done; done; sleep 0.5
                    """
                _ = try await Script.output(host, kill)
                _ = try await host.run(RemoteCommand("count", script: count, effect: .mutating))
            }
            #expect(server.read("count") == "x\nx\nx\n")
            await host.close()
        }
    }

    /// What a start-up file reads is the beginning of the script, where it comes while the file is at work.
    @Test func `a script whose beginning a start-up file took is not begun`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            _ = try await Script.output(host, ":")
            var notBegun = 0
            for taken in 1...6 {
                // For the shells that are started ahead from here on.
                try server.write("home/.bashrc", String(repeating: "read -t 2 line\n", count: taken))
                for _ in 0..<4 {
                    try server.write("ran", "")
                    let script = "# 1\n# 2\n# 3\necho x >>\(server.path("ran"))\necho x >>\(server.path("ran"))\n"
                    do throws(RemoteError) {
                        let result = try await host.run(RemoteCommand("run", script: script, effect: .mutating))
                        #expect(result.exitCode == 0 && server.read("ran") == "x\nx\n", "\(taken)")
                    } catch {
                        notBegun += 1
                        #expect(error.isNotBegun && server.read("ran").isEmpty, "\(taken): \(error)")
                    }
                }
            }
            #expect(notBegun > 0)
            await host.close()
        }
    }

    @Test(.enabled(if: SSHServerFixture.isRoot, "sudo from root asks for no password"))
    func `each user has shells of its own`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            let other = host.elevated(as: "nobody")
            for _ in 0..<4 {
                #expect(try await Script.output(host, "id -un; sleep 0.1") == NSUserName() + "\n")
                #expect(try await Script.output(other, "id -un; sleep 0.1") == "nobody\n")
            }
            await host.close()
        }
    }

    @Test(arguments: [1, 2, 3])
    func `a server that allows few sessions serves them all the same`(sessions: Int) async throws {
        try await SSHServerFixture.with(["MaxSessions \(sessions)"]) { server in
            let host = try server.host()
            for number in 0..<6 { #expect(try await Script.output(host, "echo \(number)") == "\(number)\n") }
            let echoed = try await host.run(
                RemoteCommand("cat", script: "cat", standardInput: Array("own".utf8), effect: .readOnly)
            )
            #expect(echoed.output == "own")
            for number in 0..<6 { #expect(try await Script.output(host, "echo \(number)") == "\(number)\n") }
            await host.close()
        }
    }

    @Test func `a server that closes idle sessions costs a new shell and no more`() async throws {
        try await SSHServerFixture.with(["ChannelTimeout session:*=4s"]) { server in
            var limits = SSHLimits()
            limits.spareShell = .seconds(2)
            let host = try SSHHost(server.endpoint(), limits: limits)
            // Something is heard all the time, so that shells of whatever age would be used if they were there.
            for _ in 0..<8 { #expect(try await Script.output(host, "sleep 1; echo on") == "on\n") }
            await host.close()
        }
    }

    @Test func `nothing of it is left when the connection is closed`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            _ = try await Script.output(host, ":")
            let session = try await Script.output(host, "sleep 0.3; echo $PPID").dropLast()
            await host.close()
            let gone = "i=0; while [ -d /proc/\(session) ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done; echo $i"
            let left = try await LocalHost(name: "here").run(RemoteCommand("look", script: gone, effect: .readOnly))
            #expect(Int(left.output.dropLast()).map { $0 < 100 } == true)
        }
    }
}
