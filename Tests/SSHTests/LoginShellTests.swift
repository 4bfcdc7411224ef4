// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote
import SSH
import Testing

/// Login shells of all kinds, and what their start-up files do, behind a real sshd.
@Suite(
    "Login shells",
    .serialized,
    needsServer,
    .enabled(if: SSHServerFixture.isRoot, "making users on this machine takes root"),
    .timeLimit(.minutes(2))
)
struct LoginShellTests {
    /// A shell, the start-up file that it reads for each command, and what is in it.
    struct Shell: Sendable, CustomTestStringConvertible {
        var path: String
        var file: String?
        var text = ""
        var testDescription: String { ([path] + [file].compactMap(\.self)).joined(separator: ", ") }

        static let noise =
            "printf 'Welcome.\\nPassword: '\nprintf 'warning: \\033[1mnoise\\033[0m\\nSecret code?' >&2\n"
        static let all = [
            Shell(path: "/bin/sh"), Shell(path: "/bin/bash"), Shell(path: "/usr/bin/fish"),
            Shell(path: "/usr/bin/tcsh"), Shell(path: "/bin/bash", file: ".bashrc", text: noise),
            Shell(path: "/usr/bin/fish", file: ".config/fish/config.fish", text: noise),
            Shell(path: "/usr/bin/tcsh", file: ".tcshrc", text: "echo Welcome.; echo -n 'Password: '\n"),
        ].filter { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    private func with(
        _ shell: Shell,
        sudo: [String] = [],
        options: [String] = [],
        _ body: (_ server: SSHServerFixture, _ user: TestUser) async throws -> Void
    ) async throws {
        try await TestUser.with(shell: shell.path, sudo: sudo) { user in
            try await SSHServerFixture.with(options) { server in
                if let file = shell.file {
                    try await SSHServerFixture.sh("mkdir -p \"$(dirname '\(server.path("home/\(file)"))')\"")
                    try server.write("home/\(file)", shell.text)
                }
                try await SSHServerFixture.sh("chown -R \(user.name) '\(server.path("home"))'")
                try await body(server, user)
            }
        }
    }

    /// A host that gives up on a shell early.
    private func host(_ server: SSHServerFixture, _ user: TestUser) throws -> SSHHost {
        var endpoint = server.endpoint()
        endpoint.user = user.name
        endpoint.become = BecomeSettings(password: Secret(TestUser.password))
        var limits = SSHLimits()
        limits.shellStart = .seconds(2)
        return try SSHHost(endpoint, limits: limits)
    }

    @Test(arguments: Shell.all)
    func `whatever the login shell is and prints, a command's own bytes come back`(_ shell: Shell) async throws {
        try await with(shell, sudo: ["USER ALL=(ALL:ALL) ALL"]) { server, user in
            var endpoint = server.endpoint()
            endpoint.user = user.name
            endpoint.become = BecomeSettings(password: Secret(TestUser.password))
            let host = try SSHHost(endpoint)
            for host in [host, host.elevated(as: "root")] as [any RemoteHost] {
                // The first, one whose shell is started beside it, and one with input.
                for input in ["", "", "it's \\ in ! ü"] {
                    let result = try await host.run(
                        RemoteCommand(
                            "look",
                            script: "cat; printf 'out\\0\\377'; printf err >&2; exit 3",
                            standardInput: Array(input.utf8),
                            effect: .readOnly,
                            timeout: .seconds(20)
                        )
                    )
                    #expect(result.exitCode == 3)
                    #expect(result.standardOutput == Array(input.utf8) + Array("out".utf8) + [0, 255])
                    #expect(result.errorOutput == "err")
                }
            }
        }
    }

    @Test(arguments: [("/bin/rbash", "restricted"), ("/usr/sbin/nologin", "not available")])
    func `a shell that runs no commands is told as one`(_ shell: String, words: String) async throws {
        try await with(Shell(path: shell)) { server, user in
            let error = await Script.failure(try host(server, user))
            #expect(error?.code == .shell)
            #expect(error?.isNotBegun == true)
            #expect(error?.message.contains("the login shell of \(user.name) does not run commands") == true)
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
            #expect(error?.remedy?.contains("chsh") == true)
        }
    }

    @Test func `a start-up file that ends the shell is named`() async throws {
        try await with(Shell(path: "/bin/bash", file: ".bashrc", text: "exit 3\n")) { server, user in
            let error = await Script.failure(try host(server, user), "echo ran >\(server.path("ran"))")
            #expect(error?.code == .shell)
            #expect(error?.isNotBegun == true)
            #expect(error?.remedy?.contains("~/.bashrc") == true, "\(String(describing: error))")
            #expect(server.read("ran").isEmpty)
        }
    }

    @Test(arguments: [true, false])
    func `a command that the server forces is told as one`(_ isOfKey: Bool) async throws {
        let options = isOfKey ? [] : ["ForceCommand echo only this"]
        try await with(Shell(path: "/bin/sh"), options: options) { server, user in
            if isOfKey {
                try server.write(
                    "authorized_keys",
                    "command=\"echo only this\",restrict " + server.read("user_ed25519.pub")
                )
            }
            let error = await Script.failure(try host(server, user), "echo ran >\(server.path("ran"))")
            #expect(error?.code == .shell)
            #expect(error?.isNotBegun == true)
            #expect(error?.message.contains("only this") == true, "\(String(describing: error))")
            #expect(error?.remedy?.contains("ForceCommand") == true)
            #expect(server.read("ran").isEmpty)
        }
    }

    @Test(arguments: ["", "printf 'Which project? '\nread -r project\n"])
    func `start-up files that wait are named, and what was given up never begins`(_ question: String) async throws {
        // Waits until it is let go, as for a file system, or for an answer.
        let shell = Shell(
            path: "/bin/bash",
            file: ".bashrc",
            text: question + "until [ -e $HOME/go ]; do sleep 0.05; done\n"
        )
        try await with(shell) { server, user in
            let host = try host(server, user)
            let started = ContinuousClock.now
            try await SSHServerFixture.sh("chmod 777 '\(server.directory)'")
            let error = await Script.failure(host, "echo ran >\(server.path("ran"))")
            #expect(ContinuousClock.now - started < .seconds(10))
            #expect(error?.code == .shell)
            #expect(error?.isNotBegun == true)
            #expect(error?.message.contains("the login shell of \(user.name)") == true, "\(String(describing: error))")
            #expect(error?.message.contains(question.isEmpty ? "said nothing" : "Which project?") == true)
            #expect(error?.remedy?.contains("start-up files") == true)
            // Let go, the shell comes to its end, and nothing has run.
            try await SSHServerFixture.sh(
                """
                touch '\(server.path("home/go"))'
                n=0; while ps -o pid= -U \(user.name) | grep -q .; do
                n=$((n + 1)); [ $n -lt 300 ] || exit 1; sleep 0.05; done
                """
            )
            #expect(server.read("ran").isEmpty)
        }
    }
}
