// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Testing

@Suite struct YAMLDocumentTests {
    @Test func `every duplicate key is reported beside other problems`() {
        let found = problems(
            """
            hosts: etcd
            hosts: other
            vars: { "a b": 1, 'a b': 2, a: 1, a: 2, a: 3 }
            steps:
              - pause: soon
                pause: 10s
            """
        )
        #expect(found.contains("p.yaml:2:1: error: the key 'hosts' stands here a second time; it is already in line 1"))
        #expect(found.contains { $0.hasPrefix("p.yaml:3:19: error: the key 'a b' stands here a second time") })
        #expect(found.contains { $0.hasPrefix("p.yaml:3:35: error: the key 'a' stands here a second time") })
        #expect(found.contains { $0.hasPrefix("p.yaml:3:41: error: the key 'a' stands here a second time") })
        #expect(found.contains { $0.hasPrefix("p.yaml:6:5: error: the key 'pause' stands here a second time") })
        #expect(found.contains { $0.hasPrefix("p.yaml:5:12: error: 'pause.for' must be a duration") })
        #expect(found.contains { $0.contains("'a b' is no name for a variable") })
        #expect(found.count == 7, "\(found)")
    }

    @Test func `duplicate keys that cannot be told apart by a letter are still refused`() {
        #expect(problems("hosts: x\n1: a\n1: b\n").contains { $0.contains("the key '1' stands more than once") })
    }

    @Test(
        arguments: [
            (
                "hosts: x\nsteps:\n\t- pause: 1\n",
                "p.yaml:3:1: error: a tab in the indentation (YAML is indented with spaces)"
            ),
            ("hosts: x\nsteps: [a, b\n", "this is not YAML: did not find expected ',' or ']'"),
            ("hosts: x\n---\nhosts: y\n", "the file holds several YAML documents"),
            ("hosts: x\n bad: y\n", "p.yaml:2:5: error: this is not YAML"),
            ("hosts: *nobody\n", "found undefined alias"),
            ("hosts: !vault |\n  abc\nsteps: [etcd_healthy]\n", "the tag '!vault' is not supported"),
            ("hosts: x\nsteps: [{pause: {{ a }}}]\n", "must be quoted"),
            ("hosts: x\nsteps:\n  - pause: {{ a }}s\n", "text that holds '{{' at its start must be quoted"),
            ("hosts: x\u{7}\n", "p.yaml:1:9: error: this is not YAML: control characters are not allowed"),
        ]
    )
    func `what is not YAML is told with its place`(_ text: String, _ words: String) {
        let found = problems(text)
        #expect(found.contains { $0.contains(words) }, "\(found)")
    }

    @Test func `a byte order mark and Windows line ends are no problem`() {
        #expect(problems("\u{FEFF}hosts: x\r\nsteps:\r\n  - pause: 1\r\n") == [])
    }

    @Test func `an alias stands for what it names, and one that expands without end is refused`() throws {
        let playbook = try readPlaybook("hosts: x\nvars: { a: &it [1], b: *it }\nsteps: [etcd_healthy]\n")
        #expect(playbook.vars["b"]?.value == .list([.int(1)]))
        var bomb = "hosts: x\nsteps: [etcd_healthy]\nvars:\n  a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        for level in 1...8 {
            let item = "*a\(level - 1)"
            bomb += "  a\(level): &a\(level) [\(Array(repeating: item, count: 9).joined(separator: ", "))]\n"
        }
        #expect(problems(bomb).contains { $0.contains("expands to too many values") })
    }

    @Test func `numbers that would change when printed stay text`() throws {
        let text = "a: 0644, b: 3.10, c: 1_000, d: 3.4, e: 7, f: +5, g: '7', h: 1e400, i: ~, j: off, k: 0x1F"
        let vars = try readPlaybook("hosts: x\nvars: { \(text) }\nsteps: [etcd_healthy]\n").vars.mapValues(\.value)
        #expect(vars["a"] == .string("0644"))
        #expect(vars["b"] == .string("3.10"))
        #expect(vars["c"] == .string("1_000"))
        #expect(vars["d"] == .double(3.4))
        #expect(vars["e"] == .int(7))
        #expect(vars["f"] == .string("+5"))
        #expect(vars["g"] == .string("7"))
        #expect(vars["h"] == .string("1e400"))
        #expect(vars["i"] == .null)
        #expect(vars["j"] == .bool(false))
        #expect(vars["k"] == .string("0x1F"))
    }

    @Test func `a file that cannot be read as text is told apart`() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "pawl-playbooks-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let latin = directory.appending(path: "latin.yaml")
        try Data(Array("hosts: x\n# caf".utf8) + [0xE9] + Array("\n".utf8)).write(to: latin)
        func problem(_ path: String) -> String {
            do throws(DiagnosticsError) {
                _ = try PlaybookReader.read(path: path, actions: SampleActions.all)
                return "none"
            } catch {
                return error.description
            }
        }
        #expect(problem(latin.path) == "\(latin.path):2:6: error: not UTF-8 (save the playbook as UTF-8)")
        #expect(problem(directory.path).contains("this is a directory, not a playbook"))
        #expect(problem(directory.path + "/none.yaml").contains("there is no such playbook"))
    }
}
