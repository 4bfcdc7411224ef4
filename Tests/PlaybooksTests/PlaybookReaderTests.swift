// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Testing

@Suite struct PlaybookReaderTests {
    @Test func `every key of a playbook is read`() throws {
        let playbook = try readPlaybook(
            """
            name: Roll
            hosts: etcd:!spare
            become: yes
            serial: 2
            order: inventory
            on_failure: restore
            defaults: { a: 1 }
            vars:
              b: text
            preflight:
              - etcd_ready
            freeze:
              - command: { hosts: apiservers, run: stop, undo: start }
              - command: halt
                hosts: [one, two]
                timeout: 1m
            steps:
              - { name: Stop, service: { name: etcd, state: stopped }, become: false, timeout: 500ms }
              - pause: 3
            gate: [etcd_consistent]
            thaw:
            postflight:
              - etcd_verified: {}
            """
        )
        #expect(playbook.name.value == "Roll")
        #expect(playbook.hosts.value == "etcd:!spare")
        #expect(playbook.become.value)
        #expect(playbook.serial.value == .count(2))
        #expect(playbook.order.value == .inventory)
        #expect(playbook.onFailure.value == .restore)
        #expect(playbook.defaults["a"]?.value == .int(1))
        #expect(playbook.vars["b"]?.value == .string("text"))
        #expect(playbook.steps(in: .freeze).map { $0.hosts?.value } == ["apiservers", "one,two"])
        #expect(playbook.steps(in: .steps).map(\.action) == ["service", "pause"])
        #expect(playbook.steps(in: .steps).map(\.number) == [1, 2])
        #expect(playbook.steps(in: .gate).map(\.action) == ["etcd_consistent"])
        #expect(playbook.steps(in: .thaw).isEmpty)
        let step = try playbook.steps(in: .steps)[0].resolved(variables: [:], actions: SampleActions.all)
        #expect(step.name == "Stop")
        #expect(step.timeout == .milliseconds(500))
        #expect(step.become == false)
        #expect(step.parameters.duration("within") == .seconds(90))
        #expect(step.location.description == "p.yaml:18:5")
    }

    @Test func `what is left out has a safe default`() throws {
        let playbook = try PlaybookReader.read(
            text: "hosts: etcd\nsteps: [etcd_healthy]\n",
            path: "playbooks/roll.yaml",
            actions: SampleActions.all
        )
        #expect(playbook.name.value == "roll")
        #expect(playbook.serial.value == .count(1))
        #expect(playbook.order.value == .leaderLast)
        #expect(playbook.onFailure.value == .halt)
        #expect(!playbook.become.value)
    }

