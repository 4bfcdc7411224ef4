// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Testing

struct ConnectionSettingsTests {
    private func settings(_ variables: [String: Value]) throws -> ConnectionSettings {
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
        #expect(found.address == "n1" && found.port == 22 && found.user == NSUserName())
        #expect(found.hostKeyPolicy == .strict && found.connectTimeout == .seconds(10) && found.useAgent)
        #expect(found.knownHostsFiles == [NSHomeDirectory() + "/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"])
        #expect(found.privateKeyFiles.isEmpty && found.becomeUser == nil)
    }

    @Test func `variables say how a host is reached`() throws {
        let found = try settings([
            "ansible_host": "10.0.0.1".value, "ansible_port": "2222".value, "ansible_user": "deploy".value,
            "ansible_ssh_private_key_file": "~/.ssh/key".value, "ansible_become": "yes".value,
        ])
        #expect(found.address == "10.0.0.1" && found.port == 2222 && found.user == "deploy")
        #expect(found.privateKeyFiles == [NSHomeDirectory() + "/.ssh/key"])
        #expect(found.becomeUser == "root")
        #expect(
            try settings(["ansible_become": .bool(true), "ansible_become_user": "etcd".value]).becomeUser == "etcd"
        )
        #expect(try settings(["ansible_become": .bool(false), "ansible_become_user": "etcd".value]).becomeUser == nil)
    }

    @Test(arguments: [
        "-o UserKnownHostsFile=/tmp/k -o StrictHostKeyChecking=accept-new -o ConnectTimeout=3",
        "-oUserKnownHostsFile=/tmp/k -ostricthostkeychecking=accept-new -oConnectTimeout=3s",
        "-o 'UserKnownHostsFile /tmp/k' -o \"StrictHostKeyChecking accept-new\" -o \"ConnectTimeout = 3\"",
    ])
    func `options are read in every way that ssh takes them`(line: String) throws {
        for name in ["ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"] {
            let found = try settings([name: line.value])
            #expect(found.knownHostsFiles == ["/tmp/k", "/etc/ssh/ssh_known_hosts"])
            #expect(found.hostKeyPolicy == .acceptNew && found.connectTimeout == .seconds(3))
        }
    }

    @Test func `the first value of an option counts, in Ansible's order of the variables`() throws {
        let found = try settings([
            "ansible_ssh_extra_args": "-o ConnectTimeout=5".value,
            "ansible_ssh_common_args": "-o ConnectTimeout=4 -o StrictHostKeyChecking=no".value,
            "ansible_ssh_args": "-o StrictHostKeyChecking=yes -i ~/a -o IdentitiesOnly=yes".value,
        ])
        #expect(found.connectTimeout == .seconds(4) && found.hostKeyPolicy == .strict && !found.useAgent)
        #expect(found.privateKeyFiles == [NSHomeDirectory() + "/a"])
        #expect(try settings(["ansible_host_key_checking": .bool(false)]).hostKeyPolicy == .off)
    }

    @Test(arguments: [
        ("-o ProxyCommand='nc %h %p'", "the option ProxyCommand is not supported"),
        ("-o UserKnownHostFile=/x", "did you mean `UserKnownHostsFile`?"), ("-J bastion", "the option `-J` is not"),
        ("-o ControlMaster=auto", "one connection to each host is kept open anyway"),
        ("-o StrictHostKeyChecking=maybe", "StrictHostKeyChecking is `maybe`"),
        ("-o ConnectTimeout=soon", "ConnectTimeout is `soon`, not a time"), ("-o", "has no option"),
        ("-o 'ConnectTimeout", "a quote is opened"), ("-o Compression", "has no value"),
        ("-o ConnectTimeout=0", "not a time"),
    ])
    func `an option without an effect here is refused by name`(line: String, expected: String) {
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
            "ansible_become": "maybe".value, "ansible_ssh_args": "-x".value,
        ])
        #expect(found.count == 5)
    }

    @Test func `another way to become than sudo is refused where become is wanted`() throws {
        #expect(problems(["ansible_become": .bool(true), "ansible_become_method": "su".value]).count == 1)
        #expect(try settings(["ansible_become_method": "su".value]).becomeUser == nil)
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
