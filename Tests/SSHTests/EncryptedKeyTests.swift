// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote
import SSH
import Testing

/// Keys that a passphrase opens, as ssh-keygen writes them.
@Suite("Encrypted keys", .serialized, needsServer, .timeLimit(.minutes(1)))
struct EncryptedKeyTests {
    private static let passphrase = #"pa$$ w'0rd "%s" of the key"#

    /// A server that lets one new key in.
    private func with(
        _ options: String,
        _ body: (_ server: SSHServerFixture, _ key: String) async throws -> Void
    ) async throws {
        try await SSHServerFixture.with { server in
            try server.write("phrase", Self.passphrase)
            try await SSHServerFixture.sh(
                """
                cd '\(server.directory)'
                ssh-keygen -q \(options) -N "$(cat phrase)" -C '' -f locked && cat locked.pub >>authorized_keys
                """
            )
            try await body(server, server.path("locked"))
        }
    }

    @Test(arguments: ["-t ed25519", "-t ecdsa", "-t ecdsa -m PEM", "-t ecdsa -b 521 -m PKCS8"])
    func `the passphrase opens the key`(_ options: String) async throws {
        try await with(options) { server, key in
            let host = try server.host {
                $0.privateKeyFiles = [key]
                $0.keyPassphrase = Secret(Self.passphrase)
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
            // What is said of one key wins over what is said of all.
            let own = try server.host {
                $0.privateKeyFiles = [key]
                $0.keyPassphrase = Secret("of others")
                $0.keyPassphrases = [key: Secret(Self.passphrase)]
            }
            #expect(try await Script.output(own, "echo in") == "in\n")
        }
    }

    @Test(arguments: ["-t ed25519", "-t ecdsa", "-t ecdsa -m PEM", "-t ecdsa -m PKCS8"])
    func `a wrong passphrase is told apart from a key that is not taken`(_ options: String) async throws {
        try await with(options) { server, key in
            func error(_ passphrase: String?) async throws -> RemoteError? {
                await Script.failure(
                    try server.host {
                        $0.privateKeyFiles = [key]
                        $0.keyPassphrase = passphrase.map { Secret($0) }
                    }
                )
            }
            let wrong = try await error("not this one")
            #expect(wrong?.code == .authentication)
            #expect(wrong?.message.contains("the passphrase does not open it") == true, "\(String(describing: wrong))")
            #expect(wrong?.message.contains("not this one") == false)
            #expect(wrong?.remedy?.contains("right passphrase") == true)
            #expect(wrong?.remedy?.contains("authorized_keys") == false, "\(String(describing: wrong))")
            let none = try await error(nil)
            #expect(none?.message.contains("has a passphrase") == true)
            #expect(none?.message.contains("--key-passphrase-file") == true)
            try server.write("authorized_keys", "")
            let stranger = try await error(Self.passphrase)
            #expect(stranger?.message.contains("does not open it") == false, "\(String(describing: stranger))")
            #expect(stranger?.remedy?.contains("authorized_keys") == true)
        }
    }

    /// Ciphers that ssh-keygen has and libssh2 has not, of those that are named in the clear.
    @Test(arguments: ["chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com"])
    func `a cipher that libssh2 cannot read is named, and the remedy helps`(_ cipher: String) async throws {
        try await with("-t ed25519 -Z \(cipher)") { server, key in
            func host() throws -> SSHHost {
                try server.host {
                    $0.privateKeyFiles = [key]
                    $0.keyPassphrase = Secret(Self.passphrase)
                }
            }
            if let error = await Script.failure(try host()) {
                #expect(error.code == .authentication)
                #expect(error.message.contains("encrypted with \(cipher), which libssh2"), "\(error)")
                #expect(error.remedy?.contains("ssh-keygen -p -Z aes256-ctr -f \(key)") == true, "\(error)")
                #expect(error.remedy?.contains("authorized_keys") == false, "\(error)")
            } else {
                #expect(cipher == "aes256-gcm@openssh.com", "libssh2 1.11 has that one")
            }
            try await SSHServerFixture.sh(
                """
                cd '\(server.directory)'
                ssh-keygen -q -p -Z aes256-ctr -P "$(cat phrase)" -N "$(cat phrase)" -f '\(key)' >/dev/null
                """
            )
            #expect(try await Script.output(try host(), "echo in") == "in\n")
        }
    }

    @Test func `a key that the agent has open needs no passphrase`() async throws {
        try await with("-t ed25519") { server, key in
            var endpoint = server.endpoint()
            endpoint.privateKeyFiles = [key, server.path("user_ecdsa")]
            #expect(EncryptedKeys.paths(of: endpoint) == [key])
            endpoint.useAgent = true
            endpoint.agentSocket = server.path("agent")
            #expect(EncryptedKeys.paths(of: endpoint) == [key])
            try server.write("ask", "#!/bin/sh\ncat '\(server.path("phrase"))'\n")
            let said = try await SSHServerFixture.sh(
                """
                cd '\(server.directory)'; chmod 700 ask
                eval "$(ssh-agent -s -a agent)" >/dev/null
                DISPLAY=x SSH_ASKPASS=$PWD/ask SSH_ASKPASS_REQUIRE=force ssh-add -q locked 2>/dev/null </dev/null
                echo $SSH_AGENT_PID
                """
            )
            let agent = try #require(Int32(said.trimmingCharacters(in: .whitespacesAndNewlines)))
            defer { kill(agent, SIGKILL) }
            #expect(EncryptedKeys.paths(of: endpoint).isEmpty)
            endpoint.useAgent = false
            endpoint.methods = [.password]
            #expect(EncryptedKeys.paths(of: endpoint).isEmpty)
        }
    }
}
