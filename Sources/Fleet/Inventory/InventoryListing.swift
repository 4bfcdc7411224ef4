// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What `ansible-inventory` prints for an inventory, byte by byte (ansible-core 2.19, `cli/inventory.py`).
package struct InventoryListing: Sendable {
    private let inventory: Inventory
    private let visible: Set<String>

    /// - Parameters:
    ///   - inventory: What is listed.
    ///   - limit: A host pattern; hosts outside of it are left out of ``list()``.
    /// - Throws: ``DiagnosticsError`` for a limit that names no host.
    package init(_ inventory: Inventory, limit: String? = nil) throws(DiagnosticsError) {
        self.inventory = inventory
        visible = Set(
            try limit.map { limit throws(DiagnosticsError) in
                try inventory.hosts(matching: "all", limit: limit).map(\.name)
            }
                ?? inventory.hosts.map(\.name)
        )
    }

    // MARK: - --list

    /// The JSON of `ansible-inventory --list`, without the newline at its end.
    package func list() -> String {
        var entries: [String: Value] = [:]
        var seen: Set<String> = []
        if let all = inventory.group("all") { add(all, to: &entries, seen: &seen) }
        let hostVariables = inventory.hosts.filter { visible.contains($0.name) }
            .map { ($0.name, Self.shown($0.variables)) }.filter { !$1.isEmpty }
        entries["_meta"] = .map([
            "hostvars": .map(Dictionary(hostVariables.map { ($0, Value.map($1)) }) { first, _ in first }),
            "profile": .string("inventory_legacy"),
        ])
        return Value.map(entries).json(indent: 4, ascii: false)
    }

    private func add(_ group: InventoryGroup, to entries: inout [String: Value], seen: inout Set<String>) {
        var entry: [String: Value] = [:]
        let members = group.hosts.filter(visible.contains)
        if group.name != "all", !members.isEmpty { entry["hosts"] = .list(members.map(Value.string)) }
        if !group.children.isEmpty { entry["children"] = .list(group.children.map(Value.string)) }
        for child in group.children where !seen.contains(child) {
            if let childGroup = inventory.group(child) { add(childGroup, to: &entries, seen: &seen) }
            seen.insert(child)
        }
        if !entry.isEmpty { entries[group.name] = .map(entry) }
    }

    /// Without the names that Ansible keeps for itself (`INTERNAL_STATIC_VARS` of its `constants.py`).
    private static func shown(_ variables: [String: Value]) -> [String: Value] {
        variables.filter { !internalNames.contains($0.key) }
    }

    private static let internalNames: Set<String> = [
        "ansible_async_path", "ansible_collection_name", "ansible_config_file", "ansible_dependent_role_names",
        "ansible_diff_mode", "ansible_facts", "ansible_forks", "ansible_inventory_sources", "ansible_limit",
        "ansible_play_batch", "ansible_play_hosts", "ansible_play_hosts_all", "ansible_play_role_names",
        "ansible_playbook_python", "ansible_role_name", "ansible_role_names", "ansible_run_tags", "ansible_skip_tags",
        "ansible_verbosity", "ansible_version", "group_names", "groups", "hostvars", "inventory_dir", "inventory_file",
        "inventory_hostname", "inventory_hostname_short", "play_hosts", "playbook_dir", "role_name", "role_names",
        "role_path", "role_uuid",
    ]

    // MARK: - --host

    /// The JSON of `ansible-inventory --host NAME`, without the newline at its end.
    package func host(_ name: String) throws(DiagnosticsError) -> String {
        guard let host = inventory.host(name) else {
            throw DiagnosticsError([
                Diagnostic(
                    at: nil,
                    "the inventory has no host `\(name)`",
                    remedy: NearNames.question(name, among: inventory.hosts.map(\.name))
                        ?? "`pawl inventory --graph` shows all hosts"
                )
            ])
        }
        return Value.map(Self.shown(host.variables)).json(indent: 4, ascii: false)
    }

    // MARK: - --graph

    /// The tree of `ansible-inventory --graph [GROUP]`, without the newline at its end.
    ///
    /// - Parameters:
    ///   - start: The group at its root.
    ///   - showingVariables: `--vars`, the variables of each host and group below it.
    /// - Returns: the lines of the tree.
    /// - Throws: ``DiagnosticsError`` for a group that does not exist.
    package func graph(
        from start: String = "all",
        showingVariables: Bool = false
    ) throws(DiagnosticsError) -> String {
        guard let group = inventory.group(start) else {
            throw DiagnosticsError([
                Diagnostic(
                    at: nil,
                    "the inventory has no group `\(start)`",
                    remedy: NearNames.question(start, among: inventory.groups.map(\.name))
                        ?? "`pawl inventory --graph` shows all groups"
                )
            ])
        }
        return lines(of: group, depth: 0, showingVariables: showingVariables).joined(separator: "\n")
    }

    private func lines(of group: InventoryGroup, depth: Int, showingVariables: Bool) -> [String] {
        var result = [Self.label("@\(group.name):", depth: depth)]
        for child in group.children.compactMap(inventory.group) {
            result += lines(of: child, depth: depth + 1, showingVariables: showingVariables)
        }
        if group.name != "all" {
            for name in group.hosts {
                result.append(Self.label(name, depth: depth + 1))
                if showingVariables, let host = inventory.host(name) {
                    result += Self.lines(of: host.variables, depth: depth + 2)
                }
            }
        }
        guard showingVariables else { return result }
        var variables = group.variables
        if group.priority != 1 { variables["ansible_group_priority"] = .int(group.priority) }
        return result + Self.lines(of: variables, depth: depth + 1)
    }

    private static func lines(of variables: [String: Value], depth: Int) -> [String] {
        shown(variables).sorted { PythonText.isBefore($0.key, $1.key) }
            .map { label("{\($0.key) = \(text(of: $0.value))}", depth: depth) }
    }

    /// Ansible opens encrypted values here, and here alone; a listing is no place for what somebody chose to hide.
    private static func text(of value: Value) -> String {
        value.sealedText == nil ? value.text : "<encrypted by Ansible Vault>"
    }

    private static func label(_ name: String, depth: Int) -> String {
        depth == 0 ? name : String(repeating: "  |", count: depth) + "--" + name
    }
}
