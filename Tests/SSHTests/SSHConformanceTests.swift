// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import SSH
import TestSupport
import Testing

/// Whether a real server can run, and why not.
let needsServer = ConditionTrait.enabled(
    if: SSHServerFixture.isAvailable,
    "\(SSHServerFixture.obstacle ?? "sshd can run here")"
)

@Suite("An SSH host", .serialized, needsServer, .timeLimit(.minutes(5)))
struct SSHConformanceTests {
    @Test(arguments: HostPromise.ofCommands + HostPromise.ofFiles)
    func `an SSH host keeps the promise`(_ promise: HostPromise) async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            try await promise.verify(host)
            await host.close()
        }
    }

    @Test(
        .enabled(if: !SSHServerRelease.fetched.isEmpty, "scripts/fetch-ssh has not been run"),
        arguments: SSHServerRelease.fetched
    )
    func `a server of another release keeps the promises`(_ release: SSHServerRelease) async throws {
        try await SSHServerFixture.with(release: release) { server in
            let host = try server.host()
            for promise in HostPromise.ofCommands + HostPromise.ofFiles { try await promise.verify(host) }
            await host.close()
        }
    }

    @Test(.enabled(if: SSHServerFixture.isRoot, "sudo from root asks for no password"))
    func `a host elevated by sudo keeps the promises`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host { $0.becomeUser = "nobody" }
            #expect(try await Script.output(host, "id -un") == "nobody\n")
            for promise in HostPromise.ofCommands { try await promise.verify(host) }
        }
    }

    @Test func `a trivial command over an open connection is as quick as over ssh`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host()
            let rounds = 30
            _ = try await Script.output(host, ":")
            let started = ContinuousClock.now
            for _ in 0..<rounds { _ = try await Script.output(host, ":") }
            let ours = (ContinuousClock.now - started) / rounds
            let options =
                "-S \(server.path("mux")) -i \(server.path("user_ed25519")) -o UserKnownHostsFile=\(server.path("known_hosts")) "
                + "-F none -p \(server.port) \(NSUserName())@\(server.address)"
            try await SSHServerFixture.sh("ssh -M -N -f \(options) </dev/null >/dev/null 2>&1")
            let before = ContinuousClock.now
            for _ in 0..<rounds { try await SSHServerFixture.sh("exec ssh \(options) : </dev/null") }
            let theirs = (ContinuousClock.now - before) / rounds
            try await SSHServerFixture.sh("ssh -O exit \(options) 2>/dev/null")
            print("trivial command, open connection: pawl \(ours), ssh ControlMaster \(theirs)")
        }
    }
}
