// SPDX-License-Identifier: Apache-2.0

/// Reads the JSON that an inventory script prints into the tree.
///
/// Follows Ansible's `plugins/inventory/script.py`: groups with `hosts`, `vars` and `children`, the variables of all
/// hosts under `_meta`, or those of each host by asking the script again.
struct ScriptInventory {
    private static let keys = ["hosts", "vars", "children"]

    private let tree: InventoryTree
    private var problems: [Diagnostic] = []
    private var hosts: [String] = []
    private var seen: Set<String> = []

    /// Reads an answer of `--list`.
    ///
    /// - Parameters:
    ///   - pairs: The entries of the answer.
    ///   - tree: What the groups are added to.
    ///   - variablesOfHost: Asks the script for one host; called where the answer has no `_meta` only.
    /// - Returns: the problems found.
    static func read(
        _ pairs: [YAMLNode.Pair],
        into tree: InventoryTree,
        askingForHost variablesOfHost: (String) -> InventoryScript.Answer
    ) -> [Diagnostic] {
        var reader = ScriptInventory(tree: tree)
        let meta = pairs.first { $0.key.keyText == "_meta" }
        for pair in pairs where pair.key.keyText != "_meta" { reader.readGroup(pair) }
        if let meta {
            reader.readMeta(meta)
        } else {
            for host in reader.hosts {
                let answer = variablesOfHost(host)
                reader.problems += answer.problems
                reader.setVariables(answer.root?.pairs ?? [], of: host)
            }
        }
        return reader.problems
    }

    private init(tree: InventoryTree) {
        self.tree = tree
    }

    private mutating func refuse(_ node: YAMLNode, _ summary: String, _ remedy: String) {
        problems.append(Diagnostic(at: node.location, summary, remedy: remedy))
    }

    private mutating func readGroup(_ pair: YAMLNode.Pair) {
        let name = pair.key.keyText
        guard !name.isEmpty else { return refuse(pair.key, "a group without a name", "name it") }
        let group = tree.addGroup(name, at: pair.key.location)
        guard let sections = pair.value.pairs else { return readHosts(pair.value, of: group) }
        guard sections.contains(where: { Self.keys.contains($0.key.keyText) }) else {
            return readLoneHost(pair.key, sections, of: group)
        }
        func section(_ name: String) -> YAMLNode? { sections.first { $0.key.keyText == name }?.value }
        if let hosts = section("hosts") { readHosts(hosts, of: group) }
        if let variables = section("vars") { readVariables(variables, of: group) }
        if let children = section("children") { readChildren(children, of: group) }
    }

    /// What has none of the keys stands for a host of the group's own name, with these variables.
    private mutating func readLoneHost(_ key: YAMLNode, _ pairs: [YAMLNode.Pair], of group: InventoryTree.Group) {
        problems.append(
            Diagnostic(
                .warning,
                at: key.location,
                "the group \(group.name) has neither hosts nor vars nor children; a host of its name is made of it",
                remedy: "let the script print {\"hosts\": []} for an empty group"
            )
        )
        add(group.name, to: group, at: key.location)
        setVariables(pairs, of: group.name)
    }

    private mutating func add(_ host: String, to group: InventoryTree.Group, at location: SourceLocation) {
        if seen.insert(host).inserted { hosts.append(host) }
        tree.addHost(host, to: group, port: nil, at: location)
    }

    /// The names in a list, each with its place.
    ///
    /// - Parameters:
    ///   - node: the list.
    ///   - key: what it is of the group, as the script has it.
    ///   - one: the same for one of them.
    ///   - group: whose list it is.
    /// - Returns: those that are names; what is wrong with the others is noted.
    private mutating func names(
        in node: YAMLNode,
        _ key: String,
        _ one: String,
        of group: InventoryTree.Group
    ) -> [(name: String, location: SourceLocation)] {
        guard case .sequence(let nodes) = node.content else {
            refuse(
                node,
                "the \(key) of the group \(group.name) are \(node.kindDescription), not a list",
                "let the script print {\"\(key)\": [\"NAME\", ...]}"
            )
            return []
        }
        return nodes.compactMap { node in
            if case .string(let name)? = node.scalarValue, !name.isEmpty { return (name, node.location) }
            refuse(
                node,
                "\(one) of the group \(group.name) is \(node.kindDescription), not a name",
                "let the script print names as texts"
            )
            return nil
        }
    }

    private mutating func readHosts(_ node: YAMLNode, of group: InventoryTree.Group) {
        for (name, location) in names(in: node, "hosts", "a host", of: group) { add(name, to: group, at: location) }
    }

    private mutating func readVariables(_ node: YAMLNode, of group: InventoryTree.Group) {
        guard let pairs = node.pairs else {
            return refuse(
                node,
                "the vars of the group \(group.name) are \(node.kindDescription), not an object",
                "let the script print {\"vars\": {\"NAME\": VALUE, ...}}"
            )
        }
        setVariables(pairs, of: group.name)
    }

    private mutating func readChildren(_ node: YAMLNode, of group: InventoryTree.Group) {
        for (name, location) in names(in: node, "children", "a child", of: group) {
            let child = tree.addGroup(name, at: location)
            if tree.adopt(child, by: group) == .cycle {
                problems.append(.ancestorOfItself(child: name, parent: group.name, at: location))
            }
        }
    }

    private mutating func readMeta(_ meta: YAMLNode.Pair) {
        guard let variables = meta.value.pairs?.first(where: { $0.key.keyText == "hostvars" })?.value,
            let entries = variables.pairs
        else {
            return refuse(
                meta.value,
                "`_meta` has no object `hostvars`",
                "let the script print {\"_meta\": {\"hostvars\": {}}}, or leave `_meta` out to be asked by --host"
            )
        }
        for entry in entries where seen.contains(entry.key.keyText) {
            guard let pairs = entry.value.pairs else {
                refuse(
                    entry.value,
                    "the variables of the host \(entry.key.keyText) are \(entry.value.kindDescription), not an object",
                    "let the script print {\"NAME\": VALUE, ...}"
                )
                continue
            }
            setVariables(pairs, of: entry.key.keyText)
        }
    }

    private mutating func setVariables(_ pairs: [YAMLNode.Pair], of entity: String) {
        for (name, variable) in YAMLVariables.read(pairs, problems: &problems) {
            if let problem = tree.setVariable(name, to: variable, of: entity) { problems.append(problem) }
        }
    }
}
