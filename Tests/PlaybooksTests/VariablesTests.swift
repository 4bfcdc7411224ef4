// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Testing

@Suite struct VariablesTests {
    private let playbook = """
        hosts: all
        defaults: { a: default, b: default, c: default, d: default }
        vars: { c: vars, d: vars }
        steps: [{ command: "{{ a }}" }]
        """

    @Test func `defaults are below the inventory, vars above it, and the command line above all`() throws {
        let scope = VariableScope(playbook: try readPlaybook(playbook), extra: ["d": .string("extra")])
        let variables = scope.variables(
            inventory: ["b": .string("inventory"), "c": .string("inventory"), "inventory_hostname": .string("n1")]
        )
        #expect(variables["a"] == .string("default"))
        #expect(variables["b"] == .string("inventory"))
        #expect(variables["c"] == .string("vars"))
        #expect(variables["d"] == .string("extra"))
        #expect(variables["inventory_hostname"] == .string("n1"))
    }

    @Test func `variables that cannot be filled in matter only where their names do`() throws {
        let scope = VariableScope(playbook: try readPlaybook(playbook), extra: ["a": .string("{{ b }}!")])
        let inventory: [String: Value] = ["other": .string("{{ x | default('y') }}"), "good": .string("{{ c }}")]
        let filled = try scope.filledVariables(inventory: inventory)
        #expect(filled["a"] == .string("default!"))
        #expect(filled["good"] == .string("vars"))
        #expect(filled["other"] == nil)
        #expect(throws: DiagnosticsError.self) {
            try scope.filledVariables(inventory: inventory, requiring: ["other"])
        }
        // A playbook's own name must not fall back to a default behind the operator's back.
        #expect(throws: DiagnosticsError.self) {
            try scope.filledVariables(inventory: ["b": .string("{{ nowhere }}")])
        }
    }

    /// `scripts/diff-inventory` compares with a living ansible-inventory, and records its output anew.
    @Test func `what Ansible makes of -e is made of it here`() throws {
        let folder = try #require(Bundle.module.resourcePath) + "/Fixtures/extra-vars"
        let arguments = try String(contentsOfFile: folder + "/arguments", encoding: .utf8).split(separator: "\n").map {
            $0.hasPrefix("@") ? "@\(folder)/\($0.dropFirst())" : String($0)
        }
        let inventory = try Inventory.load(InventorySources(["n1,"])).overridden(by: ExtraVariables.parse(arguments))
        let expected = try String(contentsOfFile: folder + "/expected.json", encoding: .utf8)
        #expect(try InventoryListing(inventory).host("n1") + "\n" == expected)
    }

    @Test func `lines of -e are words, a backslash goes on, and nothing sets nothing`() throws {
        #expect(
            try ExtraVariables.parse(["a=1\nb=\"x\ny\" \\\n c=3", "", " ", "d=x \n e=2"]) == [
                "a": .string("1"), "b": .string("x\ny"), "c": .string("3"), "d": .string("x"), "e": .string("2"),
            ]
        )
    }

    @Test func `pairs, quotes and braces are read as Ansible reads them`() throws {
        let variables = try ExtraVariables.parse([
            "a=1 b='x y' c=\"it's\" d= e=k=v", "f={{ a }}/x g=\\\"q\\\"", "a=2", "h='a\\'b' i=C:\\dir",
        ])
        #expect(
            variables == [
                "a": .string("2"), "b": .string("x y"), "c": .string("it's"), "d": .string(""), "e": .string("k=v"),
                "f": .string("{{ a }}/x"), "g": .string("q"), "h": .string("a'b"), "i": .string("C:\\dir"),
            ]
        )
    }

    @Test func `an object keeps its types, and a file is read`() throws {
        #expect(
            try ExtraVariables.parse([#"{"a": 1, "b": [true], "c": {"d": null}}"#]) == [
                "a": .int(1), "b": .list([.bool(true)]), "c": .map(["d": .null]),
            ]
        )
        let file = FileManager.default.temporaryDirectory.appending(path: "pawl-extra-\(UUID().uuidString).yaml")
        try Data("a: text\nb: 2\n".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(try ExtraVariables.parse(["@\(file.path)"]) == ["a": .string("text"), "b": .int(2)])
    }

    @Test(
        arguments: [
            ("word", "one of its words has no '='"),
            ("a=b hunter2", "one of its words has no '='"),
            ("1a=b", "'1a' is no name for a variable"),
            ("a='b", "a quote is not closed"),
            ("a={{ b", "'{{', '{%' or '{#' is not closed"),
            ("{a: !vault x}", "encrypted by Ansible Vault"),
            ("{a: [{b: '{{ c.d }}'}]}", "a: '{{ c.d }}': a variable's parts"),
            ("[1]", "must be a mapping, not a list"),
            ("{a: ", "YAML syntax"),
            ("{a: 1, a: 2}", "given twice"),
            ("@", "names no file"),
            ("@/nowhere/x", "there is no such file of variables"),
            ("a={{ b.c }}", "-e a: '{{ b.c }}': a variable's parts"),
            ("inventory_hostname=x", "comes from the inventory"),
        ]
    )
    func `a bad -e is named and never repeated`(_ argument: String, _ words: String) {
        let error = #expect(throws: DiagnosticsError.self) { try ExtraVariables.parse([argument]) }
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
        #expect(error?.description.contains("hunter2") == false)
    }

    /// What `-e` sets is kept in the journal and on the nodes.
    @Test(arguments: [
        "ansible_become_password=x", "{ansible_ssh_pass: x}", "ansible_private_key_passphrase=x", "ansible_su_pass=x",
    ])
    func `a secret is not taken from -e, and said once`(_ argument: String) {
        let error = #expect(throws: DiagnosticsError.self) { try ExtraVariables.parse(["a=b", argument]) }
        #expect(error?.diagnostics.count == 1, "\(String(describing: error))")
        #expect(error?.description.contains("stands readable in the records of a run") == true)
    }

    @Test func `every bad -e is reported`() {
        let error = #expect(throws: DiagnosticsError.self) { try ExtraVariables.parse(["x", "a=1", "2=3"]) }
        #expect(error?.diagnostics.count == 2)
    }

    @Test func `an -e that nothing uses is warned of`() throws {
        let playbook = try readPlaybook("hosts: x\ndefaults: {etcd_user: e}\nsteps: [{ command: '{{ tool }}' }]")
        let extra: [String: Value] = [
            "etcd_usr": .string("a"), "tool": .string("{{ via }}"), "via": .string("b"), "ansible_user": .string("c"),
            "site": .string("d"), "zzz": .string("e"),
        ]
        let warnings = ExtraVariables.warnings(for: extra, playbook: playbook, known: ["site"])
        #expect(
            warnings.map(\.description) == [
                "warning: -e sets 'etcd_usr', which nothing uses (did you mean 'etcd_user'?)",
                "warning: -e sets 'zzz', which nothing uses",
            ]
        )
    }

    @Test func `the reference names every action, parameter and default`() {
        let page = ActionReference.markdown(for: SampleActions.all)
        for schema in SampleActions.all {
            #expect(page.contains("\n## \(schema.word)\n"))
            for parameter in schema.parameters { #expect(page.contains("| `\(parameter.name)` |")) }
        }
        #expect(page.contains("| `success.exit` | a whole number from 0 to 255 | `0` | The exit code. |"))
        #expect(page.contains("The command \\| the line."))
        #expect(page.contains("`pause: VALUE` is short for `pause: { for: VALUE }`."))
    }
}
