// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Testing

@testable import SSH

/// Servers that allow little, with the libssh2 that is loaded: what it lacks is said at once, and what it has is used.
@Suite("A hardened server", .serialized, needsServer, .timeLimit(.minutes(1)))
struct HardenedServerTests {
    /// A server's lines, and what becomes of them.
    struct Hardening: Sendable, CustomStringConvertible {
        var description: String
        var options: [String]
        var hostKeys = ["ed25519", "ecdsa"]
        /// The first libssh2 that speaks it, by the number of `libssh2_version`; nil for none.
        var leastVersion: Int32?
        /// What the error names where the library does not have it.
        var offer: String
        var remedies: [String]
        /// What the server's log shows where it does.
        var used = ""
    }

    private static let withSHA2: Int32 = 0x010b00
    private static let withChaCha20: Int32 = 0x010b01

    static let hardenings = [
        Hardening(
            description: "encrypt-then-mac only",
            options: [
                "Ciphers aes256-ctr,aes128-ctr", "MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com",
            ],
            leastVersion: withSHA2,
            offer:
                "no MAC algorithm in common: the server offers hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com;",
            remedies: [
                "use libssh2 1.11.0 or later, which has hmac-sha2-512-etm@openssh.com",
                "`MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256`",
            ],
            used: "MAC: hmac-sha2-256-etm@openssh.com"
        ),
        Hardening(
            description: "AES-GCM only",
            options: ["Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com"],
            leastVersion: withSHA2,
            offer: "no cipher algorithm in common: the server offers aes256-gcm@openssh.com,aes128-gcm@openssh.com;",
            remedies: [
                "use libssh2 1.11.0 or later",
                "`Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr`",
            ],
            used: "cipher: aes256-gcm@openssh.com"
        ),
        Hardening(
            description: "chacha20-poly1305 only",
            options: ["Ciphers chacha20-poly1305@openssh.com"],
            leastVersion: withChaCha20,
            offer: "no cipher algorithm in common: the server offers chacha20-poly1305@openssh.com;",
            remedies: ["use libssh2 1.11.1 or later, which has chacha20-poly1305@openssh.com", "`Ciphers chacha20-"],
            used: "cipher: chacha20-poly1305@openssh.com"
        ),
        Hardening(
            description: "chacha20-poly1305 with encrypt-then-mac",
            options: ["Ciphers chacha20-poly1305@openssh.com", "MACs hmac-sha2-256-etm@openssh.com"],
            leastVersion: withChaCha20,
            offer: "And no MAC algorithm in common: the server offers hmac-sha2-256-etm@openssh.com;",
            remedies: ["use libssh2 1.11.1 or later", "; set `MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512,"],
            used: "cipher: chacha20-poly1305@openssh.com"
        ),
        Hardening(
            description: "an RSA host key with SHA-2 only",
            options: ["HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256"],
            hostKeys: ["rsa"],
            leastVersion: withSHA2,
            offer: "no host key algorithm in common: the server offers rsa-sha2-512,rsa-sha2-256;",
            remedies: [
                "use libssh2 1.11.0 or later",
                "`ssh-keygen -A`, and `HostKey /etc/ssh/ssh_host_ed25519_key` in its sshd_config",
            ],
            used: "host key algorithm: rsa-sha2-512"
        ),
        Hardening(
            description: "a post-quantum key exchange only",
            options: ["KexAlgorithms sntrup761x25519-sha512@openssh.com"],
            offer: "no key exchange algorithm in common: the server offers sntrup761x25519-sha512@openssh.com;",
            remedies: [
                "no libssh2 has what it offers",
                "`KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,ecdh-sha2-nistp521`",
            ]
        ),
        Hardening(
            description: "host certificates only",
            options: [
                "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com", "HostCertificate DIRECTORY/host_ed25519-cert.pub",
            ],
            hostKeys: ["ed25519"],
            offer: "no host key algorithm in common: the server offers ssh-ed25519-cert-v01@openssh.com;",
            remedies: ["no libssh2 has what it offers", "with ssh-ed25519 among HostKeyAlgorithms"]
        ),
        Hardening(
            description: "a host key on a security key only",
            options: [
                "HostKeyAlgorithms sk-ssh-ed25519@openssh.com", "HostKeyAgent DIRECTORY/agent",
                "HostKey DIRECTORY/sk.pub",
            ],
            offer: "no host key algorithm in common: the server offers sk-ssh-ed25519@openssh.com;",
            remedies: ["no libssh2 has what it offers"]
        ),
    ]

