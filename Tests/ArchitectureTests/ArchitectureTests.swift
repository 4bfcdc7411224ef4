// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The arrow of imports goes down one list only; a module that reaches up, or past its border, fails here.
@Suite struct ArchitectureTests {
    /// From the top of the stack to its bottom.
    ///
    /// A module may import those below it.
    static let stack = [
        "pawl", "PawlCommands", "Reports", "Lab", "Engine", "Actions", "Etcd", "Rollout", "Journal", "SSH", "Remote",
        "Playbooks", "Fleet", "CLibSSH2", "CZlib",
    ]

    /// Libraries that only these modules may see.
    static let borders: [String: Set<String>] = [
        "CLibSSH2": ["SSH"],
        "CZlib": ["Journal"],
        "CryptoExtras": ["Fleet"],
        "GRDB": ["Journal"],
        "Yams": ["Fleet", "Playbooks"],
        "ArgumentParser": ["PawlCommands"],
    ]

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    struct Import: Hashable, CustomStringConvertible {
        var file: String
        var from: String
        var to: String
        var description: String { "\(file): \(from) imports \(to)" }
    }

    static func imports() throws -> [Import] {
        let sources = root.appending(path: "Sources")
        let files = try FileManager.default.subpathsOfDirectory(atPath: sources.path).filter { $0.hasSuffix(".swift") }
        var found: [Import] = []
        for path in files {
            let text = try String(contentsOf: sources.appending(path: path), encoding: .utf8)
            let module = path.split(separator: "/").first.map { String($0) } ?? ""
            for line in text.split(separator: "\n") {
                guard let target = imported(by: line) else { continue }
                found.append(Import(file: path, from: module, to: target))
            }
        }
        return found
    }

    /// The module that a line imports.
    private static func imported(by line: Substring) -> String? {
        let words = line.split(separator: " ").map { String($0) }
        guard let index = words.firstIndex(of: "import"), index <= 2, index + 1 < words.count else { return nil }
        guard words[..<index].allSatisfy({ $0.hasPrefix("@") || $0 == "package" || $0 == "internal" }) else {
            return nil
        }
        let kinds = ["struct", "class", "enum", "protocol", "func"]
        guard let target = words[(index + 1)...].first(where: { !kinds.contains($0) }) else { return nil }
        return target.split(separator: ".").first.map { String($0) } ?? target
    }

    @Test func `imports between modules go down only`() throws {
        let found = try Self.imports()
        #expect(found.count > 50, "the reader of imports finds next to nothing")
        let upward = found.filter { item in
            guard let from = Self.stack.firstIndex(of: item.from), let to = Self.stack.firstIndex(of: item.to) else {
                return false
            }
            return to <= from
        }
        #expect(upward.isEmpty, "\(upward)")
    }

    @Test func `every folder of Sources is a module of the stack`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "Sources").path)
        #expect(Set(folders) == Set(Self.stack))
    }

    @Test func `libraries stay behind their borders`() throws {
        let trespassers = try Self.imports().filter { item in
            guard let allowed = Self.borders[item.to] else { return false }
            return !allowed.contains(item.from)
        }
        #expect(trespassers.isEmpty, "\(trespassers)")
    }

    @Test func `the rollout is pure`() throws {
        let found = try Self.imports().filter { $0.from == "Rollout" }
        #expect(found.isEmpty, "Rollout imports nothing but the standard library: \(found)")
    }
}
