// SPDX-License-Identifier: Apache-2.0

import Actions
import Engine
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import TestSupport
import Testing

@Suite struct PlayLoaderTests {
    private static let hosts = "[etcd]\nn1\nn2\n"

    private func problems(
        _ playbook: String,
        hosts: String = hosts,
        limit: String? = nil,
        extra: [String] = []
    ) throws -> [String] {
        let desk = try Desk(["play.yaml": playbook, "hosts.ini": hosts])
        return desk.problems(desk.request(limit: limit, extra: extra))
    }

    @Test(arguments: [
        ("hosts: etcd\nstep:\n  - pause: 1s\n", ["play.yaml:2:1 a playbook has no key 'step'"]),
        ("hosts: etcd\nsteps:\n\t- pause: 1s\n", ["play.yaml:3:1 "]),
        ("hosts: web\nsteps:\n  - pause: 1s\n", ["play.yaml:1:8 "]),
        ("hosts: etcd\nsteps:\n  - pawse: 1s\n", ["play.yaml:3:5 "]),
        ("hosts: etcd\nsteps:\n  - pause: { four: 1s }\n", ["play.yaml:3:14 'pause' has no parameter 'four'"]),
        ("hosts: etcd\nsteps:\n  - command: echo {{ nothing }}\n", ["play.yaml:3:19 "]),
        ("hosts: etcd\nsteps:\n  - wait_for: { port: 99999 }\n", ["play.yaml:3:23 "]),
        ("hosts: etcd\nsteps:\n  - wait_for: { port: 80, path: /x }\n", ["play.yaml:3:5 wait_for: exactly one"]),
        ("hosts: etcd\nsteps:\n  - service: { name: x, state: started, start: y }\n", ["play.yaml:3:5 "]),
        ("hosts: etcd\nsteps:\n  - pause: 1s\nfreeze:\n  - command: { hosts: web, run: x }\n", ["play.yaml:5:23 "]),
    ])
    func `a fault of the playbook is said once, at its place`(playbook: String, expected: [String]) throws {
        let found = try problems(playbook)
        #expect(found.count == expected.count, "\(found)")
        for (found, expected) in zip(found, expected) { #expect(found.hasPrefix(expected)) }
    }

    @Test(arguments: [
        ("[etcd]\nn1\nn[1:]\n", "hosts.ini:3:1 the range [1:] has no end"),
        ("[etcd]\nn1 ansible_port=99999\n", "hosts.ini:2:4 ansible_port is the number 99999, not a port"),
        ("# nobody\n", "hosts.ini:1:1 the inventory holds no host"),
        ("[etcd]\nn1\n[web:varz]\n", "hosts.ini:3:1 the section [web:varz] is of an unknown kind"),
    ])
    func `a fault of the inventory is said at its place`(inventory: String, expected: String) throws {
        let found = try problems("hosts: all\nsteps:\n  - pause: 1s\n", hosts: inventory)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix(expected) == true, "\(found)")
    }

    @Test func `files that are not there are named`() throws {
        let desk = try Desk()
        let found = desk.problems(desk.request(extra: ["@" + desk.file("vars.yaml")]))
        #expect(found.count == 3)
        for name in ["play.yaml", "hosts.ini", "vars.yaml"] {
            #expect(found.contains { $0.contains(name) }, "\(found)")
        }
    }

    @Test func `faults of three files and of the command line are reported at once`() throws {
        let desk = try Desk([
            "play.yaml": "hosts: etcd\nsteps:\n  - pawse: 1s\n", "hosts.ini": "[etcd]\nn1 ansible_port=0\n",
            "more.ini": "[web]\nw1 x\n",
        ])
        let found = desk.problems(desk.request(inventory: ["hosts.ini", "more.ini"], extra: ["nonsense"]))
        #expect(found.count == 4, "\(found)")
        for place in ["play.yaml:3:5 ", "hosts.ini:2:4 ", "more.ini:2:4 "] {
            #expect(found.contains { $0.hasPrefix(place) }, "\(place) is not in \(found)")
        }
        #expect(found.contains { $0.hasPrefix("-e") || $0.contains("name=value") }, "\(found)")
    }

    @Test func `a limit that leaves no host is said`() throws {
        let found = try problems("hosts: etcd\nsteps:\n  - pause: 1s\n", limit: "n9")
        #expect(found.count == 1)
        #expect(found.first?.contains("n9") == true, "\(found)")
    }

