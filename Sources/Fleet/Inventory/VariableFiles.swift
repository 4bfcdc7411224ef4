// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The files of `group_vars` and `host_vars` beside the inventory's sources, each read once.
///
/// Follows Ansible's `plugins/vars/host_group_vars.py` and `DataLoader.find_vars_files`: for a name, the first of
/// `NAME` (a file or a folder), `NAME.yml`, `NAME.yaml` and `NAME.json` counts.
struct VariableFiles {
    enum Kind: String {
        case group = "group_vars"
        case host = "host_vars"
    }

    private(set) var problems: [Diagnostic] = []
    private let folders: [String]
    private let keyring: VaultKeyring
    private var known: [String: [String: Located]] = [:]

    init(folders: [String], keyring: VaultKeyring) {
        self.folders = folders
        self.keyring = keyring
    }

    /// The variables for these names, source by source and within a source name by name, later ones winning.
    mutating func variables(_ kind: Kind, for names: [String]) -> [String: Located] {
        var result: [String: Located] = [:]
        for folder in folders {
            for name in names where !name.hasPrefix("/") && name != ".." && name != "." {
                result.merge(variables(kind, for: name, beside: folder)) { $1 }
            }
        }
        return result
    }

    private mutating func variables(_ kind: Kind, for name: String, beside folder: String) -> [String: Located] {
        let variablesFolder = folder == "." ? kind.rawValue : (folder as NSString).appendingPathComponent(kind.rawValue)
        let path = (variablesFolder as NSString).appendingPathComponent(name)
        if let result = known[path] { return result }
        var result: [String: Located] = [:]
        for file in Self.files(for: path) { result.merge(read(file)) { $1 } }
        known[path] = result
        return result
    }

    private static func files(for path: String) -> [String] {
        for candidate in [path, path + ".yml", path + ".yaml", path + ".json"] {
            switch isDirectory(candidate) {
            case true?: return files(in: candidate)
            case false?: return [candidate]
            case nil: continue
            }
        }
        return []
    }

    private static func isDirectory(_ path: String) -> Bool? {
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: SourceFile.expanded(path), isDirectory: &isDirectory)
        return exists ? isDirectory.boolValue : nil
    }

    private static func files(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: SourceFile.expanded(folder))) ?? []
        var result: [String] = []
        for name in names.sorted(by: PythonText.isBefore) where !name.hasPrefix(".") && !name.hasSuffix("~") {
            let path = (folder as NSString).appendingPathComponent(name)
            let ending = (name as NSString).pathExtension
            switch isDirectory(path) {
            case true? where ending.isEmpty: result += files(in: path)
            case false? where ["", "yml", "yaml", "json"].contains(ending): result.append(path)
            default: continue
            }
        }
        return result
    }

    private mutating func read(_ path: String) -> [String: Located] {
        do throws(DiagnosticsError) {
            var file = try SourceFile(path)
            let isEncrypted = try file.open(with: keyring)
            var found: [Diagnostic] = []
            let variables = Self.variables(of: file, &found)
            problems += isEncrypted ? found.map(\.redacted) : found
            return variables
        } catch {
            problems += error.diagnostics
            return [:]
        }
    }

    private static func variables(of file: SourceFile, _ problems: inout [Diagnostic]) -> [String: Located] {
        do throws(DiagnosticsError) {
            let (root, yamlProblems) = YAMLReader.read(try file.text(ignoringComments: false), file: file.path)
            problems += yamlProblems
            guard let root, !root.isNull else { return [:] }
            guard let pairs = root.pairs else {
                throw DiagnosticsError([
                    Diagnostic(
                        at: root.location,
                        "a file of variables is a mapping, not \(root.kindDescription)",
                        remedy: "write `name: value` on each line"
                    )
                ])
            }
            let variables = YAMLVariables.read(pairs, problems: &problems)
            return Dictionary(variables.map { ($0.name, $0.variable) }) { $1 }
        } catch {
            problems += error.diagnostics
            return [:]
        }
    }
}
