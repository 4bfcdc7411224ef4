// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Testing

struct ConnectionSettingsTests {
    /// What the variables come to where no SSH configuration is read.
    private func settings(_ variables: [String: Value]) throws -> SSHConfigSettings {
        try SSHConfig(.none).settings(for: connection(variables))
    }

    private func connection(_ variables: [String: Value]) throws -> ConnectionSettings {
        let place = SourceLocation(file: "hosts.yml", line: 1, column: 1)
        let places = Dictionary(
            uniqueKeysWithValues: variables.keys.sorted().enumerated().map {
                ($1, SourceLocation(file: "hosts.yml", line: 10 + $0, column: 5))
            }
        )
        return try ConnectionSettings(
            host: InventoryHost(name: "n1", variables: variables, location: place, variableLocations: places)
        )
    }

    private func problems(_ variables: [String: Value]) -> [String] {
        let error = #expect(throws: DiagnosticsError.self) { try settings(variables) }
        return error?.diagnostics.map(\.description) ?? []
    }

    @Test func `without variables a host is reached strictly, by its name and as the login user`() throws {
        let found = try settings([:])
        #expect(found.hostName == "n1" && found.port == 22 && found.user == NSUserName())
        #expect(found.hostKeyPolicy == .strict && found.connectTimeout == nil && found.agent == .usual)
        let home = SSHConfigContext.current.home
        #expect(found.userKnownHostsFiles == [home + "/.ssh/known_hosts", home + "/.ssh/known_hosts2"])
        #expect(found.globalKnownHostsFiles == ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"])
        #expect(found.identityFiles == nil && !found.identitiesOnly && found.proxyCommand == nil)
        #expect(try connection([:]).becomeUser == nil)
    }

