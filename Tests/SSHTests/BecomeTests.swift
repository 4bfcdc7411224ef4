// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote
import SSH
import TestSupport
import Testing

private func isThere(_ programs: String...) -> Bool {
    programs.allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }
}

/// Becoming another user by programs that ask, as they are installed on this machine.
@Suite(
    "Becoming another user",
    .serialized,
    needsServer,
    .enabled(if: SSHServerFixture.isRoot, "making users on this machine takes root"),
    .enabled(
        if: isThere("/usr/bin/sudo", "/usr/bin/doas", "/usr/bin/su", "/usr/bin/script"),
        "one of sudo, doas, su, script is not installed"
    ),
    .timeLimit(.minutes(2))
)
struct BecomeTests {
    /// A way to become root, and the rules that it takes.
    struct Way: Sendable, CustomTestStringConvertible {
        var method: BecomeSettings.Method
        var sudo: [String] = []
        var doas: [String] = []
        var testDescription: String { ([method.rawValue] + sudo + doas).joined(separator: ", ") }

        static let asking = [
            Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) ALL"]),
            Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) ALL", "Defaults:USER requiretty"]),
            Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) ALL", "Defaults:USER requiretty, use_pty"]),
            Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) ALL", "Defaults:USER targetpw"]),
            Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) ALL", "Defaults:USER passprompt=\"Speak, %u:\""]),
            Way(method: .su),
            Way(method: .doas, doas: ["permit USER as TARGET"]),
        ]
        static let silent = [
            Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) NOPASSWD: ALL"]),
            Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) NOPASSWD: ALL", "Defaults:USER requiretty"]),
            Way(method: .doas, doas: ["permit nopass USER as TARGET"]),
        ]
    }

    /// Two users and a server: the one logs in, the other is become.
    ///
    /// Both have the same password, so that it is the right one whomever a program asks for.
    private func with(
        _ way: Way,
        _ body: (_ server: SSHServerFixture, _ login: TestUser, _ target: TestUser) async throws -> Void
    ) async throws {
        try await TestUser.with { target in
            let doas = way.doas.map { $0.replacing("TARGET", with: target.name) }
            try await TestUser.with(sudo: way.sudo, doas: doas) { login in
                try await SSHServerFixture.with { server in try await body(server, login, target) }
            }
        }
    }

    private func host(
        _ server: SSHServerFixture,
        _ login: TestUser,
        _ target: TestUser,
        _ way: Way,
        password: String? = TestUser.password
    ) throws -> SSHHost {
        try server.host {
            $0.user = login.name
            $0.becomeUser = target.name
            $0.become = BecomeSettings(method: way.method, password: password.map { Secret($0) })
        }
    }

    @Test(arguments: Way.asking + Way.silent)
    func `a host that is become with a password keeps the promises`(_ way: Way) async throws {
        try await with(way) { server, login, target in
            let host = try host(server, login, target, way)
            #expect(try await Script.output(host, "id -un; pwd >/dev/null; echo $HOME") == "\(target.name)\n/\n")
            // Those that are cheap: each command is a check of a password, which takes its time.
            let dear = ["20 commands", "exit codes 0 to 255", "over its time"]
            for promise in HostPromise.ofCommands where !dear.contains(where: promise.description.contains) {
                try await promise.verify(host)
            }
        }
    }

    @Test(arguments: Way.silent)
    func `without a password, a rule that asks for none lets in`(_ way: Way) async throws {
        try await with(way) { server, login, target in
            let host = try host(server, login, target, way, password: nil)
            #expect(try await Script.output(host, "cat", input: "in") == "in")
        }
    }

    @Test(arguments: Way.asking)
    func `a wrong password is told as one, once, and nothing is begun`(_ way: Way) async throws {
        try await with(way) { server, login, target in
            let host = try host(server, login, target, way, password: "not it")
            let started = ContinuousClock.now
            let error = await Script.failure(host, "echo ran >\(server.path("ran"))")
            #expect(error?.code == .become)
            #expect(error?.isNotBegun == true)
            #expect(error?.message.contains("did not take the password of") == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("not it") == false)
            if way.method == .sudo { #expect(error?.message.contains("1 incorrect password attempt") == true) }
            // One was, and it was wrong.
            #expect(error?.message.contains("no password was provided") == false, "\(error?.message ?? "")")
            let isTargets = way.method == .su || way.sudo.contains { $0.contains("targetpw") }
            #expect(
                error?.message.contains("password of \(isTargets ? target.name : login.name)") == true,
                "\(error?.message ?? "")"
            )
            if way.method == .sudo {
                #expect(error?.remedy?.contains("targetpw") == isTargets, "\(error?.remedy ?? "")")
            }
            #expect(ContinuousClock.now - started < .seconds(15))
            #expect(server.read("ran").isEmpty)
        }
    }

    @Test(arguments: Way.asking)
    func `a password that nobody gave is asked of the operator`(_ way: Way) async throws {
        try await with(way) { server, login, target in
            let error = await Script.failure(
                try host(server, login, target, way, password: nil),
                "echo ran >\(server.path("ran"))"
            )
            #expect(error?.code == .become)
            #expect(error?.message.contains("asks for the password of") == true, "\(error?.message ?? "")")
            #expect(error?.remedy?.contains("--become-password-file") == true)
            #expect(server.read("ran").isEmpty)
        }
    }

    @Test(arguments: [
        Way(method: .sudo), Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) /bin/ls"]),
        Way(method: .doas, doas: ["permit nobody as TARGET"]),
    ])
    func `whoever has no rule is told so`(_ way: Way) async throws {
        try await with(way) { server, login, target in
            let error = await Script.failure(try host(server, login, target, way))
            #expect(error?.code == .become)
            #expect(error?.remedy?.contains("a rule on the node") == true, "\(String(describing: error))")
        }
    }

    @Test func `a user that is not there, and programs that are not, are named`() async throws {
        let way = Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) NOPASSWD: ALL", "Defaults:USER requiretty"])
        try await with(way) { server, login, target in
            func failure(_ change: (inout SSHEndpoint) -> Void) async throws -> RemoteError? {
                let host = try server.host {
                    $0.user = login.name
                    $0.becomeUser = target.name
                    change(&$0)
                }
                return await Script.failure(host)
            }
            let noUser = try await failure { $0.becomeUser = "nobody-here" }
            #expect(
                noUser?.code == .become && noUser?.message.contains("no such user") == true,
                "\(String(describing: noUser))"
            )
            for method in BecomeSettings.Method.allCases {
                let error = try await failure {
                    $0.become = BecomeSettings(method: method, program: "/nowhere/\(method)", password: Secret("x"))
                }
                #expect(error?.code == .become)
                #expect(error?.message.contains("is not installed") == true, "\(String(describing: error))")
            }
        }
    }

    @Test func `a node without script tells what a terminal takes`() async throws {
        let way = Way(method: .sudo, sudo: ["USER ALL=(ALL:ALL) ALL", "Defaults:USER requiretty"])
        try await with(way) { server, login, target in
            try await SSHServerFixture.sh(
                "cd \(server.directory); mkdir bin; for p in sudo id; do ln -s /usr/bin/$p bin/$p; done"
            )
            try await SSHServerFixture.with(["SetEnv PATH=\(server.path("bin")) HOME=/"]) { bare in
                let error = await Script.failure(try host(bare, login, target, way))
                #expect(error?.code == .become)
                #expect(error?.message.contains("no script(1)") == true, "\(String(describing: error))")
            }
        }
    }

    @Test func `another question than for a password is shown and not answered`() async throws {
        try await with(Way(method: .sudo)) { server, login, target in
            let asking = server.path("sudo")
            try "#!/bin/sh\nprintf 'Verification code: ' >&2; read -r code; echo \"$code\" >'\(server.path("code"))'\n"
                .write(toFile: asking, atomically: true, encoding: .utf8)
            try await SSHServerFixture.sh("chmod 755 '\(asking)'")
            let host = try server.host {
                $0.user = login.name
                $0.becomeUser = target.name
                $0.become = BecomeSettings(program: asking, password: Secret(TestUser.password))
            }
            let started = ContinuousClock.now
            let error = await Script.failure(host)
            #expect(error?.code == .become)
            #expect(error?.message.contains("asks `Verification code:`") == true, "\(String(describing: error))")
            #expect(ContinuousClock.now - started < .seconds(10))
            #expect(!server.read("code").contains("pa$$"))
        }
    }

    @Test func `root becomes others where there is no sudo`() async throws {
        try await TestUser.with { target in
            try await SSHServerFixture.with { server in
                try await SSHServerFixture.sh(
                    "cd \(server.directory); mkdir bin; for p in su id cat dd; do ln -s /usr/bin/$p bin/$p; done"
                )
                try await SSHServerFixture.with(["SetEnv PATH=\(server.path("bin")) HOME=/"]) { bare in
                    let host = try bare.host { $0.becomeUser = target.name }
                    for input in ["", "in"] {
                        #expect(
                            try await Script.output(host, "/usr/bin/id -un; cat", input: input)
                                == "\(target.name)\n\(input)"
                        )
                    }
                }
            }
        }
    }

    /// Looks at every process and file that the command can be seen in, while it runs.
    @Test(arguments: Way.asking)
    func `the password is in no command line, no environment and no message on the node`(_ way: Way) async throws {
        try await with(way) { server, login, target in
            let host = try host(server, login, target, way)
            try await SSHServerFixture.sh("chmod 777 '\(server.directory)'")
            try server.write("needle", TestUser.password)
            async let output = Script.output(
                host,
                "echo there >\(server.path("there")); until [ -e \(server.path("go")) ]; do sleep 0.05; done; cat",
                input: "x"
            )
            try await server.awaitFile("there")
            // Something that is to be found shows that the search finds.
            let found = try await SSHServerFixture.sh(
                """
                cd '\(server.directory)'
                NEEDLE=$(cat needle) sleep 60 </dev/null >/dev/null 2>&1 & control=$!
                until [ "$(tr '\\0' ' ' </proc/$control/cmdline)" = 'sleep 60 ' ]; do sleep 0.02; done
                grep -laF -f needle /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -v "/$control/" >found
                grep -qaF -f needle /proc/$control/environ && echo control
                kill $control; cat found
                """
            )
            try server.write("go", "go")
            #expect(try await output == "x")
            #expect(found == "control\n")
            #expect(!server.log.contains(TestUser.password))
        }
    }
}
