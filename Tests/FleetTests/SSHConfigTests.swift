// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Synchronization
import Testing

/// The values themselves are compared with those of `ssh -G` by scripts/diff-ssh-config; here is what that does not print.
struct SSHConfigTests {
    /// An account on a machine of its own, whose files are in memory.
    private struct Machine {
        var files: [String: String] = [:]
        /// Files that somebody else may write to.
        var shared: Set<String> = []
        var folders: Set<String> = []
        var variables: [String: String] = [:]
        /// The exit codes of commands of `Match exec`; `nil` for one that was killed.
        var commands: [String: Int32?] = [:]

        func config(_ source: SSHConfig.Source = .usual) throws -> SSHConfig {
            let (files, shared, folders, commands) = (files, shared, folders, commands)
            return try SSHConfig(
                source,
                disk: SSHConfigDisk(
                    read: { path in
                        if folders.contains(path) { return .folder(isOwn: !shared.contains(path)) }
                        return files[path].map { .text($0, isOwn: !shared.contains(path)) } ?? .missing
                    },
                    glob: { pattern in
                        let path = pattern.hasPrefix("~/") ? "/accounts/op" + pattern.dropFirst() : pattern
                        guard path.hasSuffix("/*") else { return files[path] == nil ? [] : [path] }
                        return (Array(files.keys) + Array(folders)).filter { $0.hasPrefix(path.dropLast()) }.sorted()
                    }
                ),
                context: SSHConfigContext(
                    home: "/accounts/op",
                    user: "op",
                    userID: 1000,
                    hostName: "desk.example.com",
                    variables: variables,
                    homeOf: { $0 == "other" ? "/accounts/other" : nil },
                    execute: { command in
                        guard let status = commands[command] else {
                            Issue.record("nobody expected the command `\(command)`")
                            return nil
                        }
                        return status
                    }
                )
            )
        }

        func settings(_ host: String = "n1", user: String? = nil) throws -> SSHConfigSettings {
            try config().settings(for: ConnectionSettings(destination: host, user: user))
        }

        func problems(_ host: String = "n1") -> [String] {
            let error = #expect(throws: DiagnosticsError.self) { try settings(host) }
            return error?.diagnostics.map(\.description) ?? []
        }
    }

    private static let user = "/accounts/op/.ssh/config"
    private static let system = "/etc/ssh/ssh_config"

    @Test func `the user's file wins over the system's, and the inventory over both`() throws {
        let machine = Machine(files: [
            Self.user: "Host n1\n HostName 10.0.0.1\n User deploy\n Port 2201\n",
            Self.system: "Port 2202\nUser nobody\nConnectTimeout 7\nHashKnownHosts yes\n",
        ])
        let found = try machine.settings()
        #expect(found.hostName == "10.0.0.1" && found.user == "deploy" && found.port == 2201)
        #expect(found.connectTimeout == .seconds(7) && found.hashKnownHosts)
        let host = InventoryHost(
            name: "etcd-1",
            variables: [
                "ansible_host": .string("n1"), "ansible_port": .int(2200),
                "ansible_ssh_common_args": .string("-o ConnectTimeout=3"),
            ],
            location: SourceLocation(file: "hosts.yml", line: 1, column: 1)
        )
        let said = try machine.config().settings(for: ConnectionSettings(host: host))
        #expect(said.hostName == "10.0.0.1" && said.user == "deploy" && said.port == 2200)
        #expect(said.connectTimeout == .seconds(3))
    }

    @Test func `-F of the inventory and the option name the file that is read`() throws {
        let machine = Machine(files: [Self.user: "Port 1\n", "/project/ssh": "Port 2\n"])
        func port(_ source: SSHConfig.Source, _ arguments: String) throws -> Int {
            let host = InventoryHost(
                name: "n1",
                variables: ["ansible_ssh_common_args": .string(arguments)],
                location: SourceLocation(file: "hosts.yml", line: 1, column: 1)
            )
            return try machine.config(source).settings(for: ConnectionSettings(host: host)).port
        }
        #expect(try port(.usual, "") == 1)
        #expect(try port(.usual, "-F /project/ssh") == 2)
        #expect(try port(.usual, "-F none") == 22)
        #expect(try port(SSHConfig.Source("/project/ssh"), "") == 2)
        #expect(try port(SSHConfig.Source("None"), "") == 22)
        let error = #expect(throws: DiagnosticsError.self) { try machine.config(.file("/no/such")) }
        #expect(error?.description.contains("/no/such:1:1: error: there is no such SSH configuration") == true)
    }