    @Test func `a fault of one host's variable names the host's place or the step's`() throws {
        let inventory = "[etcd]\nn1 port=80\nn2 port=high\n"
        let found = try problems("hosts: etcd\nsteps:\n  - wait_for: { port: \"{{ port }}\" }\n", hosts: inventory)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix("play.yaml:3:23 ") == true, "\(found)")
    }

    @Test func `variables win in the order defaults, group, host, vars, command line`() throws {
        let playbook = """
            hosts: etcd
            defaults: { a: default, b: default, c: default, d: default, e: default }
            vars: { d: play, e: play }
            steps:
              - command: "{{ a }} {{ b }} {{ c }} {{ d }} {{ e }}"

            """
        let inventory = "[etcd]\nn1 c=host d=host e=host\nn2\n[etcd:vars]\nb=group\nc=group\nd=group\ne=group\n"
        let desk = try Desk(["play.yaml": playbook, "hosts.ini": inventory])
        let play = try PlayLoader.load(desk.request(extra: ["e=line"]))
        let step = try #require(play.steps.first)
        #expect(step.byHost["n1"]?.parameters.string("run") == "default group host play line")
        #expect(step.byHost["n2"]?.parameters.string("run") == "default group group play line")
        #expect(play.hosts == ["n1", "n2"])
    }

    @Test func `what was discovered is stronger than defaults and weaker than all that is said`() throws {
        let playbook = """
            hosts: etcd
            defaults: { etcd_service: default, etcd_user: default, etcd_wal_dir: default, etcd_data_dir: /default }
            vars: { etcd_wal_dir: play }
            steps:
              - command: "{{ etcd_service }} {{ etcd_user }} {{ etcd_wal_dir }} {{ etcd_data_dir }}"

            """
        let desk = try Desk(["play.yaml": playbook, "hosts.ini": "[etcd]\nn1 etcd_user=host\nn2\n"])
        let found = ["etcd_service": "found", "etcd_user": "found", "etcd_wal_dir": "found", "etcd_data_dir": "/found"]
        let request = desk.request(extra: ["etcd_data_dir=/line"])
        let play = try PlayLoader.load(request, discovered: ["n1": found, "n2": found, "n3": found])
        let step = try #require(play.steps.first)
        #expect(step.byHost["n1"]?.parameters.string("run") == "found host play /line")
        #expect(step.byHost["n2"]?.parameters.string("run") == "found found play /line")
        #expect(play.allHosts["n1"]?.unsaid.isDisjoint(with: ["etcd_user", "etcd_wal_dir", "etcd_data_dir"]) == true)
        #expect(play.allHosts["n1"]?.unsaid.contains("etcd_service") == true)
        // The plan carries it, and a plan without it is read as one that discovered nothing.
        let plan = Planner.plan(play, Survey(order: play.hosts, memberIDs: [:]))
        #expect(plan.inputs.discovered == ["n1": found, "n2": found])
        let text = String(decoding: try JSONEncoder().encode(plan), as: UTF8.self)
        #expect(try JSONDecoder().decode(Plan.self, from: Data(text.utf8)) == plan)
        let none = Planner.plan(try PlayLoader.load(request), Survey(order: play.hosts, memberIDs: [:]))
        #expect(!String(decoding: try JSONEncoder().encode(none), as: UTF8.self).contains("discovered"))
    }

    @Test func `a variable that is discovered may be defined nowhere else`() throws {
        let playbook = "hosts: etcd\nsteps:\n  - command: \"echo {{ etcd_data_dir }}\"\n"
        let desk = try Desk(["play.yaml": playbook, "hosts.ini": "[etcd]\nn1\n"])
        _ = try PlayLoader.load(desk.request())
        let found = try PlayLoader.load(desk.request(), discovered: ["n1": ["etcd_data_dir": "/srv"]])
        #expect(found.steps.first?.byHost["n1"]?.parameters.string("run") == "echo /srv")
        #expect(throws: DiagnosticsError.self) { try PlayLoader.load(desk.request(), discovered: [:]) }
    }

    @Test func `a variable of -e that nothing mentions is a warning`() throws {
        let desk = try Desk(["play.yaml": "hosts: etcd\nsteps:\n  - pause: 1s\n", "hosts.ini": Self.hosts])
        let play = try PlayLoader.load(desk.request(extra: ["ectd_user=x", "etcd_user=y"]))
        #expect(play.warnings.map(\.severity) == [.warning])
        #expect(play.warnings.first?.summary.contains("ectd_user") == true)
    }

    @Test func `hosts of the freeze belong to the play without being changed by its steps`() throws {
        let playbook = "hosts: etcd\nfreeze:\n  - command: { hosts: web, run: x, undo: y }\nsteps:\n  - command: z\n"
        let desk = try Desk(["play.yaml": playbook, "hosts.ini": Self.hosts + "[web]\nw1\n"])
        let play = try PlayLoader.load(desk.request())
        #expect(play.hosts == ["n1", "n2"])
        #expect(play.allHosts.keys.sorted() == ["n1", "n2", "w1"])
        #expect(play.steps.map(\.hosts) == [["w1"], ["n1", "n2"]])
    }

    @Test(arguments: [
        ("become: true", "", "root"), ("become: true", "ansible_become=false", "-"),
        ("become: true", "ansible_become_user=etcd", "etcd"), ("become: false", "ansible_become_user=etcd", "-"),
        ("become: false", "ansible_become=true", "root"),
        ("become: false", "ansible_become=true ansible_become_user=etcd", "etcd"),
    ])
    func `the inventory says who commands run as, and the playbook where it does not`(
        playbook: String,
        host: String,
        expected: String
    ) async throws {
        let desk = try Desk([
            "play.yaml": "hosts: etcd\n\(playbook)\nsteps:\n  - command: x\n", "hosts.ini": "[etcd]\nn1 \(host)\n",
        ])
        let play = try PlayLoader.load(desk.request())
        let hosts = HostDirectory(play) { NamedHost(name: $0.name) }
        let target = try #require(hosts.target("n1", become: play.playbook.become.value))
        #expect((target.host as? NamedHost)?.user == expected)
    }
}

/// A host that only knows who it was elevated to.
struct NamedHost: CommandOnlyHost {
    var name: String
    var user = "-"

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        throw RemoteError(.unreachable, host: name, "not there")
    }
    func elevated(as user: String) -> any RemoteHost { NamedHost(name: name, user: user) }
}
