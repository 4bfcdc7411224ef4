// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Makes the inventory, a value, of the tree that the sources were read into.
struct InventoryAssembly {
    let tree: InventoryTree
    let sources: InventorySources
    let keyring: VaultKeyring

    func inventory(with files: inout VariableFiles) -> Inventory {
        let ordered = tree.group("all").map { tree.hosts(under: $0) } ?? []
        var hosts: [InventoryHost] = []
        for host in ordered {
            let merged = variables(of: host, files: &files)
            hosts.append(
                InventoryHost(
                    name: host.name,
                    variables: merged.mapValues(\.value),
                    location: host.location,
                    variableLocations: merged.mapValues(\.location)
                )
            )
        }
        var groups: [InventoryGroup] = []
        for group in tree.groups {
            let own = group.variables.merging(files.variables(.group, for: [group.name])) { $1 }
            groups.append(
                InventoryGroup(
                    name: group.name,
                    hosts: group.hosts.map(\.name),
                    children: group.children.map(\.name),
                    variables: own.mapValues(\.value),
                    depth: group.depth,
                    priority: group.priority,
                    location: group.location
                )
            )
        }
        return Inventory(
            sources: sources,
            keyring: keyring,
            hosts: hosts,
            groups: groups,
            groupsOfHosts: Dictionary(
                uniqueKeysWithValues: tree.hosts.map { host in (host.name, host.groups.map(\.name)) }
            ),
            declaredHosts: tree.hosts.map(\.name)
        )
    }

    /// Ansible's order of precedence: `VARIABLE_PRECEDENCE` of its configuration, then the host (`VariableManager`).
    private func variables(of host: InventoryTree.Host, files: inout VariableFiles) -> [String: Located] {
        let groups = host.groups.filter { $0.name != "all" }.sorted(by: Self.isOverridden)
        var result = tree.group("all")?.variables ?? [:]
        for group in groups { result.merge(group.variables) { $1 } }
        result.merge(files.variables(.group, for: ["all"])) { $1 }
        result.merge(files.variables(.group, for: groups.map(\.name))) { $1 }
        result.merge(host.variables) { $1 }
        result.merge(files.variables(.host, for: [host.name])) { $1 }
        return result
    }

    /// By depth, then priority, then name (`sort_groups`): a later group overrides an earlier one.
    private static func isOverridden(_ left: InventoryTree.Group, by right: InventoryTree.Group) -> Bool {
        if left.depth != right.depth { return left.depth < right.depth }
        if left.priority != right.priority { return left.priority < right.priority }
        return PythonText.isBefore(left.name, right.name)
    }
}
