// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Fleet

/// What `ansible.cfg` and the environment say where no variable does.
struct AnsibleConfigurationTests {
    private static let home = ["HOME": "/nowhere"]

    private func connection(
        _ text: String,
        _ variables: [String: Value] = [:],
        environment: [String: String] = [:]
    ) throws -> ConnectionSettings {
        let folder = try TemporaryFolder(["ansible.cfg": text])
        let configuration = try AnsibleConfiguration(folder.file("ansible.cfg"), environment: environment)
        let place = SourceLocation(file: "hosts.yml", line: 1, column: 1)
        let host = InventoryHost(name: "n1", variables: variables, location: place)
        return try ConnectionSettings(host: configuration.complete(host))
    }

    private func settings(
        _ text: String,
        _ variables: [String: Value] = [:],
        environment: [String: String] = [:]
    ) throws -> SSHConfigSettings {
        try SSHConfig(.none).settings(for: connection(text, variables, environment: environment))
    }

    private static let whole = """
        # How we reach hosts.
        [defaults]
        inventory = elsewhere
        remote_user = "deploy"   ; of the image
        remote_port: 2222
        private_key_file = ~/keys/id
        host_key_checking = False
        timeout = 33

        [privilege_escalation]
        become = yes
        become_user = etcd

        [ssh_connection]
        ssh_args = -o ServerAliveInterval=7
        ssh_common_args =
            -o UserKnownHostsFile=/tmp/known
            -o HashKnownHosts=yes
        """

    @Test func `it says how hosts are reached`() throws {
        let found = try settings(Self.whole)
        #expect(found.user == "deploy" && found.port == 2222 && found.hostKeyPolicy == .off)
        #expect(found.identityFiles == [SSHConfigContext.current.home + "/keys/id"])
        #expect(found.connectTimeout == .seconds(33))
        #expect(found.userKnownHostsFiles == ["/tmp/known"])
        #expect(try connection(Self.whole).become.user == "etcd")
    }

    @Test func `a variable of the host wins, by whichever of its names`() throws {
        let found = try settings(
            Self.whole,
            [
                "ansible_ssh_user": .string("admin"), "ansible_port": .int(22), "ansible_ssh_timeout": .int(5),
                "ansible_ssh_private_key_file": .string("/k"), "ansible_ssh_host_key_checking": .bool(true),
            ]
        )
        #expect(found.user == "admin" && found.port == 22 && found.identityFiles == ["/k"])
        #expect(found.hostKeyPolicy == .strict && found.connectTimeout == .seconds(5))
        #expect(try connection(Self.whole, ["ansible_sudo_user": .string("backup")]).become.user == "backup")
        #expect(try connection(Self.whole, ["ansible_become": .bool(false)]).becomeUser == nil)
    }

    @Test func `the environment wins over the file`() throws {
        let environment = ["ANSIBLE_REMOTE_USER": "ci", "ANSIBLE_BECOME_USER": "root", "ANSIBLE_TIMEOUT": "4"]
        let found = try settings(Self.whole, environment: environment)
        #expect(found.user == "ci" && found.port == 2222 && found.connectTimeout == .seconds(4))
        #expect(try connection(Self.whole, environment: environment).become.user == "root")
        #expect(try settings("", environment: environment).user == "ci")
        // What is set and empty says that there is nothing.
        let empty = try settings(Self.whole, environment: ["ANSIBLE_REMOTE_USER": "", "ANSIBLE_SSH_COMMON_ARGS": ""])
        #expect(empty.user == SSHConfigContext.current.user && empty.userKnownHostsFiles != ["/tmp/known"])
        #expect(try settings(Self.whole, environment: ["ANSIBLE_HOST_KEY_CHECKING": ""]).hostKeyPolicy == .off)
        let method = "[sudo_become_plugin]\nuser = admin\n"
        #expect(try connection(method).become.user == "admin")
        #expect(try connection(method, environment: ["ANSIBLE_BECOME_USER": "etcd"]).become.user == "etcd")
        #expect(try connection(method, environment: ["ANSIBLE_SUDO_USER": "backup"]).become.user == "backup")
    }

    @Test func `that another user is become is no variable of the hosts, which would win over playbooks`() throws {
        let folder = try TemporaryFolder(["ansible.cfg": Self.whole])
        let configuration = try AnsibleConfiguration(folder.file("ansible.cfg"), environment: [:])
        #expect(configuration.becomes)
        #expect(try connection(Self.whole).becomeUser == nil)
        let environment = ["ANSIBLE_BECOME": "false"]
        #expect(try !AnsibleConfiguration(folder.file("ansible.cfg"), environment: environment).becomes)
    }

