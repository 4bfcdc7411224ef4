// SPDX-License-Identifier: Apache-2.0

import Fleet
import Testing

/// Host patterns; the expected hosts were checked with `ansible --list-hosts` of ansible-core 2.19.
struct HostPatternTests {
    private let inventory: Inventory
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder([
            "hosts.ini": """
            web-1.example.com
            [etcd]
            n3
            n1
            n2
            [apis]
            n1
            n4
            [west]
            n[1:2]
            [empty]
            [prod:children]
            apis
            etcd
            """,
            "limit.txt": "n2\n\napis\n",
        ])
        inventory = try Inventory.load([folder.file("hosts.ini")])
    }

    private func names(_ pattern: String, limit: String? = nil) throws -> [String] {
        try inventory.hosts(matching: pattern, limit: limit).map(\.name)
    }

    @Test(arguments: [
        ("all", "web-1.example.com n1 n2 n4 n3"), ("*", "web-1.example.com n1 n2 n4 n3"), ("etcd", "n3 n1 n2"),
        ("n4", "n4"), ("n4,n1", "n4 n1"), ("n4, n1 ,", "n4 n1"), ("etcd:apis", "n3 n1 n2 n4"), ("etcd:&west", "n1 n2"),
        ("etcd:!n1", "n3 n2"), ("!etcd", "web-1.example.com n4"), ("&west", "n1 n2"), ("!n1:etcd", "n3 n2"),
        ("prod:&west:!n2", "n1"), ("etcd,!n3", "n1 n2"),
        ("n?", "n3 n1 n2 n4"), ("*.example.com", "web-1.example.com"), ("web-1.example.com", "web-1.example.com"),
        ("~n[34]", "n3 n4"), ("~[mn][3-]", "n3"), ("~(et|ap)", "n3 n1 n2 n4"), ("etcd[0]", "n3"), ("etcd[-1]", "n2"),
        ("etcd[0:1]", "n3 n1"),
        ("etcd[1:]", "n1 n2"), ("etcd[1:9]", "n1 n2"), ("etcd[0]:apis[-1]", "n3 n4"), ("etcd:!etcd[0]", "n1 n2"),
        ("e*", "n3 n1 n2"), ("ungrouped", "web-1.example.com"), ("etcd:!nothing*", "n3 n1 n2"), ("n[!3]", "n1 n2 n4"),
        ("empty:n1", "n1"),
    ])
    func `a pattern means what it means to Ansible`(pattern: String, expected: String) throws {
        #expect(try names(pattern).joined(separator: " ") == expected)
    }

    @Test(arguments: [
        ("n9", "no host and no group matches `n9`"), ("etdc", "no host and no group matches `etdc`"),
        ("etcd:!n9", "no host and no group matches `n9`"), ("etcd:&wets", "no host and no group matches `wets`"),
        ("x*", "no host and no group matches `x*`"), ("empty", "the host pattern `empty` leaves no host"),
        ("etcd:!etcd", "the host pattern `etcd:!etcd` leaves no host"),
        ("etcd[3]", "`etcd[3]` is beyond the 3 hosts of `etcd`"),
        ("etcd[2:0]", "the subscript of `etcd[2:0]` ends before it begins"), ("~(", "`(` is not a regular expression"),
        ("~[[:alpha:]]1,n2", "`[[:alpha:]]1` has sets within a set"),
        ("~[a-z&&[n]]1,n2", "`[a-z&&[n]]1` has sets within a set"),
        ("~[", "the brackets of the host pattern `~[` do not match"),
        ("etcd:!", "`!` in the host pattern `etcd:!` names nothing"),
        ("~", "`~` in the host pattern `~` names nothing"),
        ("", "the host pattern `` is empty"), ("localhost", "no host and no group matches `localhost`"),
    ])
    func `a pattern that names nothing is refused`(pattern: String, expected: String) throws {
        let error = #expect(throws: DiagnosticsError.self) { try names(pattern) }
        #expect(error?.diagnostics.map(\.summary) == [expected])
    }

    @Test(arguments: [
        ("web*[-1]", "web2"), ("w*[1:]", "web2 n9 web1"), ("etcd_*[2]", "n2"), ("etcd_*[1:2]", "n2"),
        ("etcd_*[3]", "n3"),
        ("etcd_*", "n1 n2 n3"),
    ])
    func `a subscript counts a host as often as the groups of a glob have it`(pattern: String, expected: String) throws
    {
        let folder = try TemporaryFolder([
            "hosts.ini": "[web]\nweb1\nweb2\nn9\n[etcd_a]\nn1\nn2\n[etcd_b]\nn2\nn3\n"
        ])
        let inventory = try Inventory.load([folder.file("hosts.ini")])
        #expect(try inventory.hosts(matching: pattern).map(\.name).joined(separator: " ") == expected)
    }

    @Test func `near names are suggested, and every wrong part is told`() throws {
        let error = #expect(throws: DiagnosticsError.self) { try names("etdc:!n11") }
        #expect(error?.diagnostics.map(\.remedy) == ["did you mean `etcd`?", "did you mean `n1`?"])
    }

    @Test func `a limit narrows the pattern`() throws {
        #expect(try names("prod", limit: "west") == ["n1", "n2"])
        #expect(try names("prod", limit: "!n1") == ["n4", "n3", "n2"])
        #expect(try names("etcd", limit: "@" + folder.file("limit.txt")) == ["n1", "n2"])
        let error = #expect(throws: DiagnosticsError.self) { try names("etcd", limit: "n4") }
        #expect(error?.diagnostics.first?.summary == "no host of `etcd` is within the limit `n4`")
    }
}
