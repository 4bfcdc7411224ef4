// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One `-i` of the command line: what it is, decided before it is read.
struct InventorySource {
    enum Kind: Equatable {
        /// Names with commas between them, as `-i n1,n2`.
        case hostList
        case directory
        /// A program that prints an inventory.
        case script
        /// A file that is YAML by its name, or may be by its content.
        case yaml
        case ini
        case toml
    }

    /// As the user gave it.
    let path: String
    let kind: Kind

    init(_ path: String) {
        self.path = path
        kind = Self.kind(of: path)
    }

    /// The folder beside which `group_vars` and `host_vars` are looked for; `nil` for a list of hosts.
    var variablesFolder: String? {
        switch kind {
        case .hostList: return nil
        case .directory: return path
        case .script, .yaml, .ini, .toml:
            let folder = FilePath.folder(of: path)
            return folder.isEmpty ? "." : folder
        }
    }

    /// Whether a file of this name is YAML and nothing else.
    var isYAMLByName: Bool { ["yml", "yaml", "json"].contains(Self.pathExtension(path)) }

    private static func kind(of path: String) -> Kind {
        var isDirectory: ObjCBool = false
        let expanded = SourceFile.expanded(path)
        guard FileManager.default.fileExists(atPath: expanded, isDirectory: &isDirectory) else {
            return path.contains(",") ? .hostList : kindByName(path)
        }
        if isDirectory.boolValue { return .directory }
        return isScript(expanded) ? .script : kindByName(path)
    }

    private static func kindByName(_ path: String) -> Kind {
        switch pathExtension(path) {
        case "yml", "yaml", "json", "": .yaml
        case "toml": .toml
        default: .ini
        }
    }

    /// The part after the last dot; a name that begins with its only dot has none.
    private static func pathExtension(_ path: String) -> String {
        let name = (path as NSString).lastPathComponent
        guard let dot = name.lastIndex(of: "."), name[..<dot].contains(where: { $0 != "." }) else { return "" }
        return String(name[name.index(after: dot)...])
    }

    /// Ansible runs any executable file and falls back to reading it; a static file that merely has the bit set, as on
    /// some mounted filesystems, begins with neither `#!` nor a machine's magic bytes.
    private static func isScript(_ path: String) -> Bool {
        guard FileManager.default.isExecutableFile(atPath: path), let file = FileHandle(forReadingAtPath: path) else {
            return false
        }
        defer { try? file.close() }
        let head = (try? file.read(upToCount: 4)) ?? nil
        return head?.starts(with: "#!".utf8) == true || head?.elementsEqual([0x7F, 0x45, 0x4C, 0x46]) == true
    }
}
