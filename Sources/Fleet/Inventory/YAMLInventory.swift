// SPDX-License-Identifier: Apache-2.0

/// Reads the YAML form of an inventory into the tree.
///
/// Follows Ansible's `plugins/inventory/yaml.py`, and refuses what that skips with a warning.
struct YAMLInventory {
    private static let keys = ["hosts", "children", "vars"]

    private let tree: InventoryTree
    private var problems: [Diagnostic] = []

    /// Reads the groups of a document.
    ///
    /// - Parameters:
    ///   - groups: The entries at the top of the document.
    ///   - tree: What the groups are added to.
    /// - Returns: the further problems found.
    static func read(_ groups: [YAMLNode.Pair], into tree: InventoryTree) -> [Diagnostic] {
        var reader = YAMLInventory(tree: tree)
        for pair in groups { reader.readGroup(pair, isTopLevel: true) }
        return reader.problems
    }

    private init(tree: InventoryTree) {
        self.tree = tree
    }

    @discardableResult
    private mutating func readGroup(_ pair: YAMLNode.Pair, isTopLevel: Bool) -> InventoryTree.Group? {
        guard let name = name(of: pair.key, what: "group") else { return nil }
        guard pair.value.isNull || pair.value.pairs != nil else {
            problems.append(notAGroup(name, pair, isTopLevel: isTopLevel))
            return nil
        }
        let group = tree.addGroup(name, at: pair.key.location)
        for section in pair.value.pairs ?? [] {
            switch section.key.keyText {
            case "vars": readVariables(section.value, of: group)
            case "children": readChildren(section.value, of: group)
            case "hosts": readHosts(section.value, of: group)
            default: problems.append(unknownKey(section, in: group))
            }
        }
        return group
    }

    private func notAGroup(_ name: String, _ pair: YAMLNode.Pair, isTopLevel: Bool) -> Diagnostic {
        let isKey = isTopLevel && Self.keys.contains(name)
        return Diagnostic(
            at: pair.value.location,
            "the group \(name) must be a mapping, not \(pair.value.kindDescription)",
            remedy: isKey ? "put `\(name)` under `all:`" : "write `hosts:`, `children:` and `vars:` under \(name)"
        )
    }

    private func unknownKey(_ section: YAMLNode.Pair, in group: InventoryTree.Group) -> Diagnostic {
        let key = section.key.keyText
        let rule = "a group holds hosts, children and vars"
        let mayBeGroup = section.value.pairs != nil || section.value.isNull
        let remedy =
            NearNames.question(key, among: Self.keys).map { "\($0) \(rule)" }
            ?? (mayBeGroup ? "put a group under `children:`; \(rule)" : "\(rule); put variables under `vars:`")
        return Diagnostic(
            at: section.key.location,
            "the group \(group.name) has the unknown key `\(key)`",
            remedy: remedy
        )
    }

    /// The text of a key that names something; numbers and booleans are no names, as in Ansible.
    private mutating func name(of key: YAMLNode, what: String) -> String? {
        if case .string(let text)? = key.scalarValue, !text.isEmpty { return text }
        problems.append(
            Diagnostic(
                at: key.location,
                "the name of a \(what) must be a text, not \(key.kindDescription)",
                remedy: "put it in quotes"
            )
        )
        return nil
    }

    /// The entries of `hosts` or `children`; a single name may stand for a mapping with it alone.
    private mutating func entries(
        _ node: YAMLNode,
        named section: String,
        of group: InventoryTree.Group
    ) -> [YAMLNode.Pair] {
        if let pairs = node.pairs { return pairs }
        if node.isNull { return [] }
        if case .string? = node.scalarValue {
            let nothing = YAMLNode(content: .scalar("", isPlain: true), tag: "", location: node.location)
            return [YAMLNode.Pair(key: node, value: nothing)]
        }
        problems.append(
            Diagnostic(
                at: node.location,
                "`\(section)` of the group \(group.name) must be a mapping, not \(node.kindDescription)",
                remedy: "write each name on a line of its own, with a colon after it and no dash before it"
            )
        )
        return []
    }

    private mutating func readChildren(_ node: YAMLNode, of group: InventoryTree.Group) {
        for pair in entries(node, named: "children", of: group) {
            guard let child = readGroup(pair, isTopLevel: false) else { continue }
            if tree.adopt(child, by: group) == .cycle {
                problems.append(.ancestorOfItself(child: child.name, parent: group.name, at: pair.key.location))
            }
        }
    }

    private mutating func readHosts(_ node: YAMLNode, of group: InventoryTree.Group) {
        for pair in entries(node, named: "hosts", of: group) {
            guard let text = name(of: pair.key, what: "host") else { continue }
            let entry: HostEntry
            do {
                entry = try HostEntry(text, at: pair.key.location)
            } catch {
                problems += error.diagnostics
                continue
            }
            for name in entry.names {
                tree.addHost(name, to: group, port: entry.port, at: pair.key.location)
            }
            guard pair.value.isNull || pair.value.pairs != nil else {
                problems.append(
                    Diagnostic(
                        at: pair.value.location,
                        "the host \(text) must have a mapping of variables or nothing, not \(pair.value.kindDescription)",
                        remedy: "write `name: value` on lines under the host"
                    )
                )
                continue
            }
            setVariables(pair.value.pairs ?? [], of: entry.names)
        }
    }

    private mutating func readVariables(_ node: YAMLNode, of group: InventoryTree.Group) {
        guard let pairs = node.pairs else {
            if !node.isNull {
                problems.append(
                    Diagnostic(
                        at: node.location,
                        "`vars` of the group \(group.name) must be a mapping, not \(node.kindDescription)",
                        remedy: "write `name: value` on lines under `vars:`"
                    )
                )
            }
            return
        }
        setVariables(pairs, of: [group.name])
    }

    private mutating func setVariables(_ pairs: [YAMLNode.Pair], of entities: [String]) {
        for (name, variable) in YAMLVariables.read(pairs, problems: &problems) {
            problems += entities.compactMap { tree.setVariable(name, to: variable, of: $0) }
        }
    }
}
