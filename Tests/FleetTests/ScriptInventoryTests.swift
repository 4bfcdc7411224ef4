// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Fleet

/// Programs that print an inventory; the cases of `scripts/diff-inventory` compare whole ones with Ansible.
@Suite(.timeLimit(.minutes(1)))
struct ScriptInventoryTests {
    /// A folder with the program `hosts`, which is a shell script of these lines.
    private func folder(_ lines: String) throws -> TemporaryFolder {
        let folder = try TemporaryFolder(["hosts": "#!/bin/sh\n" + lines])
        try folder.makeExecutable("hosts")
        return folder
    }

    private func load(_ lines: String) throws -> Inventory {
        let folder = try folder(lines)
        return try Inventory.load([folder.file("hosts")])
    }

    /// What is wrong with what a program prints: `--list:line:column summary`.
    private func problems(_ lines: String) throws -> [String] {
        let folder = try folder(lines)
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load([folder.file("hosts")]) }
        return (error?.diagnostics ?? []).map { problem in
            #expect(problem.remedy?.isEmpty == false, "\(problem.summary) has no remedy")
            return "\(problem.location.map { "\($0) " } ?? "")\(problem.summary)"
                .replacing(folder.file("hosts") + " ", with: "").replacing(folder.path + "/", with: "")
        }
    }

    private func printing(_ json: String) -> String { "cat <<'END'\n\(json)\nEND\n" }

    @Test func `groups, variables and children are read, and hosts keep their order`() throws {
        let inventory = try load(
            printing(
                """
                {
                  "prod": {"children": ["etcd"], "vars": {"a": "group", "b": "group"}},
                  "etcd": {"hosts": ["n3", "n1"], "vars": {"b": "etcd"}},
                  "_meta": {"hostvars": {"n1": {"c": [1, 2.5, true, null]}, "stranger": {"c": 1}}}
                }
                """
            )
        )
        #expect(inventory.hosts.map(\.name) == ["n3", "n1"])
        let host = try #require(inventory.host("n1"))
        #expect(host.variables["a"] == .string("group") && host.variables["b"] == .string("etcd"))
        #expect(host.variables["c"] == .list([.int(1), .double(2.5), .bool(true), .null]))
        #expect(host.variableLocations["c"]?.file.hasSuffix("/hosts --list") == true)
        #expect(host.variableLocations["c"]?.line == 4)
    }

    @Test func `what would be wrong in YAML alone is taken from JSON`() throws {
        let inventory = try load(
            printing(
                #"{"web": {"hosts": ["n1"], "vars": {"a": 1, "b": 2, "a": 3}, "hosts": ["n2"]}, "_meta": {"hostvars": {}}}"#
            )
        )
        #expect(inventory.hosts.map(\.name) == ["n2"])
        #expect(inventory.host("n2")?.variables == ["a": .int(3), "b": .int(2)])
    }

    @Test func `numbers are read that Python writes and JSON does not know`() throws {
        let numbers =
            #"{"a": NaN, "b": [Infinity, -Infinity], "c": 1E400, "d": 1.5e-400, "e": "NaN 1e400", "f": {"NaN": 1}}"#
        let inventory = try load(
            printing(#"{"web": {"hosts": ["n1"], "vars": \#(numbers)}, "_meta": {"hostvars": {}}}"#)
        )
        let listing = try InventoryListing(inventory).host("n1")
        #expect(
            listing.replacing(/\s+/, with: " ")
                == #"{ "a": NaN, "b": [ Infinity, -Infinity ], "c": Infinity, "d": 0.0, "e": "NaN 1e400", "f": { "NaN": 1 } }"#
        )
    }

    @Test func `a host called all is refused`() throws {
        #expect(
            try problems(printing(#"{"all": {}, "web": {"hosts": ["n1"]}, "_meta": {"hostvars": {}}}"#))
                .contains("--list:1:2 a host cannot be called all")
        )
    }

    @Test func `without _meta each host is asked for, and may have nothing`() throws {
        let inventory = try load(
            """
            case "$1 $2" in
            "--list ") echo '{"etcd": ["n1", "n2"], "web": {"hosts": ["n1"]}}' ;;
            "--host n1") echo '{"asked": "'"$2"'"}' ;;
            "--host n2") ;;
            *) exit 9 ;;
            esac
            """
        )
        #expect(inventory.host("n1")?.variables == ["asked": .string("n1")])
        #expect(inventory.host("n2")?.variables == [:])
        #expect(inventory.hostNames(inGroup: "web") == ["n1"])
    }

    @Test func `with an empty _meta no host is asked for`() throws {
        let inventory = try load(
            "[ $1 = --list ] || exit 9\n" + printing(#"{"e": {"hosts": ["n1"]}, "_meta": {"hostvars": {}}}"#)
        )
        #expect(inventory.host("n1")?.variables == [:])
    }

    @Test func `a script is one source of several, with group_vars beside it`() throws {
        let folder = try folder(printing(#"{"etcd": {"hosts": ["n1"]}, "_meta": {"hostvars": {"n1": {"a": 1}}}}"#))
        try folder.write(Data("[etcd]\nn2\n".utf8), to: "more.ini")
        try folder.write(Data("b: 2\n".utf8), to: "group_vars/etcd.yml")
        let inventory = try Inventory.load([folder.file("hosts"), folder.file("more.ini")])
        #expect(inventory.hostNames(inGroup: "etcd") == ["n1", "n2"])
        #expect(inventory.host("n1")?.variables == ["a": .int(1), "b": .int(2)])
        #expect(try Inventory.load([folder.path]).hosts.map(\.name).sorted() == ["n1", "n2"])
    }

    @Test func `every text of JSON is read, as Python writes it`() throws {
        let inventory = try load(
            printing(
                #"{"e": {"hosts": ["n1"], "vars": {"a": "\ud83d\ude00\u00e9 \/ \\ud83d\t", "n": 1e3, "m": -0.5}}}"#
            )
            .replacing("\\/", with: "\\u002f")
        )
        let variables = inventory.host("n1")?.variables
        #expect(variables?["a"] == .string("\u{1F600}é / \\ud83d\t"))
        #expect(variables?["n"] == .double(1000) && variables?["m"] == .double(-0.5))
    }

    @Test func `a script that prints much on both sides comes to its end`() throws {
        let inventory = try load(
            """
            head -c 300000 /dev/zero | tr '\\0' x >&2
            printf '{"e": {"hosts": ["n1"], "vars": {"long": "'
            head -c 300000 /dev/zero | tr '\\0' y
            printf '"}}, "_meta": {"hostvars": {}}}'
            """
        )
        #expect(inventory.host("n1")?.variables["long"]?.asString?.count == 300_000)
        #expect(inventory.warnings.count == 1)
    }

    @Test func `what a script says on stderr is a warning`() throws {
        let inventory = try load(
            "echo 'cache is  old' >&2; echo >&2; echo '{\"e\": {\"hosts\": [\"n1\"]}, \"_meta\": {\"hostvars\": {}}}'\n"
        )
        #expect(inventory.warnings.map(\.severity) == [.warning])
        #expect(inventory.warnings.first?.summary == "the script said on stderr: cache is  old")
    }

    @Test func `a group without hosts, vars and children stands for a host, as in Ansible, and is warned of`() throws {
        let inventory = try load(printing(#"{"lone": {"a": 1}, "_meta": {"hostvars": {}}}"#))
        #expect(inventory.hostNames(inGroup: "lone") == ["lone"])
        #expect(inventory.host("lone")?.variables == ["a": .int(1)])
        #expect(inventory.warnings.contains { $0.summary.contains("a host of its name is made of it") })
    }

    @Test(arguments: [
        ("exit 3\n", ["--list:1:1 the script failed; it ended with the exit status 3, and said nothing on stderr"]),
        (
            "echo no token >&2; exit 1\n",
            ["--list:1:1 the script failed; it ended with the exit status 1: no token"]
        ),
        ("kill -9 $$\n", ["--list:1:1 the script failed; it was ended by the signal 9, and said nothing on stderr"]),
        ("true\n", ["--list:1:1 the script printed nothing"]),
        ("echo all:\n", ["--list:1:1 what the script printed is not JSON; it begins with `all:`"]),
        ("echo '[]'\n", ["--list:1:1 the script printed a list, not a JSON object"]),
        ("printf '\\377'\n", ["--list:1:1 the script printed what is not UTF-8"]),
        ("echo '{}'\n", ["hosts:1:1 the inventory holds no host"]),
    ])
    func `a script that gives no inventory is told by what it did`(lines: String, expected: [String]) throws {
        #expect(try problems(lines) == expected)
    }

    @Test func `all that is wrong with what a script prints is told at once`() throws {
        let json = """
            {
              "a": {"hosts": "n1"},
              "b": {"hosts": ["n1", 7, ""], "vars": []},
              "c": {"children": {"d": 1}},
              "d": {"children": ["d", null]},
              "e": 5,
              "f": {"hosts": ["n1"], "vars": {"ansible_port": 0}},
              "_meta": {"hostvars": {"n1": 3}}
            }
            """
        #expect(
            try problems(printing(json)) == [
                "--list:2:18 the hosts of the group a are the text `n1`, not a list",
                "--list:3:25 a host of the group b is the number 7, not a name",
                "--list:3:28 a host of the group b is an empty text, not a name",
                "--list:3:41 the vars of the group b are a list, not an object",
                "--list:4:21 the children of the group c are a mapping, not a list",
                "--list:5:22 the group d is a child of itself",
                "--list:5:27 a child of the group d is nothing, not a name",
                "--list:6:8 the hosts of the group e are the number 5, not a list",
                "--list:7:35 ansible_port is the number 0, not a port",
                "--list:8:32 the variables of the host n1 are the number 3, not an object",
            ]
        )
        #expect(
            try problems(printing(#"{"a": ["n1"], "_meta": {}}"#)) == ["--list:1:24 `_meta` has no object `hostvars`"]
        )
    }

    @Test func `a script that cannot be run is told, with why`() throws {
        let folder = try TemporaryFolder(["hosts": "#!/nowhere/python3\n"])
        try folder.makeExecutable("hosts")
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load([folder.file("hosts")]) }
        #expect(error?.diagnostics.map(\.summary) == ["the script cannot be run: No such file or directory"])
    }

    @Test func `an answer for one host that is broken is told with the host`() throws {
        let found = try problems(
            "case $1 in --list) echo '{\"e\": {\"hosts\": [\"n1\", \"n2\"]}}' ;; *) echo \"[$2\" ;; esac\n"
        )
        #expect(
            found == [
                "--host n1:1:1 what the script printed is not JSON; it begins with `[n1`",
                "--host n2:1:1 what the script printed is not JSON; it begins with `[n2`",
            ]
        )
    }
}