    /// A certificate of the host's key, and a host key whose private half would be on a token, beside an agent.
    private static let setup = """
        ssh-keygen -q -t ed25519 -N '' -C ca -f ca
        [ ! -e host_ed25519 ] || ssh-keygen -q -s ca -h -I host host_ed25519.pub 2>/dev/null
        { printf '\\0\\0\\0\\032sk-ssh-ed25519@openssh.com\\0\\0\\0\\040'; head -c 32 /dev/urandom; printf '\\0\\0\\0\\4ssh:'; } >blob
        echo "sk-ssh-ed25519@openssh.com $(base64 -w 0 blob)" >sk.pub
        (eval "$(ssh-agent -s -a "$PWD/agent")"; echo $SSH_AGENT_PID >agent.pid) >/dev/null 2>&1
        """

    private func with(
        _ hardening: Hardening,
        _ release: SSHServerRelease = .installed,
        _ body: (SSHServerFixture) async throws -> Void
    ) async throws {
        try await SSHServerFixture.with(
            hardening.options + ["LogLevel DEBUG2"],
            release: release,
            hostKeys: hardening.hostKeys,
            setup: Self.setup
        ) { server in
            defer {
                let agent = server.read("agent.pid").trimmingCharacters(in: .whitespacesAndNewlines)
                if let pid = Int32(agent), pid > 1 { kill(pid, SIGKILL) }
            }
            try await body(server)
        }
    }

