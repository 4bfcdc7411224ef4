// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Inventories of a test's own, made of the lab's.
extension ClusterFixture {
    /// The lab's inventory with a change, as a file of its own; the change must be one.
    func inventory(_ name: String = "inventory.yaml", changing change: (String) throws -> String) throws -> String {
        let lab = try String(contentsOfFile: inventory, encoding: .utf8)
        let text = try change(lab)
        try #require(text != lab, "the lab's inventory is not changed")
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// The lab's inventory with further variables of all members, lines of YAML as they stand below `vars`.
    func inventory(_ name: String = "inventory.yaml", adding variables: String) throws -> String {
        try inventory(name) { lab in
            lab + variables.split(separator: "\n").map { "    \($0)\n" }.joined()
        }
    }

    /// The commands that stop and start etcd and tell its state in an example of the repository.
    static func exampleCommands(_ example: String) throws -> String {
        let text = try String(contentsOfFile: "\(repository)/inventories/\(example)", encoding: .utf8)
        let indent = "        "
        let lines = text.split(separator: "\n")
        let first = try #require(lines.firstIndex { $0.hasPrefix(indent + "etcd_stop: ") })
        let last = try #require(lines.lastIndex { $0.hasPrefix(indent + "etcd_status: ") })
        try #require(first < last, "\(example) has its commands in another order")
        return lines[first...last].map { $0.dropFirst(indent.count) + "\n" }.joined()
    }
}