    @Test func `all problems are reported at once with their places`() {
        let text = """
            nmae: Roll
            hosts: etcd
            serial: 0
            order: leader-lst
            on_failure: [restore]
            become: "perhaps"
            vars: [a]
            steps:
              - service: { name: etcd, stat: started }
              - etcd_helthy
              - name: Nothing
              - pause: 10s
                etcd_healthy: {}
              - pause: soon
              - { command: { run: x, success: { exit: 300, stdot: y } }, timeout: 0 }
              - etcd_consistent: { x: 1 }
              - service: 5
              - command: { hosts: other, run: x }
            gate: etcd_healthy
            tasks: []
            """
        let places = problems(text).map { $0.prefix(while: { $0 != " " }) }
        #expect(
            places == [
                "p.yaml:1:1:", "p.yaml:3:9:", "p.yaml:4:8:", "p.yaml:5:13:", "p.yaml:6:9:", "p.yaml:7:7:",
                "p.yaml:9:5:", "p.yaml:9:28:", "p.yaml:10:5:", "p.yaml:11:5:", "p.yaml:13:5:", "p.yaml:14:12:",
                "p.yaml:15:43:", "p.yaml:15:48:", "p.yaml:15:71:", "p.yaml:16:24:", "p.yaml:17:14:", "p.yaml:18:16:",
                "p.yaml:19:7:", "p.yaml:20:1:",
            ]
        )
    }

    @Test(
        arguments: [
            (
                "hsots: etcd\nsteps: [etcd_healthy]",
                "p.yaml:1:1: error: a playbook has no key 'hsots' (did you mean 'hosts'?)"
            ),
            ("tasks: []\nhosts: x\nsteps: [etcd_healthy]", "the steps of each host stand under 'steps'"),
            ("- hosts: x", "a playbook is a mapping, not a list (it is one play"),
            ("just text", "a playbook is a mapping, not text"),
            ("hosts: x\nsteps: [etcd_helthy]", "did you mean 'etcd_healthy'?"),
            ("hosts: x\nsteps: [{when: a, pause: 1}]", "a step has no conditions"),
            ("hosts: x\nsteps: [{service: {name: a, state: startd}}]", "did you mean 'started'?"),
            ("hosts: x\nsteps: [{service: {nam: a, state: started}}]", "did you mean 'name'?"),
            ("hosts: x\nsteps: [{service: {state: started}}]", "'service.name' is required and is missing"),
            ("hosts: x\nsteps: [{service: {name: , state: started}}]", "'service.name' is required and is empty"),
            ("hosts: x\nsteps: [{wait_for: {port: 70000}}]", "must be a whole number from 1 to 65535, not '70000'"),
            ("hosts: x\nsteps: [{backup: {source: a, to: /b}}]", "'backup.source' must be an absolute path, not 'a'"),
            ("hosts: x\nsteps: [{command: {run: true}}]", "must be text, not 'true' (put it in quotes)"),
            ("hosts: x\nsteps: [{command: {run: x, environment: A=b}}]", "must be a list, each item text"),
            ("hosts: x\nsteps: [{command: {run: x, success: 0}}]", "'command.success' must be a mapping, not '0'"),
            ("hosts: x\nsteps: [{backup: {source: /a, to: /b, keep: maybe}}]", "must be true or false, not 'maybe'"),
            ("hosts: x\nsteps: [{name: , pause: 1}]", "'name' is empty"),
            ("hosts: x\nsteps: [{hosts: y, pause: 1}]", "'hosts' of a step is for 'freeze' and 'thaw' only"),
            ("hosts: x\nsteps: [{only: last, pause: 1}]", "'only' of a step is for playbooks with 'serial: all'"),
            ("hosts: x\nsteps: [{throttle: 1, pause: 1}]", "p.yaml:2:10: error: 'throttle' of a step is for playbooks"),
            ("hosts: x\nserial: all\nsteps: [{only: first, pause: 1}]", "'only' must be last or others, not 'first'"),
            ("hosts: x\nserial: all\nsteps: [{throttle: 2, pause: 1}]", "'throttle' must be 1, not '2'"),
            ("hosts: x\nserial: all\ngate: [{only: last, pause: 1}]", "'only' is for 'steps' only"),
            ("hosts: x\nfreeze: [{hosts: y, command: {run: z, hosts: a}}]", "'hosts' stands both beside the action"),
            ("hosts: '{{ target }}'\nsteps: [etcd_healthy]", "p.yaml:1:9: error: no variable may stand in 'hosts'"),
            ("hosts: x\nserial: '{{ n }}'\nsteps: [etcd_healthy]", "no variable may stand in 'serial'"),
            ("hosts: \nsteps: [etcd_healthy]", "'hosts' is empty"),
            ("steps: [etcd_healthy]", "the playbook has no 'hosts'"),
            ("hosts: x\n", "the playbook has no steps"),
            ("hosts: x\nvars: {a-b: 1}\nsteps: [etcd_healthy]", "p.yaml:2:8: error: 'a-b' is no name for a variable"),
            ("hosts: x\nvars: {inventory_hostname: 1}\nsteps: [etcd_healthy]", "comes from the inventory"),
            ("hosts: x\nsteps: [[a]]", "a step must be an action with its parameters, not a list"),
            ("", "p.yaml:1:1: error: the playbook is empty"),
            ("# nothing\n", "the playbook is empty"),
            ("---\n", "the playbook is empty"),
        ]
    )
    func `a mistake is named`(_ text: String, _ words: String) {
        let found = problems(text)
        #expect(found.count == 1)
        #expect(found.first?.contains(words) == true, "\(found)")
    }

    @Test func `every example of an action can be read`() throws {
        for schema in SampleActions.all {
            let step = try PlaybookReader.readExample(of: schema, actions: SampleActions.all)
            #expect(step.action == schema.word)
            _ = try step.resolved(variables: [:], actions: SampleActions.all)
        }
    }

    @Test(arguments: [
        "migrate_etcd_v2_to_v3", "migrate_etcd_v2_to_v3_in_place", "backup_etcd", "restart_etcd", "force_snapshot",
        "remove_v2_data",
    ])
    func `a shipped playbook is right with its defaults alone`(_ name: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = root.appending(path: "playbooks/\(name).yaml").path
        let playbook = try PlaybookReader.read(path: path, actions: SampleActions.all)
        let scope = VariableScope(playbook: playbook, extra: [:])
        let variables = scope.variables(inventory: ["inventory_hostname": .string("n1")])
        for section in Playbook.Section.allCases {
            for step in playbook.steps(in: section) {
                let resolved = try step.resolved(variables: variables, actions: SampleActions.all)
                #expect(resolved.name != nil)
                #expect(resolved.parameters.string("wal_dir") == nil)
            }
        }
        #expect(playbook.serial.value == .count(1))
        #expect(playbook.order.value == .leaderLast)
        #expect(playbook.insertedNames.isSubset(of: playbook.variableNames))
        #expect(playbook.vars.isEmpty)
    }
}