    private func verify(_ hardening: Hardening, _ server: SSHServerFixture) async throws {
        let started = ContinuousClock.now
        if let version = hardening.leastVersion, SessionHandle.isLibrary(atLeast: version) {
            #expect(try await Script.output(try server.host(), "echo in") == "in\n")
            #expect(server.log.contains(hardening.used), "\(server.log)")
            return
        }
        let error = try #require(await Script.failure(try server.host()))
        #expect(ContinuousClock.now - started < .seconds(5))
        #expect(error.code == .unreachable)
        #expect(error.message.contains(hardening.offer), "\(error)")
        #expect(error.message.contains("libssh2 \(SessionHandle.libssh2Version) has "), "\(error)")
        for remedy in hardening.remedies { #expect(error.remedy?.contains(remedy) == true, "\(error)") }
        #expect(!error.description.contains("\n"))
    }

    @Test(arguments: hardenings)
    func `what libssh2 lacks is named with what to do, and what it has is used`(_ hardening: Hardening) async throws {
        try await with(hardening) { try await verify(hardening, $0) }
    }

    @Test(
        .enabled(if: !SSHServerRelease.fetched.isEmpty, "scripts/fetch-ssh has not been run"),
        arguments: SSHServerRelease.fetched
    )
    func `it is the same with a server of another release`(_ release: SSHServerRelease) async throws {
        for hardening in Self.hardenings where release.version != "8.4" || !hardening.options[0].contains("sntrup") {
            try await with(hardening, release) { try await verify(hardening, $0) }
        }
    }

    @Test(.enabled(if: SSHServerRelease.release("10.0") != nil, "scripts/fetch-ssh has not been run"))
    func `OpenSSH 10 with ML-KEM only is told what to allow`() async throws {
        let hardening = Hardening(
            description: "ML-KEM only",
            options: ["KexAlgorithms mlkem768x25519-sha256"],
            offer: "no key exchange algorithm in common: the server offers mlkem768x25519-sha256;",
            remedies: ["no libssh2 has what it offers", "`KexAlgorithms mlkem768x25519-sha256,curve25519-sha256,"]
        )
        try await with(hardening, try #require(SSHServerRelease.release("10.0"))) { try await verify(hardening, $0) }
    }

    @Test func `what the SSH configuration leaves out is not put down to the library`() async throws {
        try await SSHServerFixture.with(["Ciphers aes256-ctr"]) { server in
            let error = await Script.failure(try server.host { $0.algorithms.ciphers = ["aes128-ctr"] })
            #expect(error?.code == .unreachable)
            #expect(
                error?.message.contains("the SSH configuration allows aes128-ctr only") == true,
                "\(String(describing: error))"
            )
            #expect(error?.remedy == "allow aes256-ctr in Ciphers of the SSH configuration")
        }
    }

    /// `scripts/test-libssh2` says which one.
    @Test func `the library that is loaded is the one that is to be tested`() {
        guard let wanted = ProcessInfo.processInfo.environment["PAWL_TESTED_LIBSSH2"] else { return }
        #expect(SessionHandle.libssh2Version == wanted)
    }

    // MARK: - Users' keys

    @Test(arguments: SSHServerRelease.all)
    func `an RSA key lets in, or is named with what to do`(_ release: SSHServerRelease) async throws {
        try await SSHServerFixture.with(release: release, setup: Self.rsaUser) { server in
            let host = try server.host { $0.privateKeyFiles = [server.path("user_rsa")] }
            // Signatures with SHA-1 are off since OpenSSH 8.8.
            if SessionHandle.signsRSAWithSHA2 || release.version == "8.4" {
                #expect(try await Script.output(host, "echo in") == "in\n")
                return
            }
            let error = try #require(await Script.failure(host))
            #expect(error.code == .authentication)
            #expect(error.message.contains("libssh2 \(SessionHandle.libssh2Version) cannot sign RSA with SHA-2"))
            #expect(error.message.contains("use an ed25519 or ecdsa key, or libssh2 1.11 or later"), "\(error)")
            #expect(!error.description.contains("\n"))
        }
    }

    @Test(.enabled(if: SessionHandle.signsRSAWithSHA2, "libssh2 before 1.11 signs RSA with SHA-1 only"))
    func `an RSA key in the agent signs with SHA-2`() async throws {
        try await SSHServerFixture.with(["PubkeyAcceptedAlgorithms rsa-sha2-512"], setup: Self.rsaUser) { server in
            try await SSHServerFixture.sh(
                "cd \(server.directory); eval \"$(ssh-agent -s -a $PWD/agent)\" >/dev/null; "
                    + "echo $SSH_AGENT_PID >agent.pid; ssh-add -q user_rsa 2>&1"
            )
            defer {
                let agent = server.read("agent.pid").trimmingCharacters(in: .whitespacesAndNewlines)
                if let pid = Int32(agent), pid > 1 { kill(pid, SIGKILL) }
            }
            let host = try server.host {
                $0.privateKeyFiles = []
                $0.useAgent = true
                $0.agentSocket = server.path("agent")
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
        }
    }

    @Test(arguments: ["ecdsa", "ed25519", "rsa"])
    func `a certificate lets in, or is named with what to do`(_ type: String) async throws {
        let setup = """
            ssh-keygen -q -t ed25519 -N '' -C ca -f ca
            ssh-keygen -q -t \(type) -N '' -C certified -f certified
            ssh-keygen -q -s ca -I somebody -n \(NSUserName()) certified.pub 2>/dev/null
            { printf 'cert-authority '; cat ca.pub; } >authorized_keys
            """
        try await SSHServerFixture.with(setup: setup) { server in
            let host = try server.host { $0.privateKeyFiles = [server.path("certified")] }
            if type == "ecdsa"
                || SessionHandle.isLibrary(atLeast: type == "rsa" ? Self.withChaCha20 : Self.withSHA2)
            {
                #expect(try await Script.output(host, "echo in") == "in\n")
                #expect(server.log.contains("-CERT"))
                return
            }
            let error = try #require(await Script.failure(host))
            #expect(error.code == .authentication)
            #expect(
                error.message.contains("libssh2 \(SessionHandle.libssh2Version) takes those of ecdsa keys only"),
                "\(error)"
            )
        }
    }

    private static let rsaUser = """
        ssh-keygen -q -t rsa -b 2048 -N '' -C rsa -f user_rsa
        cat user_rsa.pub >>authorized_keys
        """
}
