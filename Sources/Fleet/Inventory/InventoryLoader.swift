// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Reads all sources of an inventory into one tree, keeping every problem of all of them.
struct InventoryLoader {
    private let tree = InventoryTree()
    private var problems: [Diagnostic] = []
    private var readFiles: [String] = []
    private let keyring: VaultKeyring

    private init(keyring: VaultKeyring) {
        self.keyring = keyring
    }

    static func load(_ named: InventorySources) throws(DiagnosticsError) -> Inventory {
        let configuration = try AnsibleConfiguration(named.ansibleConfiguration)
        let others = configuration.vaultIDs.filter { !named.vaultIDs.contains($0) }
        let keyring = try VaultKeyring(identities: named.vaultIDs + others)
        var loader = InventoryLoader(keyring: keyring)
        let sources = named.paths.map(InventorySource.init)
        for source in sources { loader.read(source) }
        loader.tree.reconcile()
        loader.reportSharedNames()
        var files = VariableFiles(folders: sources.compactMap(\.variablesFolder), keyring: keyring)
        let inventory = InventoryAssembly(tree: loader.tree, sources: named, keyring: keyring).inventory(with: &files)
        loader.problems += files.problems
        if loader.tree.hosts.isEmpty, !loader.hasErrors { loader.reportEmpty(named.paths) }
        let problems = loader.problemsInOrder
        guard !loader.hasErrors else { throw DiagnosticsError(problems) }
        return inventory.with(warnings: problems, configuration)
    }

    private var hasErrors: Bool { problems.contains { $0.severity == .error } }

    /// File by file in the order in which they were met, within a file from its top to its end.
    private var problemsInOrder: [Diagnostic] {
        var ranks: [String: Int] = [:]
        for file in problems.map({ $0.location?.file ?? "" }) where ranks[file] == nil { ranks[file] = ranks.count }
        func rank(_ problem: Diagnostic) -> (Int, Int, Int) {
            (ranks[problem.location?.file ?? ""] ?? 0, problem.location?.line ?? 0, problem.location?.column ?? 0)
        }
        return problems.sorted { rank($0) < rank($1) }
    }

    private mutating func read(_ source: InventorySource) {
        do throws(DiagnosticsError) {
            switch source.kind {
            case .hostList: readHostList(source.path)
            case .directory: readDirectory(source.path)
            case .script: readScript(source.path)
            case .toml: throw unsupported(source, "a TOML inventory")
            case .yaml, .ini: try readFile(source)
            }
        } catch {
            problems += error.diagnostics
        }
    }

    private func unsupported(_ source: InventorySource, _ what: String) -> DiagnosticsError {
        DiagnosticsError([
            Diagnostic(
                at: SourceLocation(file: source.path, line: 1, column: 1),
                "this is \(what), which is not supported",
                remedy: "write what `ansible-inventory --list --yaml --export` prints for it to a file"
            )
        ])
    }

    // MARK: - Lists and directories

    /// Follows Ansible's `plugins/inventory/host_list.py`.
    private mutating func readHostList(_ list: String) {
        guard let ungrouped = tree.group("ungrouped") else { return }
        let location = SourceLocation(file: list, line: 1, column: 1)
        for name in list.split(separator: ",").map({ INILine.trimmed($0) }) where !name.isEmpty {
            // Ansible reads no ranges here and takes the whole for a name.
            guard (HostAddress.parse(name)?.host ?? name).contains("[") == false else {
                problems.append(
                    .of(
                        file: list,
                        "`\(name)` has brackets, and a list of hosts has no ranges",
                        remedy: "name each host, or write the range into a file"
                    )
                )
                continue
            }
            do {
                let entry = try HostEntry(name, at: location)
                for name in entry.names where tree.host(name) == nil {
                    tree.addHost(name, to: ungrouped, port: entry.port, at: location)
                }
            } catch {
                problems += error.diagnostics
            }
        }
    }

