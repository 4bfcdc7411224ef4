// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Testing

/// Listings against what ansible-inventory of ansible-core 2.19 printed for the same files.
///
/// `scripts/diff-inventory` compares with a living ansible-inventory and records its output anew.
struct ListingTests {
    /// The folders of the recorded cases; a case's sources are its entries whose names begin with `hosts`.
    static let cases: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted()
    }()

    static let folder = (Bundle.module.resourcePath ?? ".") + "/Fixtures/inventories"

    static func sources(of name: String) throws -> InventorySources {
        let files = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(name)").sorted()
        func paths(_ prefix: String) -> [String] { files.filter { $0.hasPrefix(prefix) } }
        let listed = try files.contains("sources") ? lines(of: "sources", in: name) : nil
        return InventorySources(
            // The lines name files of the folder of all cases, and lists of hosts.
            listed?.map { $0.contains(",") ? $0 : "\(folder)/\($0)" }
                ?? paths("hosts").map { "\(folder)/\(name)/\($0)" },
            vaultIDs: paths("vault-").map { "\($0.dropFirst("vault-".count))@\(folder)/\(name)/\($0)" }
        )
    }

    private static func lines(of file: String, in name: String) throws -> [String] {
        try String(contentsOfFile: "\(folder)/\(name)/\(file)", encoding: .utf8).split(separator: "\n").map(String.init)
    }

    /// The inventory of a case as it is listed; `-e` has simple values in it only.
    private func inventory(of name: String) throws -> Inventory {
        let inventory = try Inventory.load(try Self.sources(of: name))
        guard FileManager.default.fileExists(atPath: "\(Self.folder)/\(name)/extra") else { return inventory }
        let pairs = try Self.lines(of: "extra", in: name).map {
            $0.split(separator: "=", maxSplits: 1).map(String.init)
        }
        return inventory.overridden(by: Dictionary(pairs.map { ($0[0], Value.string($0[1])) }) { $1 })
    }

    private func recorded(_ file: String) throws -> String {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    @Test func `there are cases of every kind`() {
        #expect(Self.cases.count >= 30)
    }

    @Test(arguments: cases)
    func `the list is the one of ansible-inventory`(name: String) throws {
        let inventory = try inventory(of: name)
        #expect(try InventoryListing(inventory).list() == recorded("\(Self.folder)/\(name)/expected.json"))
    }

    @Test(arguments: cases.filter { FileManager.default.fileExists(atPath: "\(folder)/\($0)/expected.graph") })
    func `the graph with variables is the one of ansible-inventory`(name: String) throws {
        let inventory = try inventory(of: name)
        let graph = try InventoryListing(inventory).graph(showingVariables: true)
        #expect(try graph == recorded("\(Self.folder)/\(name)/expected.graph"))
    }

    @Test func `one host is listed with its merged variables`() throws {
        let inventory = try Inventory.load(try Self.sources(of: "ini-groups"))
        let text = try InventoryListing(inventory).host("b1")
        #expect(
            text == """
                {
                    "everywhere": "yes",
                    "only_top": 1,
                    "own": "host",
                    "who": "bottom"
                }
                """
        )
    }

    @Test func `a limit leaves other hosts out of the list and keeps the groups`() throws {
        let inventory = try Inventory.load(try Self.sources(of: "ini-simple"))
        let text = try InventoryListing(inventory, limit: "n2").list()
        #expect(text.contains("\"n2\"") && !text.contains("\"n1\"") && text.contains("\"apiservers\""))
    }

    @Test func `a host or group that does not exist is refused with near names`() throws {
        let inventory = try Inventory.load(try Self.sources(of: "ini-simple"))
        let listing = try InventoryListing(inventory)
        #expect(throws: DiagnosticsError.self) { try listing.host("n11") }
        let error = #expect(throws: DiagnosticsError.self) { try listing.graph(from: "etdc") }
        #expect(error?.diagnostics.first?.remedy == "did you mean `etcd`?")
    }
}
