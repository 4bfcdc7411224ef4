// SPDX-License-Identifier: Apache-2.0

/// What is to be said of a cluster.
extension ClusterLook {
    /// Whether every member is well, and each member's v3 store is its v2 store and that of all others.
    var isMigrated: Bool { differences.isEmpty && members.allSatisfy { ($0.v3 ?? [:]).count > 0 } }

    /// Whether every member is well, with nothing in v3 and the same in v2.
    var isUnmigrated: Bool {
        isHealthy && members.allSatisfy { $0.revision == 1 && $0.v3?.isEmpty == true && $0.v2 == members[0].v2 }
    }

    var isHealthy: Bool { members.allSatisfy(\.isHealthy) }

    /// Health, and what differs, in a line.
    var words: String {
        let health = isHealthy ? "all healthy" : ""
        if isUnmigrated { return "all healthy, all as before: v2 equal, v3 empty" }
        let told = differences.isEmpty ? ["v3 = v2 on all members"] : differences
        return ([health] + told).filter { !$0.isEmpty }.joined(separator: "; ")
    }

    /// All that is wrong with a cluster that is to be migrated.
    var differences: [String] {
        let ill = members.filter { !$0.isHealthy }.map { "\($0.name) is not healthy" }
        return ill + betweenMembers + betweenStores
    }

    // MARK: - Member and member

    private var betweenMembers: [String] {
        let silent = members.filter { $0.v3 == nil && $0.isHealthy }.map { "\($0.name) does not answer v3 requests" }
        let empty = members.filter { $0.v3?.isEmpty == true }
        let filled = members.filter { $0.v3?.isEmpty == false }
        guard !filled.isEmpty else { return silent + (empty.isEmpty ? [] : ["v3 is empty on all members that answer"]) }
        var told = silent + empty.map { "v3 of \($0.name) is empty" }
        let all = filled.reduce(into: Set<String>()) { $0.formUnion(($1.v3 ?? [:]).keys) }
        let lacking = filled.map { ($0.name, all.subtracting(($0.v3 ?? [:]).keys)) }.filter { !$0.1.isEmpty }
        for (keys, names) in Self.grouped(lacking) { told.append("v3 of \(names) lacks \(Self.names(keys))") }
        for key in all.sorted() where told.count < 4 {
            let revisions = filled.compactMap { member in member.v3?[key].map { (member.name, $0) } }
            guard let first = revisions.first, revisions.contains(where: { $0.1 != first.1 }) else { continue }
            let list = revisions.map { "\($0.1.modified) on \($0.0)" }.joined(separator: ", ")
            told.append("\(key) has revision \(list)")
        }
        let hashes = Set(filled.map { "\($0.hash ?? 0) \($0.revision ?? 0)" })
        if told.isEmpty, hashes.count > 1 {
            let list = filled.map { "\($0.revision ?? 0) on \($0.name)" }.joined(separator: ", ")
            told.append("the members' v3 stores differ in their hash (revision \(list))")
        }
        return told
    }

    // MARK: - v2 and v3

    /// The members that tell the same are told of once.
    private var betweenStores: [String] {
        let all = members.reduce(into: Set<String>()) { $0.formUnion(($1.v3 ?? [:]).keys) }
        let told = members.flatMap { member -> [(String, String)] in
            guard let v2 = member.v2, let v3 = member.v3, !v3.isEmpty else { return [] }
            return Self.between(v2, v3, elsewhere: all).map { (member.name, $0) }
        }
        return Self.grouped(told).map { text, names in
            let isEverywhere = told.filter { $0.1 == text }.count == members.count
            return (isEverywhere ? "" : "on \(names) ") + text
        }
    }

    /// What is the same of several members, once, with their names.
    private static func grouped<Value: Equatable>(_ told: [(String, Value)]) -> [(Value, String)] {
        var groups: [(Value, String)] = []
        for (name, value) in told {
            if let place = groups.firstIndex(where: { $0.0 == value }) {
                groups[place].1 += ", \(name)"
            } else {
                groups.append((value, name))
            }
        }
        return groups
    }

    /// What is lacking here and is on another member was told before.
    private static func between(
        _ v2: [String: V2Key],
        _ v3: [String: V3Key],
        elsewhere: Set<String>
    ) -> [String] {
        var told: [String] = []
        let lacking = Set(v2.keys).subtracting(v3.keys).subtracting(elsewhere)
        if !lacking.isEmpty { told.append("v3 lacks \(names(lacking)), which v2 has") }
        let kept = Set(v3.keys).subtracting(v2.keys)
        if !kept.isEmpty { told.append("v3 has \(names(kept)), which v2 has not") }
        let both = v2.filter { v3[$0.key] != nil }
        let other = both.filter { $0.value.value != v3[$0.key]?.value }
        if !other.isEmpty { told.append("v3 has another value of \(names(other.keys))") }
        let permanent = both.filter { $0.value.hasTTL && v3[$0.key]?.hasLease == false }
        if !permanent.isEmpty { told.append("\(names(permanent.keys)) no longer expires") }
        let moved = both.filter { key, value in
            guard !value.hasTTL, other[key] == nil, let now = v3[key] else { return false }
            return now.created != value.created || now.modified != value.modified
        }
        if !moved.isEmpty { told.append("v3 has other revisions of \(names(moved.keys))") }
        return told
    }

    /// Up to two of many names.
    static func names(_ names: some Collection<String>) -> String {
        let shown = names.sorted().prefix(2).joined(separator: ", ")
        return names.count > 2 ? "\(shown) and \(names.count - 2) more keys" : shown
    }
}