    /// Reads every file of a directory in the order of names, as `InventoryManager.parse_source` does.
    private mutating func readDirectory(_ path: String) {
        let folder = SourceFile.expanded(path)
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            problems.append(
                .of(file: path, "the directory cannot be read", remedy: "check its permissions")
            )
            return
        }
        for name in names.sorted(by: PythonText.isBefore) where !Self.isIgnored(name) {
            read(InventorySource((path as NSString).appendingPathComponent(name)))
        }
    }

    /// `INVENTORY_IGNORE_EXTS` of Ansible and the names that it always leaves out.
    private static func isIgnored(_ name: String) -> Bool {
        let endings = [
            ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
        ]
        return name.hasPrefix(".") || ["host_vars", "group_vars", "vars_plugins"].contains(name)
            || endings.contains { name.hasSuffix($0) }
    }

    // MARK: - Scripts

    private mutating func readScript(_ path: String) {
        let script = InventoryScript(path: path)
        let answer = script.list()
        problems += answer.problems
        guard let pairs = answer.root?.pairs else { return }
        problems += ScriptInventory.read(pairs, into: tree, askingForHost: script.host)
    }

    // MARK: - Files

    private mutating func readFile(_ source: InventorySource) throws(DiagnosticsError) {
        var file = try SourceFile(source.path)
        readFiles.append(source.path)
        guard try file.open(with: keyring) else { return try read(file, source) }
        let known = problems.count
        do throws(DiagnosticsError) {
            try read(file, source)
        } catch {
            problems += error.diagnostics
        }
        problems = problems[..<known] + problems[known...].map(\.redacted)
    }

    private mutating func read(_ file: SourceFile, _ source: InventorySource) throws(DiagnosticsError) {
        guard source.kind == .yaml else { return try readINI(file.markedText, source) }
        let text: String
        do throws(DiagnosticsError) {
            text = try file.text(ignoringComments: false)
        } catch {
            guard mayBeINI(file.markedText, source) else { throw error }
            return try readINI(file.markedText, source)
        }
        let (root, yamlProblems) = YAMLReader.read(text, file: source.path)
        if let pairs = root?.pairs, !pairs.isEmpty {
            try refusePlugin(pairs, source)
            problems += yamlProblems + YAMLInventory.read(pairs, into: tree)
        } else if mayBeINI(text, source) {
            // Ansible tries INI where YAML gave no mapping; only the problems of the form that was meant are told.
            try readINI(text, source)
        } else if !yamlProblems.isEmpty {
            problems += yamlProblems
        } else if let root, !root.isNull, root.pairs == nil {
            problems.append(
                Diagnostic(
                    at: root.location,
                    "a YAML inventory is a mapping of groups, not \(root.kindDescription)",
                    remedy: "begin with `all:` and put `hosts:` and `children:` under it"
                )
            )
        }
    }

    private func refusePlugin(_ pairs: [YAMLNode.Pair], _ source: InventorySource) throws(DiagnosticsError) {
        guard let plugin = pairs.first(where: { $0.key.keyText == "plugin" }),
            let name = plugin.value.scalarValue?.asString
        else { return }
        throw unsupported(source, "the configuration of the inventory plugin \(name)")
    }

    private func mayBeINI(_ text: String, _ source: InventorySource) -> Bool {
        let lines = INILine.lines(of: text).map(INILine.init)
        if lines.contains(where: { $0.header != nil }) { return true }
        return !source.isYAMLByName && !Self.looksLikeYAML(lines)
    }

    private static func looksLikeYAML(_ lines: [INILine]) -> Bool {
        guard let first = lines.first(where: { !$0.text.isEmpty && !$0.text.hasPrefix("#") && !$0.text.hasPrefix(";") })
        else { return false }
        return first.text.hasPrefix("---") || first.text.hasPrefix("{")
            || first.text.firstMatch(of: /^[^\s=\[:]+:(?:\s|$)/) != nil
    }

    private mutating func readINI(_ text: String, _ source: InventorySource) throws(DiagnosticsError) {
        if source.kind == .ini, Self.looksLikeYAML(INILine.lines(of: text).map(INILine.init)) {
            throw DiagnosticsError([
                Diagnostic(
                    at: SourceLocation(file: source.path, line: 1, column: 1),
                    "the file is read as INI because of its name, and holds YAML",
                    remedy: "give it a name that ends in .yaml"
                )
            ])
        }
        problems += INIInventory.read(text, file: source.path, into: tree)
    }

    // MARK: - The whole

    /// Ansible warns too: a pattern with such a name means the group, and variables given at the host go to the group.
    private mutating func reportSharedNames() {
        for host in tree.hosts where tree.group(host.name) != nil {
            // A pattern would mean this host and no longer every one; a program says `"all": {}` and means no such thing.
            guard host.name != "all" else {
                problems.append(
                    Diagnostic(at: host.location, "a host cannot be called all", remedy: "rename it, or leave it out")
                )
                continue
            }
            problems.append(
                Diagnostic(
                    .warning,
                    at: host.location,
                    "\(host.name) is the name of a host and of a group; its variables go to the group",
                    remedy: "rename one of the two"
                )
            )
        }
    }

    private mutating func reportEmpty(_ paths: [String]) {
        guard let path = readFiles.first ?? paths.first else {
            problems.append(Diagnostic(at: nil, "no inventory is given", remedy: "name one with -i"))
            return
        }
        let others = paths.count > 1 ? ", and neither do the other sources" : ""
        problems.append(
            Diagnostic(
                at: SourceLocation(file: path, line: 1, column: 1),
                "the inventory holds no host" + others,
                remedy: "list at least one host, in YAML under `hosts:` of a group"
            )
        )
    }
}