    @Test func `what is said for one method is for that one, and wins over what is said for all`() throws {
        let text = """
            [privilege_escalation]
            become = true
            become_user = one
            [doas_become_plugin]
            user = two
            executable = /opt/doas
            """
        #expect(try connection(text).become.user == "one")
        let doas = try connection(text, ["ansible_become_method": .string("doas")])
        #expect(doas.become.user == "two" && doas.become.program == "/opt/doas")
        let given = try connection(
            text,
            ["ansible_become_method": .string("doas"), "ansible_become_user": .string("three")]
        )
        #expect(given.become.user == "three")
    }

    @Test(arguments: [
        ("remote_user = x\n", "1:1: error: a value in front of the first section"),
        ("[defaults]\nremote_user\n", "2:1: error: this is neither a section nor a value"),
        ("[defaults]\nremote_port = ssh\n", "2:1: error: ansible_port is "),
        ("[defaults]\nremote_user = {{ who }}\n", "2:1: error: `{{ who }}` holds a template"),
        ("[privilege_escalation]\nbecome = perhaps\n", "2:1: error: ansible_become is "),
        ("[defaults]\ntimeout = long\n", "2:1: error: ansible_ssh_timeout is "),
        (
            "[defaults]\nremote_user = a\nRemote_User = b\n",
            "3:1: error: remote_user stands here a second time, after line 2"
        ),
        ("[defaults]\n[other]\n[defaults]\n", "3:1: error: [defaults] stands here a second time, after line 1"),
    ])
    func `what is wrong is told at its place`(_ text: String, _ words: String) throws {
        let error = #expect(throws: DiagnosticsError.self) { try connection(text) }
        #expect(error?.description.contains("ansible.cfg:\(words)") == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("id", "@/id"), ("~/id", "~/id"), ("/k/id", "/k/id"), ("$KEYS/id", "/of/keys/id"), ("${KEYS}x", "/of/keysx"),
        ("a/$UNSET", "@/a/$UNSET"),
    ])
    func `a file is looked for beside the one that names it`(_ text: String, _ path: String) throws {
        let folder = try TemporaryFolder(["ansible.cfg": "[defaults]\nprivate_key_file = \(text)\n"])
        let environment = ["KEYS": "/of/keys", "HOME": "/at/home"]
        let file = try AnsibleConfigurationFile(folder.file("ansible.cfg"))
        let expected = path.replacing("@", with: folder.file(".").dropLast(2)).replacing("~", with: "/at/home")
        #expect(file.path(text, environment) == expected)
        #expect(
            try settings("", environment: ["ANSIBLE_PRIVATE_KEY_FILE": "/e/$X/id", "X": "y"]).identityFiles == [
                "/e/y/id"
            ]
        )
    }

    @Test func `the file is looked for where Ansible looks, and not where anybody may write`() throws {
        let folder = try TemporaryFolder([
            "named/ansible.cfg": "", "here/ansible.cfg": "", "home/.ansible.cfg": "", "system.cfg": "",
        ])
        func found(_ environment: [String: String], in directory: String) -> String? {
            AnsibleConfiguration.file(
                environment: environment,
                directory: folder.file(directory),
                system: folder.file("system.cfg")
            )
        }
        let home = ["HOME": folder.file("home")]
        #expect(
            found(home.merging(["ANSIBLE_CONFIG": "../named"]) { $1 }, in: "here") == folder.file("named/ansible.cfg")
        )
        #expect(found(home, in: "here") == folder.file("here/ansible.cfg"))
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.file("here"))
        #expect(found(home, in: "here") == folder.file("home/.ansible.cfg"))
        #expect(found(Self.home, in: "named/..") == folder.file("system.cfg"))
        #expect(found(["ANSIBLE_CONFIG": "/dev/null"], in: "here") == nil)
    }

    @Test func `an inventory is opened by the password that the file names`() throws {
        // As in the fixture `vault-values`; what is in it is no mapping.
        let secret = """
            $ANSIBLE_VAULT;1.1;AES256
            61653765383030396161363336666635666238346133666561313133363634383131666433343064
            3435663538353966383933636166666536393933333433610a396138633464656161393036353937
            66633639303136393636376233663031633139633461306632656131306337316163303836663431
            3734373364323434380a653437653539616533663063623237343463333962633732666632306361
            6332
            """
        let folder = try TemporaryFolder([
            "ansible.cfg": "[defaults]\nvault_password_file = secrets/word\n", "secrets/word": "the default password\n",
            "hosts": "n1\n", "group_vars/all.yml": secret,
        ])
        func problem(_ configuration: String?) -> String? {
            let error = #expect(throws: DiagnosticsError.self) {
                try Inventory.load(InventorySources([folder.file("hosts")], ansibleConfiguration: configuration))
            }
            return error?.description
        }
        #expect(problem(nil)?.contains("no password is given") == true)
        #expect(problem(folder.file("ansible.cfg"))?.contains("all.yml") == true)
        #expect(problem(folder.file("ansible.cfg"))?.contains("password") == false)
    }
}
