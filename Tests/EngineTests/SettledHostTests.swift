// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Remote
import Synchronization
import TestSupport
import Testing

@testable import Engine

/// What pawl reads of a host itself: with templates filled in, and never a default in the place of what was said.
@Suite struct SettledHostTests {
    private static let inventory = """
        [etcd]
        n1 ip=10.0.0.1
        n2 ip=10.0.0.2 base=/data
        [etcd:vars]
        base=/srv
        ansible_host="{{ ip }}"
        ansible_user="{{ group_names }}"
        pawl_state_dir={{ base }}/pawl
        unused="{{ lookup('env', 'X') }}"
        """

    private func settled(_ name: String, _ text: String, extra: [String: Value] = [:]) throws -> SettledHost {
        let desk = try Desk(["hosts.ini": text])
        let inventory = try Inventory.load([desk.file("hosts.ini")])
        return try SettledHost(try #require(inventory.host(name)), of: inventory, VariableScope(extra: extra))
    }

    private func problems(_ variables: String) -> [String] {
        let error = #expect(throws: DiagnosticsError.self) {
            try settled("n1", "[etcd]\nn1\n[etcd:vars]\n" + variables)
        }
        return (error?.diagnostics ?? []).map { problem in
            let place = problem.location.map { "\($0.line):\($0.column) " } ?? ""
            return place + problem.summary
        }
    }

    private static let usable = inventory.replacing("ansible_user=\"{{ group_names }}\"\n", with: "")

    @Test func `variables of the way to a host and of etcd may refer to others`() throws {
        let host = try settled("n2", Self.usable)
        #expect(host.connection.address == "10.0.0.2")
        #expect(host.variables["pawl_state_dir"] == .string("/data/pawl"))
    }

    @Test func `-e wins over the inventory, for the way to a host, too`() throws {
        let host = try settled("n1", Self.usable, extra: ["ip": .string("10.9.9.9"), "ansible_port": .string("2200")])
        #expect(try SSHConfig(.none).settings(for: host.connection).port == 2200)
        #expect(host.connection.address == "10.9.9.9")
    }

    @Test func `passwords are read of the last of their names, and printed nowhere`() throws {
        let text = """
            [etcd]
            n1 ansible_become_method=su
            [etcd:vars]
            word=hunter2
            ansible_become_pass=other
            ansible_su_pass="{{ word }}"
            ansible_ssh_pass=hunter3
            ansible_ssh_private_key_passphrase=hunter4
            """
        let connection = try settled("n1", text).connection
        #expect(connection.become.password?.reveal() == "hunter2")
        #expect(connection.password?.reveal() == "hunter3")
        #expect(connection.keyPassphrase?.reveal() == "hunter4")
        var dumped = ""
        dump(connection, to: &dumped)
        for text in ["\(connection)", String(reflecting: connection), dumped] { #expect(!text.contains("hunter")) }
    }

    @Test func `a template that cannot be filled in is refused where it matters`() {
        #expect(
            problems("ansible_host={{ ip | default('x') }}\netcd_data_dir={{ dir }}\nother={{ a.b }}\n") == [
                "4:1 '{{ ip | default('x') }}': filters are not supported (in the value of 'ansible_host')",
                "5:1 the variable 'dir' is not defined (in the value of 'etcd_data_dir')",
            ]
        )
        #expect(problems("ansible_port={{ port }}\nport=many\n").first?.contains("ansible_port") == true)
    }