    @Test func `tokens, homes and variables are put in where ssh does it`() throws {
        let machine = Machine(
            files: [
                Self.user: """
                Host n1
                    HostName %h.example.com
                    HostKeyAlias Cluster
                    IdentityFile ~/.ssh/%r@%n-%p
                    IdentityFile ~other/%u-%i-%L
                    CertificateFile ${CERTS}/%l.pub
                    IdentityAgent ${RUN}/agent
                    UserKnownHostsFile %d/%k /k/%C
                    ProxyCommand connect %h %p %r %n %k 100%% ~
                """
            ],
            variables: ["CERTS": "/certs", "RUN": "/run/user"]
        )
        let found = try machine.settings(user: "deploy")
        #expect(found.hostName == "n1.example.com" && found.hostKeyAlias == "cluster")
        #expect(found.identityFiles == ["/accounts/op/.ssh/deploy@n1-22", "/accounts/other/op-1000-desk"])
        #expect(found.certificateFiles == ["/certs/desk.example.com.pub"])
        #expect(found.agent == .socket("/run/user/agent"))
        // printf %s desk.example.comn1.example.com22deploy | sha1sum
        #expect(found.userKnownHostsFiles.first == "/accounts/op/cluster")
        #expect(found.userKnownHostsFiles.last?.count == 43)
        #expect(found.proxyCommand == "connect n1.example.com 22 deploy n1 cluster 100% ~")
    }

