// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The hosts that a run may touch, their groups and variables, as Ansible would understand the same files.
package struct Inventory: Sendable {
    /// The sources as the user gave them.
    package let sources: InventorySources
    /// All hosts, in inventory order: those directly in `all` and `ungrouped` first, then group by group as listed.
    package private(set) var hosts: [InventoryHost]
    /// All groups in the order in which they were met, `all` and `ungrouped` first.
    package let groups: [InventoryGroup]
    /// What is suspicious and was accepted.
    package private(set) var warnings: [Diagnostic] = []
    /// What says of how hosts are reached what their variables do not.
    private(set) var configuration = AnsibleConfiguration.none
    /// Whether `ansible.cfg` has commands run as another user, where neither a playbook nor a variable says it.
    package var becomes: Bool { configuration.becomes }

    /// Names in the order in which the sources name them, which globs go through.
    let declaredHosts: [String]
    /// What opens the values that are encrypted one by one.
    let keyring: VaultKeyring
    private let hostIndex: [String: Int]
    private let groupIndex: [String: Int]
    private let groupsOfHosts: [String: [String]]
    private let membersOfGroups: [String: [String]]
    /// The variable `groups`: one value for all hosts, or a thousand of them would make a million.
    private let groupsVariable: Value

    /// Reads and merges sources in the order given; later ones override.
    ///
    /// A source is a file, a directory, a program or a list of hosts with commas between them.
    ///
    /// - Throws: ``DiagnosticsError`` with every problem of all files.
    package static func load(_ sources: InventorySources) throws(DiagnosticsError) -> Inventory {
        try InventoryLoader.load(sources)
    }

    /// The same for sources that need no password.
    package static func load(_ paths: [String]) throws(DiagnosticsError) -> Inventory {
        try load(InventorySources(paths))
    }

    init(
        sources: InventorySources,
        keyring: VaultKeyring,
        hosts: [InventoryHost],
        groups: [InventoryGroup],
        groupsOfHosts: [String: [String]],
        declaredHosts: [String]
    ) {
        self.sources = sources
        self.keyring = keyring
        self.hosts = hosts
        self.groups = groups
        self.groupsOfHosts = groupsOfHosts
        self.declaredHosts = declaredHosts
        hostIndex = Dictionary(hosts.enumerated().map { ($1.name, $0) }) { first, _ in first }
        groupIndex = Dictionary(groups.enumerated().map { ($1.name, $0) }) { first, _ in first }
        let groupsByName = Dictionary(groups.map { ($0.name, $0) }) { first, _ in first }
        membersOfGroups = groupsByName.mapValues { Self.members(of: $0, among: groupsByName) }
        groupsVariable = .map(membersOfGroups.mapValues { .list($0.map(Value.string)) })
    }

    private static func members(of group: InventoryGroup, among groupsByName: [String: InventoryGroup]) -> [String] {
        var result: [String] = []
        var seenHosts: Set<String> = []
        var seenGroups: Set<String> = []
        var level = [group]
        while !level.isEmpty {
            level = level.filter { seenGroups.insert($0.name).inserted }
            for host in level.flatMap(\.hosts) where seenHosts.insert(host).inserted { result.append(host) }
            level = level.flatMap(\.children).compactMap { groupsByName[$0] }
        }
        return result
    }

    func with(warnings: [Diagnostic], _ configuration: AnsibleConfiguration) -> Inventory {
        var result = self
        result.warnings = warnings
        result.configuration = configuration
        return result
    }

    /// The same with variables that win over those of every host, for a listing.
    package func overridden(by extra: [String: Value]) -> Inventory {
        var result = self
        for index in result.hosts.indices { result.hosts[index].variables.merge(extra) { $1 } }
        return result
    }

    /// The host of that name.
    package func host(_ name: String) -> InventoryHost? {
        hostIndex[name].map { hosts[$0] }
    }

    /// The group of that name.
    package func group(_ name: String) -> InventoryGroup? {
        groupIndex[name].map { groups[$0] }
    }

    /// The names of the hosts in a group and in all groups under it, level by level.
    package func hostNames(inGroup name: String) -> [String] {
        membersOfGroups[name] ?? []
    }

    /// The names of the groups that a host is in, directly or through others, sorted, without `all`.
    package func groupNames(of host: String) -> [String] {
        (groupsOfHosts[host] ?? []).filter { $0 != "all" }.sorted(by: PythonText.isBefore)
    }

    /// What Ansible adds to every host's variables by itself.
    ///
    /// They are kept apart from ``InventoryHost/variables`` so that a listing shows only what the files say.
    package func magicVariables(of host: InventoryHost) -> [String: Value] {
        let isAddress = HostAddress.isIPv4(host.name) || HostAddress.isIPv6(host.name)
        let short = isAddress ? host.name : host.name.split(separator: ".").first.map(String.init) ?? host.name
        return [
            "inventory_hostname": .string(host.name),
            "inventory_hostname_short": .string(short),
            "group_names": .list(groupNames(of: host.name).map(Value.string)),
            "groups": groupsVariable,
        ]
    }

    /// Everything that the inventory means, in one line.
    ///
    /// It is the same whatever form, order of keys, comments and places the files have. A plan's digest is taken over it.
    package func canonicalText() -> String {
        let hostList = hosts.map { Value.map(["name": .string($0.name), "variables": .map($0.variables)]) }
        let members = membersOfGroups.mapValues { Value.list($0.map(Value.string)) }
        return Value.map(["hosts": .list(hostList), "groups": .map(members)]).json()
    }
}
