// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Remote
import TestSupport
import Testing

@testable import Engine

/// Whom commands run as, by the inventory, the playbook, the command line and `ansible.cfg`.
struct RequestedBecomeTests {
    private static let says = "[privilege_escalation]\nbecome = True\n"

    @Test(arguments: [
        // inventory, ansible.cfg, asked for, expected
        ("", "", RequestedBecome.no, nil), ("", "", .asSaid, "root"), ("", "", .user("etcd"), "etcd"),
        ("ansible_become=true", "", .no, "root"), ("ansible_become=true", "", .user("etcd"), "etcd"),
        ("ansible_become=false", "", .user("etcd"), nil), ("ansible_become_user=admin", "", .no, nil),
        ("ansible_become_user=admin", "", .user("etcd"), "admin"),
        ("ansible_sudo_user=admin", "", .user("root"), "admin"),
        ("", says, .no, "root"), ("", says + "become_user = cfg\n", .no, "cfg"),
        ("", says + "become_user = cfg\n", .user("root"), "root"), ("", says + "become_user = cfg\n", .asSaid, "cfg"),
        ("ansible_become=false", says, .asSaid, nil),
    ])
    func `whom a command runs as`(
        _ variables: String,
        _ configuration: String,
        _ become: RequestedBecome,
        _ expected: String?
    ) throws {
        let desk = try Desk(["hosts.ini": "n1 \(variables)\n", "ansible.cfg": configuration])
        let sources = InventorySources([desk.file("hosts.ini")], ansibleConfiguration: desk.file("ansible.cfg"))
        let found = try InspectedHost.all(
            inventory: sources,
            limit: nil,
            extraVariables: [],
            become: become,
            connector: { LocalHost(name: $0.name) }
        )
        #expect(found.map(\.user) == [expected])
    }

    @Test(arguments: [
        ("", "", "", nil), ("", "", says, "root"), ("become: false", "", says, nil), ("become: true", "", "", "root"),
        ("", "become: false", says, nil), ("", "become: true", "", "root"),
        ("become: true", "become: false", says, nil),
    ])
    func `what a playbook says wins over the configuration`(
        _ play: String,
        _ step: String,
        _ configuration: String,
        _ expected: String?
    ) throws {
        let desk = try Desk([
            "hosts.ini": "n1\n", "ansible.cfg": configuration,
            "play.yaml": """
            name: One
            hosts: all
            \(play)
            steps:
              - name: Look
                command: { run: "true", redo: safe }
                \(step)
            """,
        ])
        var request = desk.request()
        request.inventory = InventorySources([desk.file("hosts.ini")], ansibleConfiguration: desk.file("ansible.cfg"))
        let loaded = try PlayLoader.load(request)
        let hosts = HostDirectory(loaded) { LocalHost(name: $0.name) }
        let become = loaded.steps.first?.byHost["n1"]?.become ?? loaded.playbook.become.value
        #expect(hosts.user(of: "n1", become: become) == expected)
    }
}