    @Test func `a hop is reached by another ssh, which asks nobody`() throws {
        let machine = Machine(files: [
            Self.user: """
            Host n1
                ProxyJump first@a:1,deploy@bastion:2222
            Host n2
                HostName 2001:db8::2
                ProxyJump [2001:db8::1]:2222
            Host n3
                ProxyJump "$(reboot)"
            """
        ])
        #expect(
            try machine.settings().proxyCommand
                == "ssh -o BatchMode=yes -l deploy -p 2222 -J first@a:1 -W '[n1]:22' -- bastion"
        )
        #expect(
            try machine.settings("n2").proxyCommand
                == "ssh -o BatchMode=yes -p 2222 -W '[2001:db8::2]:22' -- 2001:db8::1"
        )
        #expect(try machine.settings("n3").proxyCommand?.hasSuffix("-- '\"$(reboot)\"'") == true)
        let file = try Machine(files: ["/f": "ProxyJump b"]).config(.file("/f"))
        let named = try file.settings(for: ConnectionSettings(destination: "n1"))
        #expect(named.proxyCommand == "ssh -o BatchMode=yes -F /f -W '[n1]:22' -- b")
    }

    @Test func `a command of Match exec is asked once for all hosts, one that names them for each`() throws {
        let asked = Mutex<[String]>([])
        var context = SSHConfigContext(
            home: "/accounts/op",
            user: "op",
            userID: 1000,
            hostName: "desk",
            variables: [:],
            homeOf: { _ in nil },
            execute: { command in
                asked.withLock { $0.append(command) }
                return 0
            }
        ).remembering()
        context.hostName = "desk.example.com"
        let disk = SSHConfigDisk(
            read: { path in
                path == Self.user
                    ? .text("Match exec \"in-office\"\nPort 1\nMatch exec \"up %h\"\nUser me\n", isOwn: true) : .missing
            },
            glob: { _ in [] }
        )
        let config = try SSHConfig(.usual, disk: disk, context: context)
        for host in ["n1", "n2", "n1"] {
            #expect(try config.settings(for: ConnectionSettings(destination: host)).port == 1)
        }
        #expect(asked.withLock { $0 } == ["in-office", "up n1", "up n2"])
    }

    @Test func `commands of Match exec run when all before them holds, and only then`() throws {
        let machine = Machine(
            files: [
                Self.user: """
                Match host other exec "never run"
                    Port 1
                Host n1
                    User deploy
                Match user deploy exec "in-office %h %n %p %r %u" !exec "at-home"
                    Port 2
                Host other
                    Include more
                """,
                "/accounts/op/.ssh/more": "Match exec \"not run either\"\n Port 3\n",
            ],
            commands: ["in-office n1 n1 22 deploy op": 0, "at-home": 1]
        )
        #expect(try machine.settings().port == 2)
        var killed = machine
        killed.commands["at-home"] = .some(nil)
        #expect(
            killed.problems() == [
                "/accounts/op/.ssh/config:5:1: error: the command of Match exec did not exit by itself "
                    + "(run it by hand: at-home)"
            ]
        )
    }

    @Test(arguments: [
        "h;id", "$(id)", "`id`", "a|b", "a&b", "a>b", "a<b", "a(b", "a{b,c}", "a,b", "a\\b", "a'b", "a\"b", "-oPort=1",
        "a b", "a\tb", "a\nb", "a\u{1B}b", "a\u{A0}b",
    ])
    func `a host in whose name a shell would see more is refused before a line of a file counts`(host: String) {
        // A command that is run is an issue of its own here.
        let found = Machine(files: [Self.user: "Match exec \"up %h\"\n Port 1\n"]).problems(host)
        #expect(found.count == 1 && found.first?.hasPrefix("error: the host `") == true, "\(found)")
        #expect(found.first?.contains { $0.isNewline || $0 == "\u{1B}" } == false)
    }

    @Test(arguments: [
        "u;id", "u'", "`id`", "u\"", "u&", "u<x", "u>x", "u|id", "u(x", "{u", "-l", "u -oPort=1", "u\t-v", "u\u{7}",
        "u\\",
    ])
    func `a user in whose name a shell would see more is refused before a line of a file counts`(user: String) {
        let machine = Machine(files: [Self.user: "Match exec \"up %r\"\n Port 1\n"])
        let error = #expect(throws: DiagnosticsError.self) { try machine.settings(user: user) }
        #expect(error?.diagnostics.count == 1)
        #expect(error?.diagnostics.first?.summary.hasPrefix("the user `") == true)
    }

    @Test func `names that are odd and harmless are taken, and a file may name any user`() throws {
        let machine = Machine(files: [Self.user: "Host n1\n User u;id\n"])
        #expect(try machine.settings().user == "u;id")
        for user in ["CORP\\jo doe", "jo$", "a-b", "jo@corp.example"] {
            #expect(try machine.settings(user: user).user == user)
        }
        for host in ["n_1", "fe80::1%lo", "a@b", "*", "bücher.example"] {
            #expect(try machine.settings(host).host == host)
        }
    }

    @Test func `a file that others may write to is not followed`() {
        let mine = Machine(files: [Self.user: "Port 1\n"], shared: [Self.user])
        #expect(
            mine.problems().first?.hasPrefix("/accounts/op/.ssh/config:1:1: error: the file is not only its owner's")
                == true
        )
        let included = Machine(
            files: [Self.user: "Include more\n", "/accounts/op/.ssh/more": "Port 1\n"],
            shared: ["/accounts/op/.ssh/more"]
        )
        #expect(included.problems().first?.hasPrefix("/accounts/op/.ssh/more:1:1: error: ") == true)
    }

    @Test func `a directory that a pattern of Include matches is an empty file`() throws {
        var machine = Machine(
            files: [Self.user: "Include config.d/*\nPort 2\n", "/accounts/op/.ssh/config.d/b": "User deploy\n"],
            folders: ["/accounts/op/.ssh/config.d/a", "/accounts/op/.ssh/config.d/c"]
        )
        let found = try machine.settings()
        #expect(found.port == 2 && found.user == "deploy")
        machine.shared = ["/accounts/op/.ssh/config.d/a"]
        #expect(machine.problems().first?.hasPrefix("/accounts/op/.ssh/config.d/a:1:1: error: ") == true)
        let folder = Machine(folders: [Self.user])
        #expect(folder.problems().first?.hasPrefix("\(Self.user):1:1: error: is a directory") == true)
    }

    @Test func `the disk tells a directory from a file, and what others may write to`() throws {
        let folder = try TemporaryFolder(["config": "Port 1\n"])
        let file = folder.file("config")
        func look(_ path: String, _ mode: mode_t) -> SSHConfigDisk.Content {
            chmod(path, mode)
            return SSHConfigDisk.local.read(path)
        }
        guard case .folder(isOwn: true) = look(folder.path, 0o755),
            case .text("Port 1\n", isOwn: true) = look(file, 0o644)
        else {
            Issue.record("what is the user's alone is not taken for it")
            return
        }
        guard case .text(_, isOwn: false) = look(file, 0o646) else {
            Issue.record("what anybody may write to is followed")
            return
        }
    }

    @Test func `everything that is wrong is told at once, with its place`() {
        let machine = Machine(files: [
            Self.user: """
            Host other
                Prot 22
                StrictHostKeyChecking perhaps
                Port 22 23
                User "open
            Match colour red
                IdentitiesOnly maybe
            Include ~/a ''
            """,
            Self.system: "Include ~/x\n",
        ])
        #expect(
            machine.problems() == [
                "\(Self.user):3:27: error: StrictHostKeyChecking is `perhaps` (give one of yes, no, true, false, ask, off, "
                    + "accept-new)",
                "\(Self.user):4:13: error: Port takes one value, and `23` is one more (put a value with spaces between "
                    + "quotes)",
                "\(Self.user):5:10: error: a quote is opened and not closed (close it)",
                "\(Self.user):6:7: error: `colour` is no condition of Match (known are host, originalhost, user, localuser, "
                    + "exec, all, final, canonical)",
                "\(Self.user):7:20: error: IdentitiesOnly is `maybe` (give yes or no)",
                "\(Self.user):8:13: error: the path `` of Include is empty (write an absolute path)",
                "\(Self.system):1:9: error: the path `~/x` of Include is a user's, in a system's file (write an absolute "
                    + "path)",
                "\(Self.user):2:5: error: `prot` is no keyword of ssh_config (did you mean `Port`?)",
            ]
        )
    }

    @Test func `IgnoreUnknown counts from its line on, where it counts at all`() throws {
        #expect(try Machine(files: [Self.user: "IgnoreUnknown Fancy*\nFancyThing 1\n"]).settings().port == 22)
        #expect(Machine(files: [Self.user: "FancyThing 1\nIgnoreUnknown Fancy*\n"]).problems().count == 1)
        let other = Machine(files: [Self.user: "Host n2\nIgnoreUnknown Fancy*\nHost *\nFancyThing 1\n"])
        #expect(other.problems("n1").first?.hasPrefix("\(Self.user):4:1: error: `fancything` is no keyword") == true)
        #expect(try other.settings("n2").port == 22)
    }

    @Test func `a loop of includes ends`() {
        let machine = Machine(files: [Self.user: "Include config\n"])
        #expect(machine.problems().first?.contains("Include is nested deeper than 16 files") == true)
    }

    @Test func `lists of algorithms are those of ssh`() throws {
        let machine = Machine(files: [
            Self.user: "Ciphers ^aes256-ctr\nMACs -umac*,*etm*\nKexAlgorithms ^mlkem768x25519-sha256\n"
        ])
        let found = try machine.settings()
        #expect(found.ciphers?.prefix(2) == ["aes256-ctr", "chacha20-poly1305@openssh.com"])
        #expect(found.macs == ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha1"])
        // A name that OpenSSH 9.2 does not know may be one of a later version.
        #expect(found.kexAlgorithms?.prefix(2) == ["mlkem768x25519-sha256", "sntrup761x25519-sha512"])
        #expect(found.hostKeyAlgorithms == nil)
    }

    @Test func `types of host keys on record come first unless a list says which do`() throws {
        func prefersRecorded(_ list: String) throws -> Bool {
            try Machine(files: [Self.user: "HostKeyAlgorithms \(list)\n"]).settings().prefersRecordedHostKeys
        }
        #expect(try Machine().settings().prefersRecordedHostKeys)
        #expect(try prefersRecorded("+ssh-rsa") && prefersRecorded("-ssh-rsa"))
        #expect(try !prefersRecorded("^ssh-rsa") && !prefersRecorded("ssh-rsa,ssh-ed25519"))
    }

    @Test func `what ssh refuses on reading is refused for every host, with its place`() {
        func problem(_ line: String) -> String {
            Machine(files: [Self.user: "Host other\n \(line)\n"]).problems().first ?? ""
        }
        let place = "\(Self.user):2:"
        let whole = "(give a whole number from 0 to 2147483647)"
        #expect(problem("ServerAliveCountMax -1") == place + "22: error: ServerAliveCountMax is `-1` " + whole)
        #expect(problem("NumberOfPasswordPrompts 2147483648").hasSuffix(whole))
        #expect(problem("ConnectionAttempts 0").hasSuffix("(give a whole number from 1 to 2147483647)"))
        #expect(problem("ProxyJump a, b").hasPrefix(place + "12: error: ProxyJump `a, b` has white space in it"))
        #expect(problem("ProxyJump a b").contains("has white space in it"))
        #expect(problem("ProxyJump ssh://[2001:db8::1]").contains("is no hop of ProxyJump"))
        #expect(problem("IdentityAgent ${NOPE}/s").hasPrefix(place + "2: error: IdentityAgent ${NOPE}/s: "))
        #expect(problem("IdentityAgent $NO-PE").contains("this is no name of a variable"))
        #expect(problem("HostKeyAlgorithms +").contains("HostKeyAlgorithms names no algorithm"))
        #expect(problem("HostKeyAlgorithms +x*").contains("HostKeyAlgorithms `x*` matches no algorithm"))
        #expect(problem("Match host z exec \"x %z\"").contains("Match exec: the token `%z` is not known here"))
        #expect(problem("ProxyCommand = =").contains("ProxyCommand has no value"))
    }

    @Test func `a byte that is not of UTF-8 is told with its place, unless it stands in a comment`() throws {
        let folder = try TemporaryFolder()
        func problems(_ bytes: [UInt8]) throws -> [String] {
            try folder.write(Data(bytes), to: "config")
            let config = Result { try SSHConfig(.file(folder.file("config"))) }
            guard case .failure(let error as DiagnosticsError) = config else { return [] }
            return error.diagnostics.map { "\($0.location?.line ?? 0):\($0.location?.column ?? 0) \($0.summary)" }
        }
        let name: [UInt8] = Array("m".utf8) + [0xFC] + Array("ller".utf8)
        #expect(try problems(Array("Port 1\nUser ".utf8) + name) == ["2:6 User is not in UTF-8"])
        #expect(try problems(Array("ProxyCommand x # ".utf8) + name) == ["1:14 ProxyCommand is not in UTF-8"])
        #expect(try problems(Array("# ".utf8) + name + Array("\nPort 1 # ".utf8) + name).isEmpty)
        #expect(try problems(Array("User m\u{FC}ller\n".utf8)).isEmpty)
    }

    @Test func `the agent is the one that is named`() throws {
        func agent(_ value: String, _ variables: [String: String] = [:]) throws -> SSHConfigSettings.Agent {
            try Machine(files: [Self.user: "IdentityAgent \(value)\n"], variables: variables).settings().agent
        }
        #expect(try agent("none") == .none)
        #expect(try agent("SSH_AUTH_SOCK") == .usual)
        #expect(try agent("~/.agent") == .socket("/accounts/op/.agent"))
        #expect(try agent("$SOCK", ["SOCK": "/s"]) == .socket("/s"))
        #expect(try agent("$SOCK") == .none)
    }
}