    @Test func `a step that needs what cannot be filled in says why, and another goes on`() throws {
        let inventory = "[etcd]\nn1 upper=\"{{ name | upper }}\"\n"
        let desk = try Desk([
            "hosts.ini": inventory, "a.yaml": "hosts: etcd\nsteps:\n  - command: \"echo {{ upper }}\"\n",
            "b.yaml": "hosts: etcd\nsteps:\n  - command: uptime\n",
        ])
        #expect(
            desk.problems(desk.request(playbook: "a.yaml")) == [
                "a.yaml:3:20 '{{ name | upper }}': filters are not supported (in the value of 'upper')"
            ]
        )
        #expect(desk.problems(desk.request(playbook: "b.yaml")).isEmpty)
    }

    @Test func `every command that needs no playbook reaches hosts by the same variables`() throws {
        let desk = try Desk(["hosts.ini": Self.usable])
        let seen = Mutex<[String]>([])
        let connector: HostDirectory.Connector = { settings in
            seen.withLock { $0.append(settings.address) }
            return LocalHost()
        }
        let sources: InventorySources = [desk.file("hosts.ini")]
        let ways = try NodeWay.all(inventory: sources, limit: "n2", connector: connector)
        #expect(ways.map(\.state.directory) == ["/data/pawl"])
        let looked = try InspectedHost.all(inventory: sources, limit: "n2", extraVariables: [], connector: connector)
        #expect(looked.map(\.state.directory) == ["/data/pawl"])
        _ = try ClusterUnlock(
            inventory: sources,
            limit: "n2",
            extraVariables: [],
            become: false,
            connector: connector
        )
        #expect(seen.withLock { $0 } == ["10.0.0.2", "10.0.0.2", "10.0.0.2"])
    }

    // MARK: - Ansible Vault

    /// Encrypted by ansible-vault with the password `pw`: the text `deploy`.
    private static let sealed = """
        !vault |
          $ANSIBLE_VAULT;1.1;AES256
          37623366646633306137613666363963313363313439306262373333313064663930646639613531
          3762313739366166663861343364386438306235653761390a333630313532663239616463383939
          37393133323066633831393038366665343061346233316235636364653832383535636135343835
          6237386630333432620a356232613937373761356530306335633339313739633939633663386133
          3332
        """

    private func desk(_ variables: String, playbook: String = "") throws -> Desk {
        try Desk([
            "hosts.yml": "etcd:\n  hosts: {n1: }\n  vars:\n" + variables, "pw": "pw\n", "play.yaml": playbook,
        ])
    }

    private func request(_ desk: Desk) -> RunRequest {
        var request = desk.request(inventory: ["hosts.yml"])
        request.inventory.vaultIDs = [desk.file("pw")]
        return request
    }

    private static func indented(_ name: String) -> String {
        "    \(name): " + sealed.split(separator: "\n").joined(separator: "\n    ") + "\n"
    }

    @Test func `an encrypted value opens the way to a host, also through another variable`() throws {
        let playbook = "hosts: etcd\nsteps:\n  - command: uptime\n"
        let desk = try desk(
            Self.indented("vault_user") + "    ansible_user: \"{{ vault_user }}\"\n",
            playbook: playbook
        )
        let play = try PlayLoader.load(request(desk))
        let connection = try #require(play.allHosts["n1"]?.connection)
        #expect(try SSHConfig(.none).settings(for: connection).user == "deploy")
        let text = String(reflecting: play.allHosts["n1"]?.variables)
        #expect(!text.contains("\"deploy\""))
    }

    @Test(arguments: [
        ("\"{{ token }}\"", "'command.run' cannot hold the value of 'token', which is encrypted by Ansible Vault"),
        ("\"echo {{ token }}\"", "'token' is encrypted by Ansible Vault and cannot be put into text"),
        ("\"echo {{ other }}\"", "'token' is encrypted by Ansible Vault and cannot be put into text"),
    ])
    func `a step that would hold an encrypted value is refused`(run: String, words: String) throws {
        let desk = try desk(
            Self.indented("token") + "    other: \"x{{ token }}\"\n",
            playbook: "hosts: etcd\nsteps:\n  - command: \(run)\n"
        )
        let found = desk.problems(request(desk))
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.contains(words) == true, "\(found)")
    }

    @Test func `an encrypted setting of etcd is refused, and no default stands in for it`() throws {
        let desk = try desk(Self.indented("etcd_data_dir"), playbook: "hosts: etcd\nsteps:\n  - pause: 1s\n")
        let found = desk.problems(request(desk))
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix("hosts.yml:4:5 etcd_data_dir of n1 is encrypted by Ansible Vault") == true)
    }

    @Test func `the files of passwords are remembered for a resume, and stay on this machine`() throws {
        let desk = try desk(Self.indented("token"))
        let request = request(desk)
        let text = String(decoding: try JSONEncoder().encode(request), as: UTF8.self)
        #expect(try JSONDecoder().decode(RunRequest.self, from: Data(text.utf8)) == request)
        #expect(try request.portable().inventory.vaultIDs.isEmpty)
    }
}
