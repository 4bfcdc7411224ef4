// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote
import Testing

@testable import SSH

/// Getting in by a password that the server asks for, with and without PAM.
@Suite(
    "Getting in by password",
    .serialized,
    needsServer,
    .enabled(if: SSHServerFixture.isRoot, "making users on this machine takes root"),
    .timeLimit(.minutes(2))
)
struct PasswordTests {
    private static let plain = ["PasswordAuthentication yes"]
    private static let pam = ["UsePAM yes", "PasswordAuthentication yes"]
    private static let questions = ["UsePAM yes", "KbdInteractiveAuthentication yes"]

    private static let both = questions + ["PasswordAuthentication yes"]

    private func with(
        _ options: [String],
        _ body: (_ server: SSHServerFixture, _ user: TestUser) async throws -> Void
    ) async throws {
        try await TestUser.with { user in
            try await SSHServerFixture.with(options) { server in try await body(server, user) }
        }
    }

    private func host(
        _ server: SSHServerFixture,
        _ user: TestUser,
        password: String?,
        _ methods: [SSHEndpoint.AuthenticationMethod] = SSHEndpoint.AuthenticationMethod.allCases
    ) throws -> SSHHost {
        try server.host {
            $0.user = user.name
            $0.privateKeyFiles = [server.path("stranger")]
            $0.password = password.map { Secret($0) }
            $0.methods = methods
        }
    }

    @Test(arguments: [plain, pam, questions, both])
    func `a password lets in, whatever way the server asks for it`(_ options: [String]) async throws {
        try await with(options) { server, user in
            let host = try host(server, user, password: TestUser.password)
            #expect(try await Script.output(host, "id -un") == user.name + "\n")
            await host.close()
            #expect(try await Script.output(host, "id -un") == user.name + "\n")
            #expect(server.log.contains("Failed publickey") || server.log.contains("Accepted"))
        }
    }

    @Test(arguments: [plain, pam, questions, both])
    func `a wrong password is told once, and is in no message`(_ options: [String]) async throws {
        try await with(options) { server, user in
            let error = await Script.failure(try host(server, user, password: "not this one"))
            #expect(error?.code == .authentication)
            #expect(error?.isNotBegun == true)
            #expect(error?.message.contains("not this one") == false)
            #expect(error?.message.contains("password") == true)
            let tries = server.log.split(whereSeparator: \.isNewline).count {
                $0.contains("Failed password") || $0.contains("Failed keyboard-interactive/pam for")
            }
            #expect(tries == 1, "\(server.log)")
        }
    }

    @Test func `a password that was not taken is not told again by another connection`() async throws {
        try await with(Self.plain) { server, user in
            let host = try host(server, user, password: "not this one")
            #expect(await Script.failure(host)?.code == .authentication)
            let error = await Script.failure(host)
            #expect(error?.message.contains("was refused before") == true, "\(String(describing: error))")
            #expect(server.log.split(whereSeparator: \.isNewline).count { $0.contains("Failed password") } == 1)
        }
    }

    @Test func `a server that shows another key than the one on record is told no password`() async throws {
        try await with(Self.both) { server, user in
            let stranger = server.read("stranger.pub").split(separator: " ").prefix(2).joined(separator: " ")
            try server.write("known_hosts", "\(server.recordName) \(stranger)\n")
            var host = try server.host {
                $0.user = user.name
                $0.privateKeyFiles = [server.path("stranger")]
                $0.password = Secret(TestUser.password)
                $0.hostKeyPolicy = .off
            }
            let error = await Script.failure(host)
            #expect(error?.message.contains("not told the password") == true, "\(String(describing: error))")
            #expect(!server.log.contains("Accepted"))
            // A key proves nothing to whoever is in between that is of use elsewhere.
            host = try server.host { $0.hostKeyPolicy = .off }
            #expect(try await Script.output(host, "echo in") == "in\n")
        }
    }

    @Test func `a way that the server does not take is passed over, and its question answered`() async throws {
        try await with(Self.questions + ["PasswordAuthentication no"]) { server, user in
            let host = try host(server, user, password: TestUser.password, [.password, .keyboardInteractive])
            #expect(try await Script.output(host, "echo in") == "in\n")
        }
    }

    @Test func `a key that is taken comes first, and the password stays here`() async throws {
        try await with(Self.pam) { server, user in
            let host = try server.host {
                $0.user = user.name
                $0.password = Secret("not this one")
            }
            #expect(try await Script.output(host, "id -un") == user.name + "\n")
            #expect(!server.log.contains("Failed password"))
        }
    }

