// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Testing

/// Everything that is wrong with an inventory is told at once, with its place.
struct InventoryErrorTests {
    /// The problems of one file, as `line:column summary`.
    private func problems(_ name: String, _ text: String) throws -> [String] {
        try problems(TemporaryFolder([name: text]), [name])
    }

    private func problems(_ folder: TemporaryFolder, _ names: [String]) throws -> [String] {
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load(names.map(folder.file)) }
        return (error?.diagnostics ?? []).map { problem in
            #expect(problem.remedy?.isEmpty == false, "\(problem.summary) has no remedy")
            let place = problem.location.map { "\($0.line):\($0.column) " } ?? ""
            return place + problem.summary.replacingOccurrences(of: folder.path + "/", with: "")
        }
    }

    @Test func `all problems of a YAML file are told at once, from its top to its end`() throws {
        let text = """
            all:
              hosts:
                n1:
                n2: { ansible_port: 99999, ansible_host: "" }
                n3:70000:
                n4:ssh:
                "n[3:1]":
                7:
              vars:
                ansible_become: perhaps
                ansible_port: many
                ansible_group_priority: high
            etcd:
              hosts: [n1]
              children: 5
              vars: text
            weird: 5
            """
        #expect(
            try problems("a.yml", text) == [
                "4:11 ansible_port is the number 99999, not a port",
                "4:32 ansible_host is an empty text, not an address",
                "5:5 the port 70000 in `n3:70000` does not exist",
                "6:5 `ssh` after the colon in `n4:ssh` is not a port",
                "7:5 the range [3:1] ends before it begins",
                "8:5 the name of a host must be a text, not the number 7",
                "10:5 ansible_become is the text `perhaps`, not a boolean",
                "11:5 ansible_port is the text `many`, not a port",
                "12:5 ansible_group_priority is the text `high`, not a whole number",
                "14:10 `hosts` of the group etcd must be a mapping, not a list",
                "15:13 `children` of the group etcd must be a mapping, not the number 5",
                "16:9 `vars` of the group etcd must be a mapping, not the text `text`",
                "17:8 the group weird must be a mapping, not the number 5",
            ]
        )
    }

    @Test func `all problems of an INI file are told at once, from its top to its end`() throws {
        let text = """
            n1 x
            [etcd]
            n1 ansible_port=abc ansible_become=maybe
            n2 a="b
            [etcd:varz]
            ignored because the section is not understood
            [prod children]
            [a:children]
            nope
            not a group
            [zzz:vars]
            k=v
            novalue
            [c]
            h:99999
            h:
            www[1:]
            www[aa:bb]
            www[01:100]
            www[1:5:0]
            [unclosed
            """
        #expect(
            try problems("a.ini", text) == [
                "1:4 `x` is not a variable of n1",
                "3:4 ansible_port is the text `abc`, not a port",
                "3:21 ansible_become is the text `maybe`, not a boolean",
                "4:6 the line cannot be read: a quote is opened and not closed",
                "5:1 the section [etcd:varz] is of an unknown kind",
                "7:1 `[prod children]` is not a section header",
                "9:1 [a:children] names the group nope, which is not defined",
                "10:1 `not a group` is not the name of a group, in [a:children]",
                "11:1 [zzz:vars] is for the group zzz, which is not defined",
                "13:1 `novalue` is not a variable, in [zzz:vars]",
                "15:1 the port 99999 in `h:99999` does not exist",
                "16:1 `h:` ends in a colon",
                "17:1 the range [1:] has no end",
                "18:1 the range [aa:bb] is neither of numbers nor of single letters",
                "19:1 begin and end of the range [01:100] have different lengths",
                "20:1 the step of the range [1:5:0] is not 1 or more",
                "21:1 `[unclosed` is not a section header",
            ]
        )
    }

    @Test func `every duplicate key is found, with both places`() throws {
        let text = """
            all:
              hosts:
                n1:
                "n1":
                n2: { a: 1, b: 2, a: 3, 'b': { c: 1, c: 2 } }
              vars:
              vars: { ansible_port: 0 }
            """
        #expect(
            try problems("a.yml", text) == [
                "4:5 the key `n1` is given twice, first at a.yml:3:5",
                "5:23 the key `a` is given twice, first at a.yml:5:11",
                "5:29 the key `b` is given twice, first at a.yml:5:17",
                "5:42 the key `c` is given twice, first at a.yml:5:36",
                "7:3 the key `vars` is given twice, first at a.yml:6:3",
                "7:11 ansible_port is the number 0, not a port",
            ]
        )
    }

    @Test(arguments: [
        ("a.ini", "[etcd]\nn1 ansible_host=a\nn2\nn1 ansible_host=b\n", "4:4", "2:4", "ansible_host", "b"),
        ("a.ini", "n[1:2] ansible_ssh_host=a\nn1 ansible_ssh_host=b\n", "2:4", "1:8", "ansible_ssh_host", "b"),
        (
            "a.yml", "all: {hosts: {n1: {ansible_host: a}}}\nweb: {hosts: {n1: {ansible_host: b}}}\n", "2:20", "1:20",
            "ansible_host", "b"
        ),
    ])
    func `two addresses of a host in one file are told with both places, and the last counts`(
        name: String,
        text: String,
        place: String,
        first: String,
        variable: String,
        address: String
    ) throws {
        let folder = try TemporaryFolder([name: text])
        let inventory = try Inventory.load([folder.file(name)])
        let file = folder.file(name)
        #expect(
            inventory.warnings.map(\.description) == [
                "\(file):\(place): warning: \(variable) of n1 is given twice, first at \(file):\(first); this one counts "
                    + "(remove one of the two, or correct the host's name)"
            ]
        )
        #expect(inventory.host("n1")?.variables[variable] == .string(address))
    }

    @Test func `a host that is listed again is no mistake`() throws {
        let folder = try TemporaryFolder([
            "a.ini": "n1 ansible_host=a\n[etcd]\nn[1:3] x=1\nn1 ansible_host=a x=2\n", "b.ini": "n1 ansible_host=b\n",
        ])
        let inventory = try Inventory.load([folder.file("a.ini"), folder.file("b.ini")])
        #expect(inventory.warnings.isEmpty)
        #expect(inventory.host("n1")?.variables == ["ansible_host": .string("b"), "x": .int(2)])
    }

    @Test func `a group that is its own ancestor is refused`() throws {
        #expect(
            try problems("a.yml", "a: { children: { b: { children: { c: { children: { a: } } } } } }\n") == [
                "1:18 the group b cannot be a child of a, which is already under b"
            ]
        )
        #expect(
            try problems("a.ini", "[a:children]\nb\n[b:children]\na\nb\n") == [
                "4:1 the group a cannot be a child of b, which is already under a",
                "5:1 the group b is a child of itself",
            ]
        )
        #expect(
            try problems("a.ini", "n1\n[dc:children]\nall\n") == [
                "3:1 the group all cannot be a child of dc, which is already under all"
            ]
        )
        #expect(
            try problems("a.yml", "dc: { children: { all: { hosts: { n1: } } } }\n") == [
                "1:19 the group all cannot be a child of dc, which is already under all"
            ]
        )
    }

    @Test func `an unknown key of a group is answered with the key that was meant`() throws {
        let folder = try TemporaryFolder(["a.yml": "all:\n  childs:\n  hots: {n1: }\n  etcd: {hosts: {n1: }}\n"])
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load([folder.file("a.yml")]) }
        let remedies = error?.diagnostics.map { $0.remedy ?? "" } ?? []
        #expect(remedies.count == 3)
        #expect(remedies.first?.hasPrefix("did you mean `children`?") == true)
        #expect(remedies.dropFirst().first?.hasPrefix("did you mean `hosts`?") == true)
        #expect(remedies.last?.hasPrefix("put a group under `children:`") == true)
    }

    @Test(arguments: [
        ("all:\n\thosts:\n\t\tn1:\n", ["2:1 a tab in the indentation", "3:1 a tab in the indentation"]),
        ("all:\n  hosts:\n    n1: a: b\n", ["3:10 YAML syntax: mapping values are not allowed"]),
        ("all:\n  hosts: {n1: \n", ["3:1 YAML syntax: did not find expected"]),
        ("all: {hosts: {n1: *no}}\n", ["1:19 YAML syntax: found undefined alias"]),
        ("all: {hosts: {n1: }}\n---\nx:\n", ["2:1 YAML syntax: but found another document"]),
        ("all: \u{1}\n", ["1:6 YAML syntax: control characters are not allowed"]),
        ("- n1\n- n2\n", ["1:1 a YAML inventory is a mapping of groups, not a list"]),
        ("just text\n", ["1:1 a YAML inventory is a mapping of groups, not the text"]),
        (
            "all: {vars: {a: !vault x, b: !what x}}\n",
            ["1:17 what is marked as encrypted by Ansible Vault does not begin", "1:30 the tag !what is not known"]
        ),
        ("plugin: aws_ec2\n", ["1:1 this is the configuration of the inventory plugin aws_ec2"]),
        (
            "all: {vars: {a: =, b: <<, c: 2024-13-45, d: \"=\", <<: {e: 1}}}\n",
            [
                "1:17 `=` is a sign of YAML's own", "1:23 `<<` is a sign of YAML's own",
                "1:30 `2024-13-45` is a date or a",
            ]
        ),
        ("all: {vars: {a: &x 1, b: &x 2, c: *x}}\n", ["1:26 the anchor `&x` is given twice, first at"]),
        ("$ANSIBLE_VAULT;1.1;AES256\n61\n", ["1:1 what Ansible Vault encrypted is cut off"]),
        ("# nothing\n", ["1:1 the inventory holds no host"]),
        ("all:\n  vars: {a: 1}\n", ["1:1 the inventory holds no host"]),
    ])
    func `a file that is no inventory is told by what it is`(text: String, expected: [String]) throws {
        let found = try problems("a.yml", text)
        #expect(found.count == expected.count, "\(found)")
        for (problem, start) in zip(found, expected) { #expect(problem.hasPrefix(start)) }
    }

    @Test(arguments: [
        ("k: {{ x }}\n", "1:5 the key of a mapping is a mapping, not a text"),
        ("k: {[1]: x}\n", "1:5 the key of a mapping is a list, not a text"),
        ("? [a]\n: x\n", "1:3 the key of a mapping is a list, not a text"),
    ])
    func `a template without quotes and other keys that name nothing are refused`(text: String, expected: String) throws
    {
        let folder = try TemporaryFolder(["hosts": "n1\n", "group_vars/all.yml": text])
        #expect(try problems(folder, ["hosts"]) == [expected])
    }

    @Test func `a tab within a value is no mistake`() throws {
        let folder = try TemporaryFolder([
            "a.yml": "all:\n  hosts: {n1: }\n  vars:\n    a: |\n      x:\ty\n      \tk: v\n"
        ])
        #expect(try Inventory.load([folder.file("a.yml")]).host("n1")?.variables["a"] == .string("x:\ty\n\tk: v\n"))
    }

    @Test func `bytes that are not UTF-8 are told with their place, except in comments of INI`() throws {
        let folder = try TemporaryFolder()
        try folder.write(Data("n1\n# ".utf8) + [0xFF, 0x0A] + Data("n2 a=".utf8) + [0xE4, 0x0A], to: "a.ini")
        #expect(try problems(folder, ["a.ini"]) == ["3:6 the line is not UTF-8"])
    }

    @Test(arguments: ["hosts", "hosts.ini", "hosts.yml"])
    func `a comment of INI may hold any bytes, whatever the file is called`(name: String) throws {
        let folder = try TemporaryFolder()
        let text = Data(
            "# gr\u{FC}n\n  ; ü\n[etcd] # ü\nn1 a=1 # ü\n[web:children] # ü\netcd # ü\n".unicodeScalars.map {
                UInt8($0.value)
            }
        )
        try folder.write(text, to: name)
        let inventory = try Inventory.load([folder.file(name)])
        #expect(inventory.hostNames(inGroup: "web") == ["n1"])
        #expect(inventory.host("n1")?.variables == ["a": .int(1)])
    }

    @Test func `bytes that are not UTF-8 outside of a comment are told wherever they mean something`() throws {
        let folder = try TemporaryFolder()
        let lines = [
            "[w\u{FC}]", "[web]", "n\u{FC}", "n1 a=\u{FC}", "[web:vars]", "a = 1 # \u{FC}", "[x:children]", "w\u{FC}",
        ]
        try folder.write(Data(lines.joined(separator: "\n").unicodeScalars.map { UInt8($0.value) }), to: "hosts")
        #expect(
            try problems(folder, ["hosts"])
                == [1, 3, 4, 6, 8].map { line in
                    "\(line):\([1: 2, 3: 2, 4: 6, 6: 9, 8: 2][line] ?? 0) the line is not UTF-8"
                }
        )
        try folder.write(Data("all:\n  hosts:\n    n1: # \u{FC}\n".unicodeScalars.map { UInt8($0.value) }), to: "hosts")
        #expect(try problems(folder, ["hosts"]) == ["3:11 the line is not UTF-8"])
    }

    @Test func `a missing file is answered with a file of a like name`() throws {
        let folder = try TemporaryFolder(["prod.yaml": "all: {hosts: {n1: }}\n"])
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load([folder.file("prd.yaml")]) }
        #expect(error?.diagnostics.first?.summary == "there is no such file")
        #expect(error?.diagnostics.first?.remedy == "did you mean `prod.yaml`?")
    }

    @Test func `a missing file of one letter is told as any other`() throws {
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load(["\u{E9}"]) }
        #expect(error?.diagnostics.first?.summary == "there is no such file")
    }

    @Test(.enabled(if: getuid() != 0, "root reads every file"))
    func `an unreadable file is told`() throws {
        let folder = try TemporaryFolder(["a.yml": "all: {hosts: {n1: }}\n"])
        try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: folder.file("a.yml"))
        #expect(try problems(folder, ["a.yml"]) == ["1:1 the file cannot be read"])
    }

    @Test func `problems of all sources and of group_vars come together`() throws {
        let folder = try TemporaryFolder([
            "a.yml": "etcd: {hosts: {n1: {ansible_port: x}}}\n", "b.ini": "[web]\nn2 y\n",
            "group_vars/etcd.yml": "ansible_become: 7\n", "host_vars/n1/a.yml": "- list\n", "host_vars/n2": "a: b: c\n",
        ])
        #expect(
            try problems(folder, ["a.yml", "b.ini", "c.yml"]) == [
                "1:21 ansible_port is the text `x`, not a port",
                "2:4 `y` is not a variable of n2",
                "1:1 there is no such file",
                "1:1 ansible_become is the number 7, not a boolean",
                "1:1 a file of variables is a mapping, not a list",
                "1:5 YAML syntax: mapping values are not allowed in this context",
            ]
        )
    }

    @Test func `a static file that has the executable bit set is read and not run`() throws {
        let folder = try TemporaryFolder(["hosts.ini": "[etcd]\nn1\n"])
        try folder.makeExecutable("hosts.ini")
        #expect(try Inventory.load([folder.file("hosts.ini")]).hosts.map(\.name) == ["n1"])
    }

    @Test func `files that are deep or endless are refused without being followed`() throws {
        let bomb = (1...9).reduce("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n") { text, level in
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            return text + "a\(level): &a\(level) [\(aliases)]\n"
        }
        #expect(try problems("a.yml", bomb) == ["1:1 the document stands for more than 500000 nodes"])
        let nested = "a: " + String(repeating: "[", count: 100_000)
        #expect(try problems("a.yml", nested).count == 1)
        #expect(
            try problems("a.ini", "[a]\nn[1:99999999]\n") == [
                "2:1 the range [1:99999999] stands for more than 100000 hosts"
            ]
        )
    }

    @Test func `a host and a group of one name are a warning, as in Ansible`() throws {
        let folder = try TemporaryFolder(["a.ini": "[etcd]\netcd\nn2\n"])
        let inventory = try Inventory.load([folder.file("a.ini")])
        #expect(inventory.warnings.map(\.severity) == [.warning])
    }
}