    @Test func `variables say how a host is reached`() throws {
        let variables: [String: Value] = [
            "ansible_host": "10.0.0.1".value, "ansible_port": "2222".value, "ansible_user": "deploy".value,
            "ansible_ssh_private_key_file": "~/.ssh/key".value, "ansible_become": "yes".value,
        ]
        let found = try settings(variables)
        #expect(found.hostName == "10.0.0.1" && found.port == 2222 && found.user == "deploy")
        #expect(found.identityFiles == [SSHConfigContext.current.home + "/.ssh/key"])
        #expect(try connection(variables).becomeUser == "root")
        #expect(
            try connection(["ansible_become": .bool(true), "ansible_become_user": "etcd".value]).becomeUser == "etcd"
        )
        #expect(
            try connection(["ansible_become": .bool(false), "ansible_become_user": "etcd".value]).becomeUser == nil
        )
    }

    @Test func `a variable with nothing behind it is as if it were not set`() throws {
        let names = [
            "host", "port", "user", "private_key_file", "become", "become_user", "become_method", "connection",
        ]
        var variables = Dictionary(uniqueKeysWithValues: names.map { ("ansible_\($0)", Value.null) })
        variables["ansible_ssh_timeout"] = .null
        variables["ansible_ssh_common_args"] = .null
        #expect(try connection(variables) == connection([:]))
        let named: [String: Value] = ["ansible_host": "a".value, "ansible_port": .int(24), "ansible_user": "b".value]
        let long: [String: Value] = ["ansible_ssh_host": .null, "ansible_ssh_port": .null, "ansible_ssh_user": .null]
        let found = try settings(named.merging(long) { $1 })
        #expect(found.hostName == "a" && found.port == 24 && found.user == "b")
    }

    @Test func `an empty text means none where Ansible takes it, and is refused where Ansible fails`() throws {
        let names = ["ansible_user", "ansible_private_key_file", "ansible_become_user", "ansible_become_method"]
        let variables = Dictionary(uniqueKeysWithValues: names.map { ($0, "".value) })
        #expect(try connection(variables) == connection([:]))
        #expect(try settings(["ansible_user": "b".value, "ansible_ssh_user": "".value]).user == NSUserName())
        for name in ["host", "port", "become", "connection", "ssh_timeout", "host_key_checking"] {
            #expect(problems(["ansible_\(name)": "".value]).count == 1, "\(name)")
        }
    }

    @Test(arguments: [
        "-o UserKnownHostsFile=/tmp/k -o StrictHostKeyChecking=accept-new -o ConnectTimeout=3",
        "-oUserKnownHostsFile=/tmp/k -ostricthostkeychecking=accept-new -oConnectTimeout=3s",
        "-o 'UserKnownHostsFile /tmp/k' -o \"StrictHostKeyChecking accept-new\" -o \"ConnectTimeout = 3\"",
    ])
    func `options are read in every way that ssh takes them`(line: String) throws {
        for name in ["ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"] {
            let found = try settings([name: line.value])
            #expect(found.userKnownHostsFiles == ["/tmp/k"])
            #expect(found.hostKeyPolicy == .acceptNew && found.connectTimeout == .seconds(3))
        }
    }

    @Test func `the first value of an option counts, in Ansible's order of the variables`() throws {
        let found = try settings([
            "ansible_ssh_extra_args": "-o ConnectTimeout=5".value,
            "ansible_ssh_common_args": "-o ConnectTimeout=4 -o StrictHostKeyChecking=no".value,
            "ansible_ssh_args": "-o StrictHostKeyChecking=yes -i ~/a -o IdentitiesOnly=yes".value,
        ])
        #expect(found.connectTimeout == .seconds(4) && found.hostKeyPolicy == .strict && found.identitiesOnly)
        #expect(found.identityFiles == [SSHConfigContext.current.home + "/a"])
        #expect(try settings(["ansible_host_key_checking": .bool(false)]).hostKeyPolicy == .off)
    }

    @Test func `variables stand where Ansible puts them among the options of ssh`() throws {
        let found = try settings([
            "ansible_ssh_args": "-C -o ControlMaster=auto -p 1".value, "ansible_port": .int(2),
            "ansible_user": "u".value,
            "ansible_ssh_common_args": "-p 3 -l other -J jump@bastion:2222,second -o ServerAliveInterval=5 -4".value,
            "ansible_host_key_checking": .bool(false), "ansible_ssh_private_key_file": "/k/a b".value,
            "ansible_ssh_extra_args": "-o StrictHostKeyChecking=yes -i '/k/c \"d\"' -F none".value,
        ])
        #expect(found.port == 1 && found.user == "u" && found.hostKeyPolicy == .off)
        #expect(found.identityFiles == ["/k/a b", "/k/c \"d\""])
        #expect(found.serverAliveInterval == .seconds(5) && found.addressFamily == .inet)
        #expect(
            found.proxyCommand == "ssh -o BatchMode=yes -J jump@bastion:2222 -F none -W '[n1]:1' -- second"
        )
    }

    @Test func `a host is asked for as ssh is asked for it`() throws {
        func settings(_ text: String) throws -> SSHConfigSettings {
            try SSHConfig(.none).settings(for: ConnectionSettings(asked: text))
        }
        for text in ["u@h", "ssh://u@h", "ssh://u@h/", "ssh://u;x=1@h:22"] {
            let found = try settings(text)
            #expect(found.host == "h" && found.user == "u" && found.port == 22, "\(text)")
        }
        let found = try settings("ssh://h:33")
        #expect(found.host == "h" && found.user == NSUserName() && found.port == 33)
        #expect(try settings("a@b@h").user == "a@b" && settings("@h").host == "@h")
        #expect(throws: DiagnosticsError.self) { try settings("ssh://u@h:99999") }
        #expect(throws: DiagnosticsError.self) { try settings("ssh://h;id") }
    }

    @Test func `of an option of one letter the last counts where ssh has it so, and the first elsewhere`() throws {
        let found = try settings([
            "ansible_ssh_args": "-o Ciphers=aes128-ctr -o AddressFamily=inet -F /no/such/file -p 1 -l a".value,
            "ansible_ssh_common_args": "-c aes192-ctr -m hmac-sha1 -4 -F none -p 2 -l b".value,
            "ansible_ssh_extra_args": "-c aes256-ctr -m hmac-sha2-256 -6 -o Ciphers=3des-cbc -o MACs=hmac-md5".value,
        ])
        #expect(found.ciphers == ["aes256-ctr"] && found.macs == ["hmac-sha2-256"] && found.addressFamily == .inet6)
        #expect(found.port == 1 && found.user == "a")
    }

    @Test(arguments: [
        ("-J a -J b", "a second way over other hosts"), ("-J none -J a", "a second way over other hosts"),
        ("-o ProxyJump=a -J b", "a second way over other hosts"),
        ("-o ProxyCommand=none -J a", "`-J` stands behind a ProxyCommand"),
    ])
    func `-J is refused where ssh refuses it`(line: String, expected: String) {
        let found = problems(["ansible_ssh_common_args": line.value])
        #expect(found.count == 1 && found.first?.contains(expected) == true, "\(found)")
    }

    @Test func `-J may stand before a ProxyCommand, and wins`() throws {
        let found = try settings(["ansible_ssh_common_args": "-J a -o ProxyCommand=x -o ProxyJump=b".value])
        #expect(found.proxyCommand == "ssh -o BatchMode=yes -F none -W '[n1]:22' -- a")
    }

    @Test(arguments: [
        ("-o ProxyCommand='nc %x %p'", "the token `%x` is not known here"),
        ("-o CanonicalizeHostname=yes", "names are not made canonical here"),
        ("-o BindAddress=10.0.0.1", "BindAddress 10.0.0.1 is not supported"),
        ("-o KnownHostsCommand=/bin/keys", "no command is asked for host keys here"),
        ("-o RevokedHostKeys=/etc/krl", "key revocation lists are not read here"),
        ("-J n1", "ProxyJump leads n1 over itself"), ("-o Ciphers=-*", "leaves no algorithm"),
    ])
    func `what cannot be done for a host is said with its place`(line: String, expected: String) throws {
        let found = problems(["ansible_ssh_common_args": line.value])
        #expect(found.count == 1 && found.first?.hasPrefix("hosts.yml:10:5: error: ") == true, "\(found)")
        #expect(found.first?.contains(expected) == true, "\(found)")
    }

    @Test func `a name that a shell would read as more is refused where it was said`() throws {
        let host = problems(["ansible_host": "h$(id)".value])
        #expect(host.count == 1 && host.first?.hasPrefix("hosts.yml:10:5: error: the host `h$(id)` holds `$`") == true)
        let user = problems(["ansible_host": "h".value, "ansible_user": "u;id".value])
        #expect(user.count == 1 && user.first?.hasPrefix("hosts.yml:11:5: error: the user `u;id` holds `;`") == true)
        let place = SourceLocation(file: "hosts.yml", line: 3, column: 1)
        let named = try ConnectionSettings(host: InventoryHost(name: "h;id", variables: [:], location: place))
        let error = #expect(throws: DiagnosticsError.self) { try SSHConfig(.none).settings(for: named) }
        #expect(error?.description.contains("hosts.yml:3:1: error: the host `h;id` holds `;`") == true)
    }

    @Test(arguments: [
        ("-l 'u|id'", "the user `u|id` holds `|`"), ("-l 'u id -l'", "the user `u id -l` holds ` -`"),
        ("-J 'a,$(id)'", "the hop `$(id)` holds `$`"), ("-J 'a;id@b,c'", "the user `a;id` holds `;`"),
    ])
    func `options name nobody whom a shell would read as more`(line: String, expected: String) {
        let found = problems(["ansible_ssh_common_args": line.value])
        #expect(found.count == 1 && found.first?.hasPrefix("hosts.yml:10:5: error: \(expected)") == true, "\(found)")
    }

    @Test(arguments: [
        ("-o UserKnownHostFile=/x", "did you mean `UserKnownHostsFile`?"), ("-L 1:a:1", "the option `-L` is not"),
        ("-o Host=n1", "Host is no option of a command line"), ("-J a,,b", "`` is no hop of ProxyJump"),
        ("-o StrictHostKeyChecking=maybe", "StrictHostKeyChecking is `maybe`"), ("-p 0", "Port is `0`"),
        ("-o ConnectTimeout=soon", "ConnectTimeout is `soon`"), ("-o", "has no option"), ("-i", "has no value"),
        ("-o 'ConnectTimeout", "a quote is opened"), ("-o Compression", "has no value"),
    ])
    func `an option that is not known is refused by name`(line: String, expected: String) {
        let found = problems(["ansible_ssh_common_args": line.value])
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("hosts.yml:10:5: error: ansible_ssh_common_args: ") == true)
        #expect(found.first?.contains(expected) == true, "\(found)")
    }

    @Test(arguments: ["local", "docker", "paramiko", "winrm"])
    func `a connection other than SSH is refused`(connection: String) {
        let found = problems(["ansible_connection": connection.value])
        #expect(found.first?.contains("the connection `\(connection)` is not supported") == true)
    }

    @Test func `all problems of a host are told at once`() {
        let found = problems([
            "ansible_connection": "local".value, "ansible_port": .int(0), "ansible_user": .list([]),
            "ansible_become": "maybe".value, "ansible_ssh_args": "-L 1".value,
        ])
        #expect(found.count == 5)
    }

    @Test(arguments: [
        ("", ["publickey", "keyboard-interactive", "password"]),
        ("-o PubkeyAuthentication=no", ["keyboard-interactive", "password"]),
        ("-o PasswordAuthentication=no -o ChallengeResponseAuthentication=no", ["publickey"]),
        ("-o PreferredAuthentications=hostbased,password,publickey", ["password", "publickey"]),
        ("-o PreferredAuthentications=password -o PasswordAuthentication=no", []),
    ])
    func `the ways in are tried in the order of OpenSSH`(line: String, expected: [String]) throws {
        let variables: [String: Value] = line.isEmpty ? [:] : ["ansible_ssh_common_args": line.value]
        #expect(try settings(variables).authentications == expected)
    }

    // MARK: - Becoming another user

    @Test(arguments: [
        ("sudo", BecomeSettings.Method.sudo), ("ansible.builtin.su", .su), ("community.general.doas", .doas),
        ("doas", .doas), ("", .sudo),
    ])
    func `the ways to become another user have Ansible's names`(
        name: String,
        method: BecomeSettings.Method
    ) throws {
        let become = try connection(["ansible_become_method": name.value]).become
        #expect(become == BecomeSettings(method: method))
    }

    @Test(arguments: ["pbrun", "community.general.sudo", "ansible.builtin.doas"])
    func `another way to become is refused, unless nobody is to be become`(method: String) throws {
        let variables: [String: Value] = ["ansible_become_method": method.value]
        #expect(problems(variables).count == 1)
        let forbidden = variables.merging(["ansible_become": .bool(false)]) { $1 }
        #expect(try connection(forbidden).becomeUser == nil)
    }

    @Test func `the method's own variables win over those of all methods`() throws {
        let variables: [String: Value] = [
            "ansible_become": .bool(true), "ansible_become_method": "doas".value, "ansible_become_user": "a".value,
            "ansible_doas_user": "b".value, "ansible_become_exe": "/bin/x".value, "ansible_doas_exe": "/opt/doas".value,
            "ansible_sudo_exe": "/opt/sudo".value,
        ]
        let found = try connection(variables)
        #expect(found.becomeUser == "b")
        #expect(found.become == BecomeSettings(method: .doas, user: "b", program: "/opt/doas"))
    }

    @Test(arguments: [
        ("ansible_become_exe", "sudo -E", "is not the path of a program"),
        ("ansible_become_exe", "-x", "is not the path of a program"),
        ("ansible_become_flags", "-H -S -n -E", "`-E` is not supported"),
        ("ansible_sudo_flags", "-i", "`-i` is not supported"),
    ])
    func `what would become somebody in another way is refused`(name: String, value: String, words: String) {
        let found = problems([name: value.value])
        #expect(found.count == 1 && found.first?.contains(words) == true, "\(found)")
    }

    @Test func `the flags that Ansible gives to sudo by itself mean nothing here`() throws {
        #expect(try connection(["ansible_become_flags": "-H -S -n".value]).become == BecomeSettings())
    }

    @Test func `templates are resolved by the caller, and none is left`() throws {
        let place = SourceLocation(file: "hosts.yml", line: 1, column: 1)
        let host = InventoryHost(
            name: "n1",
            variables: ["ansible_host": "{{ inventory_hostname }}.example.com".value, "other": "{{ x }}".value],
            location: place
        )
        let found = try ConnectionSettings(host: host) { $0.replacing("{{ inventory_hostname }}", with: "n1") }
        #expect(found.address == "n1.example.com")
        let error = #expect(throws: DiagnosticsError.self) { try ConnectionSettings(host: host) }
        #expect(error?.diagnostics.count == 1)
        let wrong = #expect(throws: DiagnosticsError.self) { try ConnectionSettings(host: host) { _ in "" } }
        #expect(wrong?.diagnostics.first?.summary == "ansible_host is an empty text, not an address")
    }
}

extension String {
    fileprivate var value: Value { .string(self) }
}
