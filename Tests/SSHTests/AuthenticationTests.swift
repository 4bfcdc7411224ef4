// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import SSH
import Testing

@Suite("Getting in", .serialized, needsServer, .timeLimit(.minutes(1)))
struct AuthenticationTests {
    @Test(arguments: ["user_ed25519", "user_ecdsa"])
    func `a key file lets in`(_ key: String) async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host { $0.privateKeyFiles = [server.path(key)] }
            #expect(try await Script.output(host, "id -un") == NSUserName() + "\n")
        }
    }

    @Test func `keys are tried in order until one is taken`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host {
                $0.privateKeyFiles = ["none", "stranger", "user_ecdsa"].map(server.path)
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
        }
    }

    @Test func `a stranger's key is refused, and the message says what was tried`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host { $0.privateKeyFiles = [server.path("stranger")] }
            let error = await Script.failure(host, "echo ran >\(server.path("ran"))")
            #expect(error?.code == .authentication)
            #expect(error?.message.contains(server.path("stranger")) == true)
            #expect(error?.message.contains("publickey") == true)
            #expect(server.read("ran").isEmpty)
        }
    }

    @Test(arguments: ["644", "640", "610"])
    func `a key that others can get at is not used, and the next one is`(_ mode: String) async throws {
        try await SSHServerFixture.with { server in
            try await SSHServerFixture.sh("chmod \(mode) \(server.path("user_ed25519"))")
            let error = await Script.failure(try server.host())
            #expect(error?.code == .authentication)
            #expect(error?.message.contains("(mode 0\(mode)); chmod 600 \(server.path("user_ed25519"))") == true)
            #expect(!server.log.contains("Accepted publickey"))
            let host = try server.host { $0.privateKeyFiles = ["user_ed25519", "user_ecdsa"].map(server.path) }
            #expect(try await Script.output(host, "echo in") == "in\n")
            try await SSHServerFixture.sh("chmod 400 \(server.path("user_ed25519"))")
            #expect(try await Script.output(try server.host(), "echo in") == "in\n")
        }
    }

    @Test(.enabled(if: SSHServerFixture.isRoot, "needs root: gives a file to somebody else"))
    func `who may read another user's key is that user's to say`() async throws {
        try await SSHServerFixture.with { server in
            let key = server.path("user_ed25519")
            try await SSHServerFixture.sh("chown 65534 \(key); chmod 644 \(key)")
            #expect(try await Script.output(try server.host(), "echo in") == "in\n")
        }
    }

    @Test func `a key with a passphrase is named as one`() async throws {
        try await SSHServerFixture.with { server in
            try await SSHServerFixture.sh("ssh-keygen -q -p -P '' -N secret -f \(server.path("user_ecdsa"))")
            let host = try server.host { $0.privateKeyFiles = [server.path("user_ecdsa")] }
            let error = await Script.failure(host)
            #expect(error?.code == .authentication)
            #expect(error?.message.contains("passphrase") == true)
        }
    }

    @Test(arguments: ["user_ed25519", "user_ecdsa"])
    func `the agent lets in`(_ key: String) async throws {
        try await SSHServerFixture.with { server in
            try await withAgent(server, keys: ["stranger", key]) { socket in
                let host = try server.host {
                    $0.privateKeyFiles = []
                    $0.useAgent = true
                    $0.agentSocket = socket
                }
                #expect(try await Script.output(host, "echo in") == "in\n")
            }
        }
    }

    @Test func `an agent that is not there or has only other keys is told apart`() async throws {
        try await SSHServerFixture.with { server in
            func error(_ socket: String) async throws -> RemoteError? {
                await Script.failure(
                    try server.host {
                        $0.privateKeyFiles = [server.path("stranger")]
                        $0.useAgent = true
                        $0.agentSocket = socket
                    }
                )
            }
            let gone = try await error(server.path("no-agent"))
            #expect(gone?.code == .authentication)
            #expect(gone?.message.contains("no-agent") == true)
            try await withAgent(server, keys: ["stranger"]) { socket in
                let refused = try await error(socket)
                #expect(refused?.code == .authentication)
                #expect(refused?.message.contains("agent's key") == true)
            }
        }
    }

    @Test(arguments: [true, false])
    func `a certificate lets in a key that the server does not know`(_ isNamed: Bool) async throws {
        try await SSHServerFixture.with { server in
            try await SSHServerFixture.sh(
                """
                cd \(server.directory)
                ssh-keygen -q -t ed25519 -N '' -C ca -f ca
                ssh-keygen -q -t ecdsa -N '' -C certified -f certified
                ssh-keygen -q -s ca -I somebody -n \(NSUserName()) certified.pub 2>/dev/null
                [ \(isNamed) = false ] || mv certified-cert.pub elsewhere.pub
                { printf 'cert-authority '; cat ca.pub; } >>authorized_keys
                """
            )
            let host = try server.host {
                $0.privateKeyFiles = [server.path("stranger"), server.path("certified")]
                $0.certificateFiles = isNamed ? [server.path("elsewhere.pub")] : []
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
            #expect(server.log.contains("ECDSA-CERT"))
            let other = try server.host { $0.privateKeyFiles = [server.path("stranger")] }
            #expect(await Script.failure(other)?.code == .authentication)
        }
    }

    @Test func `with IdentitiesOnly the agent signs with the keys of the files only`() async throws {
        try await SSHServerFixture.with { server in
            // The private half is in the agent alone, as with a key that has a passphrase.
            try await SSHServerFixture.sh("cd \(server.directory); mkdir public; cp user_ed25519.pub public/only.pub")
            try await withAgent(server, keys: ["user_ecdsa", "user_ed25519"]) { socket in
                func host(_ files: [String]) throws -> SSHHost {
                    try server.host {
                        $0.privateKeyFiles = files.map(server.path)
                        $0.useAgent = true
                        $0.identitiesOnly = true
                        $0.agentSocket = socket
                    }
                }
                for file in ["public/only", "public/only.pub"] {
                    #expect(try await Script.output(try host([file]), "echo in") == "in\n")
                }
                let error = await Script.failure(try host(["stranger.pub"]))
                #expect(error?.code == .authentication)
                #expect(error?.message.contains("2 more of the agent's keys were left alone") == true)
                #expect(
                    !server.log.contains("Accepted publickey for \(NSUserName()) from \(server.address) ssh2: ECDSA")
                )
            }
        }
    }

    @Test func `a key that the agent will not sign with does not spoil the next one`() async throws {
        try await SSHServerFixture.with { server in
            // With `-c` the agent asks a human first; this one always says no.
            try await withAgent(server, keys: ["user_ecdsa"], options: "-c") { socket in
                let host = try server.host {
                    $0.privateKeyFiles = []
                    $0.useAgent = true
                    $0.agentSocket = socket
                }
                let refused = await Script.failure(host)
                #expect(refused?.code == .authentication)
                #expect(refused?.message.contains("refused to sign") == true)

                try await SSHServerFixture.sh("SSH_AUTH_SOCK=\(socket) ssh-add -q \(server.path("user_ed25519")) 2>&1")
                #expect(try await Script.output(host, "echo in") == "in\n")
            }
        }
    }

    private func withAgent(
        _ server: SSHServerFixture,
        keys: [String],
        options: String = "",
        _ body: (String) async throws -> Void
    ) async throws {
        let socket = server.path("agent")
        let keyFiles = keys.map(server.path).joined(separator: " ")
        let said = try await SSHServerFixture.sh(
            """
            eval "$(SSH_ASKPASS=/bin/false ssh-agent -s -a \(socket))" >/dev/null
            ssh-add -q \(options) \(keyFiles) 2>/dev/null
            echo $SSH_AGENT_PID
            """
        )
        guard let agent = Int32(said.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw SSHServerFixture.Failure(description: "no agent: \(said)")
        }
        defer { kill(agent, SIGKILL) }
        try await body(socket)
    }

    // MARK: - sudo

    @Test(
        .enabled(if: SSHServerFixture.isRoot, "making a user on this machine takes root"),
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/sudo"), "sudo is not installed")
    )
    func `where sudo says no, the script does not run`() async throws {
        try await TestUser.with { user in
            try await SSHServerFixture.with { server in
                let host = try server.host { $0.user = user.name }
                #expect(try await Script.output(host, "id -un") == user.name + "\n")
                let error = await Script.failure(
                    host.elevated(as: "root"),
                    "echo ran >\(server.path("ran"))"
                )
                #expect(error?.code == .become)
                #expect(error?.isNotBegun == true)
                #expect(error?.remedy?.contains("NOPASSWD") == true)
                #expect(server.read("ran").isEmpty)
                #expect(try await Script.output(host, "id -un") == user.name + "\n")
            }
        }
    }
}
