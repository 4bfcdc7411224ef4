// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The groups and hosts of an inventory while its sources are read, one after another.
///
/// Follows `InventoryData`, `Group` and `Host` of ansible-core 2.19 step by step: the order in which groups and hosts
/// meet decides the order of listings, the depth of groups and who overrides whom. Lives within one load only.
final class InventoryTree {
    final class Group {
        let name: String
        let location: SourceLocation?
        var depth = 0
        var priority = 1
        var variables: [String: Located] = [:]
        fileprivate(set) var hosts: [Host] = []
        fileprivate var hostNames: Set<String> = []
        fileprivate(set) var children: [Group] = []
        fileprivate(set) var parents: [Group] = []

        fileprivate init(name: String, location: SourceLocation?) {
            self.name = name
            self.location = location
        }
    }

    final class Host {
        let name: String
        let location: SourceLocation
        var variables: [String: Located] = [:]
        /// The groups it is in, directly or through others.
        fileprivate(set) var groups: [Group] = []

        fileprivate init(name: String, location: SourceLocation) {
            self.name = name
            self.location = location
        }
    }

    enum Adoption {
        case added
        case alreadyThere
        /// The parent is the child itself or one of its descendants, as each group is one of `all`.
        case cycle
    }

    private(set) var groups: [Group] = []
    private(set) var hosts: [Host] = []
    private var groupsByName: [String: Group] = [:]
    private var hostsByName: [String: Host] = [:]

    init() {
        let all = addGroup("all", at: nil)
        let ungrouped = addGroup("ungrouped", at: nil)
        adopt(ungrouped, by: all)
    }

    func group(_ name: String) -> Group? { groupsByName[name] }
    func host(_ name: String) -> Host? { hostsByName[name] }

    @discardableResult
    func addGroup(_ name: String, at location: SourceLocation?) -> Group {
        if let group = groupsByName[name] { return group }
        let group = Group(name: name, location: location)
        groups.append(group)
        groupsByName[name] = group
        return group
    }

    /// Adds the host to the group; its port counts only where the host is new (`InventoryData.add_host`).
    @discardableResult
    func addHost(_ name: String, to group: Group, port: Located?, at location: SourceLocation) -> Host {
        let host = hostsByName[name] ?? newHost(name, port: port, at: location)
        add(host, to: group)
        return host
    }

    private func newHost(_ name: String, port: Located?, at location: SourceLocation) -> Host {
        let host = Host(name: name, location: location)
        host.variables["ansible_port"] = port
        hosts.append(host)
        hostsByName[name] = host
        return host
    }

    private func add(_ host: Host, to group: Group) {
        guard group.hostNames.insert(host.name).inserted else { return }
        group.hosts.append(host)
        for ancestor in ancestors(of: group) + [group] where !host.groups.contains(where: { $0 === ancestor }) {
            host.groups.append(ancestor)
        }
    }

    /// Makes a group the child of another, and deepens it and what is under it (`Group.add_child_group`).
    @discardableResult
    func adopt(_ child: Group, by parent: Group) -> Adoption {
        if child === parent || child.name == "all" { return .cycle }
        if parent.children.contains(where: { $0 === child }) { return .alreadyThere }
        let ancestors = ancestors(of: parent)
        if ancestors.contains(where: { $0 === child }) { return .cycle }
        parent.children.append(child)
        child.depth = max(parent.depth + 1, child.depth)
        deepen(below: child)
        child.parents.append(parent)
        for host in hosts(under: child) {
            for group in ancestors + [parent] where !host.groups.contains(where: { $0 === group }) {
                host.groups.append(group)
            }
        }
        return .added
    }

    private func deepen(below group: Group) {
        var level = group.depth
        var pending = group.children
        while !pending.isEmpty {
            level += 1
            var next: [Group] = []
            for child in pending where child.depth < level {
                child.depth = level
                next += child.children
            }
            pending = next
        }
    }

