// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Testing

@Suite struct TemplateTests {
    @Test func `a variable is inserted into text, with and without blanks`() throws {
        let step = try resolve(
            "command: 'a {{ b }}-{{c}} {{   d   }} } { {'",
            ["b": .string("x"), "c": .int(7), "d": .bool(false)]
        )
        #expect(step.parameters.string("run") == "a x-7 false } { {")
    }

    @Test func `a value that is one variable keeps the variable's type`() throws {
        let variables: [String: Value] = [
            "words": .list([.string("A=1"), .string("B={{ two }}")]), "two": .int(2),
            "success": .map(["exit": .int(3)]),
        ]
        let step = try resolve(
            "command: { run: x, environment: '{{ words }}', success: '{{ success }}' }",
            variables
        )
        #expect(step.parameters.strings("environment") == ["A=1", "B=2"])
        #expect(step.parameters.group("success")?.integer("exit") == 3)
    }

    @Test func `variables may refer to one another`() throws {
        let variables: [String: Value] = [
            "base": .string("/var"), "dir": .string("{{ base }}/lib"), "all": .string("{{ dir }}/x"),
        ]
        #expect(try resolve("command: '{{ all }}'", variables).parameters.string("run") == "/var/lib/x")
    }

    @Test func `a cycle is named as a chain`() {
        let variables: [String: Value] = ["a": .string("{{ b }}"), "b": .string("x{{ c }}"), "c": .string("{{ a }}")]
        #expect(
            problems(of: "command: 'run {{ a }}'", variables) == [
                "p.yaml:3:19: error: the variable 'a' refers to itself: a → b → c → a"
            ]
        )
    }

    @Test func `an undefined variable is named with its place and a suggestion`() {
        let found = problems(of: "command: 'x {{ etcd_dta_dir }} {{ nowhere }}'", ["etcd_data_dir": .string("/d")])
        #expect(
            found == [
                "p.yaml:3:17: error: the variable 'etcd_dta_dir' is not defined (did you mean 'etcd_data_dir'?)",
                "p.yaml:3:36: error: the variable 'nowhere' is not defined (set it under 'defaults' or 'vars', in the "
                    + "inventory, or with -e nowhere=…)",
            ]
        )
        let inner = problems(of: "command: '{{ a }}'", ["a": .string("{{ b }}/x")])
        #expect(inner.first?.contains("the variable 'b' is not defined (in the value of 'a')") == true)
    }

    @Test(
        arguments: [
            ("{{ a.b }}", "a variable's parts cannot be taken"),
            ("{{ a['b'] }}", "a variable's parts cannot be taken"),
            ("{{ x | default(1) }}", "filters are not supported"),
            ("{{ a + b }}", "expressions are not supported"),
            ("{{ '{{' }}", "is text, not a variable (a literal '{{' cannot be written"),
            ("{{ }}", "names no variable"),
            ("{{ a", "'{{' without '}}'"),
            ("{% raw %}", "'{% … %}' is not supported"),
            ("{{ 1 }}", "expressions are not supported"),
        ]
    )
    func `a template that is more than a variable is refused where its braces stand`(_ text: String, _ words: String) {
        let found = problems(of: "command: \"a b \(text)\"")
        #expect(found.first?.hasPrefix("p.yaml:3:19: error: ") == true, "\(found)")
        #expect(found.first?.contains(words) == true, "\(found)")
        #expect(
            problems("hosts: x\nvars:\n  v: [\"\(text)\"]\nsteps: [etcd_healthy]").first?.hasPrefix("p.yaml:3:8:")
                == true
        )
    }

    @Test func `the place of a template in a block of text is its own line`() {
        let text = "hosts: x\nsteps:\n  - command:\n      run: |\n        one\n        two {{ a }} {{ b.c }}\n"
        #expect(problems(text).map { $0.prefix(15) } == ["p.yaml:6:21: er"])
    }

    @Test func `lists, mappings and nothing cannot be put into text`() {
        let variables: [String: Value] = ["l": .list([]), "m": .map([:]), "n": .null]
        let found = problems(of: "command: 'x{{ l }}{{ m }}{{ n }}'", variables)
        #expect(found.count == 3)
        #expect(found[0].contains("'l' is a list and cannot be put into text"))
        #expect(found[1].contains("'m' is a mapping"))
        #expect(found[2].contains("'n' is nothing"))
    }

    @Test func `types are checked after the variables are filled in`() throws {
        let text = "service: { name: etcd, state: '{{ s }}', within: '{{ w }}' }"
        let step = try resolve(text, ["s": .string("stopped"), "w": .string("2m")])
        #expect(step.parameters.duration("within") == .seconds(120))
        let found = problems(of: text, ["s": .string("secret"), "w": .string("soon")])
        #expect(found.count == 2)
        // A variable may hold a secret: its name is told, its value is not.
        #expect(found[0].contains("'service.state' must be one of started, stopped, restarted, not the value of 's'"))
        #expect(!found[0].contains("secret"))
    }

    @Test func `text from the command line counts as the type that is needed`() throws {
        let text = "backup: { source: /a, to: /b, keep: '{{ k }}' }"
        #expect(try resolve(text, ["k": .string("no")]).parameters.boolean("keep") == false)
        let port = try resolve("wait_for: { port: '{{ p }}' }", ["p": .string("2379")])
        #expect(port.parameters.integer("port") == 2379)
    }

    @Test func `an empty variable is the same as a parameter that is not written`() throws {
        let text = "service: { name: etcd, state: started, stop: '{{ e }}', within: '{{ n }}' }"
        let step = try resolve(text, ["e": .string(""), "n": .null])
        #expect(step.parameters.string("stop") == nil)
        #expect(step.parameters.duration("within") == .seconds(90))
        #expect(
            problems(of: "backup: { source: '{{ e }}', to: /b }", ["e": .string("")]).first?.contains("is empty")
                == true
        )
    }

    @Test func `defaults of a group are filled in when the group is written`() throws {
        let step = try resolve("command: { run: x, success: { stdout: ok } }")
        #expect(step.parameters.group("success")?.integer("exit") == 0)
        #expect(try resolve("command: x").parameters.group("success") == nil)
    }

    @Test func `the same step has the same canonical text and another one has not`() throws {
        let one = try resolve("command: { run: 'a \"b\"', redo: safe }")
        #expect(one.canonicalText == "command {\"redo\":\"safe\",\"run\":\"a \\\"b\\\"\"}")
        #expect(
            try resolve("command: { redo: safe, run: '{{ x }}' }", ["x": .string("a \"b\"")]).canonicalText
                == one.canonicalText
        )
        #expect(try resolve("command: { run: a }").canonicalText != one.canonicalText)
    }

    @Test(
        arguments: [
            ("90s", 90_000), ("2m", 120_000), ("1h30m", 5_400_000), ("500ms", 500), ("7", 7_000), ("1.5", 1_500),
            ("1m0.5s", 60_500), ("1d", 86_400_000), ("0", 0),
        ]
    )
    func `a duration is read`(_ text: String, _ milliseconds: Int) throws {
        let step = try resolve("wait_for: { within: '\(text)' }")
        #expect(step.parameters.duration("within") == .milliseconds(milliseconds))
    }

    @Test(arguments: [
        "1x", "m", "-1", "1m1h", "1s1s", "1 m", "1m30", "1..5", ".5", "5.", "999999999999d", "nan", "inf",
    ])
    func `what is no duration is refused`(_ text: String) {
        #expect(problems(of: "wait_for: { within: '\(text)' }").first?.contains("must be a duration") == true)
    }

    @Test func `a parameter with one value only says why, also to a variable`() {
        let reason = "there is no quorum to be kept"
        let written = problems(of: "etcd_ready: { checks: { leader: warn, copy_disk: allow } }")
        #expect(written.count == 1)
        #expect(written[0].contains("'etcd_ready.checks.leader' must be `refuse`, always, not 'warn'"), "\(written)")
        #expect(written[0].contains(reason))
        let variables: [String: Value] = ["checks": .map(["leader": .string("allow")])]
        let filled = problems(of: "etcd_ready: { checks: '{{ checks }}' }", variables)
        #expect(filled.count == 1 && filled[0].contains(reason), "\(filled)")
        #expect(problems(of: "etcd_ready: { checks: { leader: refuse } }").isEmpty)
        #expect(problems(of: "etcd_ready: { checks: '{{ checks }}' }", ["checks": .map([:])]).isEmpty)
    }
}
