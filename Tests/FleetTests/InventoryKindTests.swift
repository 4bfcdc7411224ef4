// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Testing

/// Which form a source is read as, and what of it the caller sees.
struct InventoryKindTests {
    @Test(arguments: [
        ("hosts", "[etcd]\nn1\n"), ("hosts", "etcd: {hosts: {n1: }}\n"), ("hosts.yml", "[etcd]\nn1\n"),
        ("hosts.cfg", "[etcd]\nn1\n"), ("hosts.json", "{\"etcd\": {\"hosts\": {\"n1\": {}}}}"), ("hosts", "n1\n"),
        ("hosts.prod", "\u{FEFF}[etcd]\r\nn1\r\n"),
    ])
    func `the form is found as Ansible finds it`(name: String, text: String) throws {
        let folder = try TemporaryFolder([name: text])
        #expect(try Inventory.load([folder.file(name)]).hosts.map(\.name) == ["n1"])
    }

    @Test(arguments: [
        ("hosts", "---\nall:\n  hosts: [n1]\n", "`hosts` of the group all must be a mapping"),
        ("hosts", "[etcd]\nn1 x\n", "`x` is not a variable of n1"),
        ("hosts.ini", "all:\n  hosts:\n    n1:\n", "the file is read as INI because of its name, and holds YAML"),
        ("hosts.yml", "[etcd]\nn1 x\n", "`x` is not a variable of n1"),
        ("hosts.toml", "[etcd.hosts]\nn1 = {}\n", "this is a TOML inventory"),
    ])
    func `a file of an unclear form gives one clear error`(name: String, text: String, expected: String) throws {
        let folder = try TemporaryFolder([name: text])
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load([folder.file(name)]) }
        #expect(error?.diagnostics.count == 1)
        #expect(error?.diagnostics.first?.summary.hasPrefix(expected) == true)
    }

    @Test func `a list of hosts is a source`() throws {
        let inventory = try Inventory.load(["n1,n2:2222, n3"])
        #expect(inventory.hosts.map(\.name) == ["n1", "n2", "n3"])
        #expect(inventory.host("n2")?.variables == ["ansible_port": .int(2222)])
    }

    @Test func `a list of hosts has no ranges, as in Ansible`() {
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load(["n[1:3]:22,n4"]) }
        #expect(
            error?.diagnostics.map(\.summary) == ["`n[1:3]:22` has brackets, and a list of hosts has no ranges"]
        )
    }

    @Test func `two paths joined by a comma are not taken for hosts`() {
        #expect(throws: DiagnosticsError.self) { try Inventory.load(["inventories/a.yml,inventories/b.yml"]) }
    }

    @Test func `both examples mean the same`() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("inventories").path
        let yaml = try Inventory.load([folder + "/example.yaml"])
        let ini = try Inventory.load([folder + "/example.ini"])
        #expect(yaml.canonicalText() == ini.canonicalText())
        #expect(try InventoryListing(yaml).list() == InventoryListing(ini).list())
        #expect(yaml.hosts.map(\.name) == ["etcd-1", "etcd-2", "etcd-3", "master-1", "master-2"])
        let connection = try ConnectionSettings(host: try #require(yaml.host("etcd-3")))
        let settings = try SSHConfig(.none).settings(for: connection)
        #expect(settings.port == 2222 && settings.user == "deploy" && connection.becomeUser == "root")
    }

    @Test func `the canonical text knows meaning and nothing else`() throws {
        let folder = try TemporaryFolder([
            "a.yml": "etcd:\n  hosts:\n    n1: {a: 1, b: 2}\n    n2:\n",
            "b.yml": "# moved\n\netcd: {hosts: {n1: {b: 2, a: 1}, n2: }}\n",
            "c.yml": "etcd: {hosts: {n2: , n1: {b: 2, a: 1}}}\n",
            "d.yml": "etcd: {hosts: {n1: {b: 2, a: 1.0}, n2: }}\n",
        ])
        let texts = try ["a", "b", "c", "d"].map { try Inventory.load([folder.file("\($0).yml")]).canonicalText() }
        #expect(texts[0] == texts[1])
        #expect(Set(texts).count == 3)
    }

    @Test func `magic variables are given and kept out of the variables`() throws {
        let folder = try TemporaryFolder(["a.ini": "[etcd]\nn1.example.com\n10.0.0.1\n[prod:children]\netcd\n"])
        let inventory = try Inventory.load([folder.file("a.ini")])
        let host = try #require(inventory.host("n1.example.com"))
        #expect(host.variables.isEmpty)
        let magic = inventory.magicVariables(of: host)
        #expect(magic["inventory_hostname"] == .string("n1.example.com"))
        #expect(magic["inventory_hostname_short"] == .string("n1"))
        #expect(magic["group_names"] == .list([.string("etcd"), .string("prod")]))
        #expect(magic["groups"]?.asMap?["prod"] == .list([.string("n1.example.com"), .string("10.0.0.1")]))
        let address = try #require(inventory.host("10.0.0.1"))
        #expect(inventory.magicVariables(of: address)["inventory_hostname_short"] == .string("10.0.0.1"))
    }

    @Test func `a variable remembers where it was set`() throws {
        let folder = try TemporaryFolder([
            "a.ini": "[etcd]\nn1 a=1\n[etcd:vars]\na=2\nb=3\n", "host_vars/n1": "\nc: 1\n",
        ])
        let host = try #require(try Inventory.load([folder.file("a.ini")]).host("n1"))
        #expect(host.location.line == 2)
        #expect(host.variableLocations.mapValues(\.line) == ["a": 2, "b": 5, "c": 2])
        #expect(host.variableLocations["c"]?.file == folder.file("host_vars/n1"))
    }
}