    /// All groups above, each once.
    func ancestors(of group: Group) -> [Group] {
        var result: [Group] = []
        var seen: Set<String> = []
        var pending = group.parents
        while !pending.isEmpty {
            pending = pending.filter { seen.insert($0.name).inserted }
            result += pending
            pending = pending.flatMap(\.parents)
        }
        return result
    }

    /// The hosts of a group and of all groups under it, level by level (`Group.get_hosts`).
    func hosts(under group: Group) -> [Host] {
        var result: [Host] = []
        var seenHosts: Set<String> = []
        var seenGroups: Set<String> = []
        var level = [group]
        while !level.isEmpty {
            level = level.filter { seenGroups.insert($0.name).inserted }
            for host in level.flatMap(\.hosts) where seenHosts.insert(host.name).inserted { result.append(host) }
            level = level.flatMap(\.children)
        }
        return result
    }

    /// Sets a variable of the group of that name, or else of the host (`InventoryData.set_variable`).
    ///
    /// - Returns: what is wrong or suspicious with it there.
    func setVariable(_ name: String, to value: Located, of entity: String) -> Diagnostic? {
        if let group = groupsByName[entity] {
            guard name == "ansible_group_priority" else {
                group.variables[name] = value
                return nil
            }
            guard let priority = Self.priority(value.value) else { return Self.noPriority(value) }
            group.priority = priority
            return nil
        }
        let before = hostsByName[entity]?.variables.updateValue(value, forKey: name)
        guard let before, name == "ansible_host" || name == "ansible_ssh_host" else { return nil }
        return Self.secondAddress(name, of: entity, value, after: before)
    }

    private static func noPriority(_ value: Located) -> Diagnostic {
        Diagnostic(
            at: value.location,
            "ansible_group_priority is \(value.value.kindDescription), not a whole number",
            remedy: "give a whole number; the group with the highest wins among groups of one depth"
        )
    }

    /// A host that is listed again may get more variables, but two addresses in one file are a line that was copied.
    private static func secondAddress(
        _ name: String,
        of host: String,
        _ value: Located,
        after before: Located
    ) -> Diagnostic? {
        guard before.location.file == value.location.file, before.value != value.value else { return nil }
        return Diagnostic(
            .warning,
            at: value.location,
            "\(name) of \(host) is given twice, first at \(before.location); this one counts",
            remedy: "remove one of the two, or correct the host's name"
        )
    }

    /// `int(value)` of Python, for the values that a person may write.
    static func priority(_ value: Value) -> Int? {
        switch value {
        case .int(let number): number
        case .bool(let flag): flag ? 1 : 0
        case .double(let number): Int(exactly: number.rounded(.towardZero))
        case .string(let text): Int(text.trimmingCharacters(in: .whitespaces))
        default: nil
        }
    }

    /// Brings groups without a parent under `all`, and hosts without a group into `ungrouped`.
    func reconcile() {
        guard let all = groupsByName["all"], let ungrouped = groupsByName["ungrouped"] else { return }
        for group in groups where group !== all && group.parents.isEmpty { adopt(group, by: all) }
        for host in hosts {
            let isUngrouped = host.groups.contains { $0 === ungrouped }
            let others = host.groups.filter { $0 !== all && $0 !== ungrouped }
            if isUngrouped, !others.isEmpty {
                remove(host, from: ungrouped)
            } else if !isUngrouped, others.isEmpty {
                add(host, to: ungrouped)
            }
        }
    }

    /// Takes the host out of the group, where it stands in it itself and not in one below (`Group.remove_host`).
    private func remove(_ host: Host, from group: Group) {
        guard group.hostNames.remove(host.name) != nil else { return }
        group.hosts.removeAll { $0 === host }
        host.groups.removeAll { $0 === group }
        for ancestor in ancestors(of: group) where ancestor.name != "all" {
            let isStillAbove = host.groups.contains { other in ancestors(of: other).contains { $0 === ancestor } }
            if !isStillAbove { host.groups.removeAll { $0 === ancestor } }
        }
    }
}