    @Test func `with PubkeyAuthentication no, no key is tried`() async throws {
        try await with(Self.plain) { server, user in
            let host = try host(server, user, password: TestUser.password, [.keyboardInteractive, .password])
            #expect(try await Script.output(host, "echo in") == "in\n")
            #expect(!server.log.contains("publickey"))
        }
    }

    @Test func `a key and a password together get through a server that wants both`() async throws {
        try await with(Self.plain + ["AuthenticationMethods publickey,password"]) { server, user in
            let host = try server.host {
                $0.user = user.name
                $0.password = Secret(TestUser.password)
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
        }
    }

    @Test(arguments: [plain, questions])
    func `a password that must be changed is told as one`(_ options: [String]) async throws {
        try await with(options) { server, user in
            try await SSHServerFixture.sh("chage -d 0 \(user.name)")
            let error = await Script.failure(try host(server, user, password: TestUser.password))
            #expect(error?.isNotBegun == true)
            #expect(error?.message.lowercased().contains("password") == true, "\(String(describing: error))")
            #expect(
                ["urrent password", "change required", "expired"].contains { error?.message.contains($0) == true },
                "\(String(describing: error))"
            )
            #expect(error?.remedy?.contains("change the password") == true, "\(String(describing: error))")
            #expect(error?.description.contains("\n") == false)
        }
    }

    /// PAM's account management says no after the key was accepted, and sshd hangs up.
    @Test func `an account that has expired is not put down to the number of keys`() async throws {
        try await with(["UsePAM yes"]) { server, user in
            try await SSHServerFixture.sh("usermod -e 1970-01-02 \(user.name)")
            func error(_ keys: [String]) async throws -> RemoteError? {
                await Script.failure(
                    try server.host {
                        $0.user = user.name
                        $0.privateKeyFiles = keys.map(server.path)
                    }
                )
            }
            let one = try await error(["user_ed25519"])
            #expect(one?.code == .authentication)
            #expect(
                one?.message.contains("with key \(server.path("user_ed25519")) in hand") == true,
                "\(String(describing: one))"
            )
            #expect(one?.message.contains("Waiting for") == false)
            #expect(one?.remedy?.contains("expired or locked") == true)
            #expect(one?.remedy?.contains("MaxAuthTries") == false)
            let second = try await error(["stranger", "user_ed25519"])
            #expect(second?.remedy?.hasPrefix("name the one right key") == true, "\(String(describing: second))")
            #expect(second?.remedy?.contains("expired or locked") == true)
        }
    }

    @Test func `a password that has expired is told as one to whom a key let in`() async throws {
        try await with(["UsePAM yes"]) { server, user in
            try await SSHServerFixture.sh("chage -d 0 \(user.name)")
            let error = await Script.failure(try server.host { $0.user = user.name })
            #expect(error?.code == .authentication)
            #expect(error?.isNotBegun == true)
            #expect(
                error?.message.contains("the password of \(user.name) has expired") == true,
                "\(String(describing: error))"
            )
            #expect(error?.remedy?.contains("passwd \(user.name)") == true)
            #expect(error?.remedy?.contains("chsh") == false)
        }
    }

    @Test func `without a password that is what is said`() async throws {
        try await with(Self.plain) { server, user in
            let error = await Script.failure(try host(server, user, password: nil))
            #expect(error?.code == .authentication)
            #expect(error?.message.contains("no password was given") == true)
            #expect(error?.remedy?.contains("--connection-password-file") == true)
        }
    }

    @Test(arguments: [
        (["Password: "], ["secret"], [String]()), (["user@node's password:"], ["secret"], []),
        (["Verification code: "], [""], ["Verification code:"]),
        (["One-time password (OATH) for `joe': "], [""], ["One-time password (OATH) for `joe':"]),
        (["Password for token: "], ["secret"], []), (["Enter PASSCODE: "], [""], ["Enter PASSCODE:"]),
        (["New password: "], [""], ["New password:"]),
        (["Password: ", "Code: "], ["", ""], ["Password:", "Code:"]), ([], [], []),
    ])
    func `one question for a password is answered, and no other`(
        questions: [String],
        expected: [String],
        others: [String]
    ) {
        let answers = PasswordAnswers(Secret("secret"))
        #expect(answers.answers(to: questions) == expected)
        #expect(answers.otherQuestions == others)
        // Asked again, it is another question, too.
        if answers.isTold { #expect(answers.answers(to: questions) == [""]) }
    }
}
