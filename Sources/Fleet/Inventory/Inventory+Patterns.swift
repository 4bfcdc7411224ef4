// SPDX-License-Identifier: Apache-2.0

import Foundation

extension Inventory {
    /// The hosts that a pattern names, in the order in which the pattern's groups list them.
    ///
    /// Patterns are Ansible's: `etcd`, `n1,n2`, `etcd:&prod:!n3`, `web*`, `~n[0-9]+`, `etcd[0]`, `etcd[-1]`, `etcd[0:2]`.
    /// A part that names nothing is an error, where Ansible goes on without it: a slip in `!n3` must not let the run
    /// reach n3.
    ///
    /// - Parameters:
    ///   - pattern: Which hosts.
    ///   - limit: A second pattern that the hosts must match too (`--limit`); `@file` reads patterns from lines.
    /// - Returns: at least one host.
    /// - Throws: ``DiagnosticsError`` that names each part that matches nothing, with near names.
    package func hosts(matching pattern: String, limit: String? = nil) throws(DiagnosticsError) -> [InventoryHost] {
        let selected = try names(matching: Self.parts(of: pattern), of: pattern)
        guard let limit else { return selected.compactMap(host) }
        let allowed = Set(try names(matching: try Self.limitParts(limit), of: limit))
        let result = selected.filter(allowed.contains)
        guard !result.isEmpty else {
            throw Self.refused(
                "no host of `\(pattern)` is within the limit `\(limit)`",
                "the pattern names \(selected.joined(separator: ", "))"
            )
        }
        return result.compactMap(host)
    }

    private static func refused(_ summary: String, _ remedy: String?) -> DiagnosticsError {
        DiagnosticsError([Diagnostic(at: nil, summary, remedy: remedy)])
    }

    private static func parts(of pattern: String) throws(DiagnosticsError) -> [HostPattern] {
        do {
            return try HostPattern.split(pattern)
        } catch {
            throw refused(error.summary, "correct the host pattern")
        }
    }

    private static func limitParts(_ limit: String) throws(DiagnosticsError) -> [HostPattern] {
        var result: [HostPattern] = []
        for part in try parts(of: limit) {
            guard part.text.hasPrefix("@") else {
                result.append(part)
                continue
            }
            let text = try SourceFile(String(part.text.dropFirst())).text(ignoringComments: false)
            result += INILine.lines(of: text).map { INILine($0).text }.filter { !$0.isEmpty }.map(HostPattern.init)
        }
        return result
    }

    /// Including parts first, then intersecting, then excluding ones (`order_patterns`).
    private func names(matching parts: [HostPattern], of pattern: String) throws(DiagnosticsError) -> [String] {
        guard !parts.isEmpty else {
            throw Self.refused("the host pattern `\(pattern)` is empty", "name a group or a host")
        }
        var problems: [Diagnostic] = []
        var result: [String] = parts.contains { $0.role == .including } ? [] : hostNames(inGroup: "all")
        var seen: Set<String> = []
        for part in parts.sorted(by: { $0.role.rawValue < $1.role.rawValue }) {
            do {
                let matched = try names(matching: part)
                switch part.role {
                case .including: result += matched.filter { seen.insert($0).inserted }
                case .intersecting: result = result.filter(Set(matched).contains)
                case .excluding:
                    let excluded = Set(matched)
                    result.removeAll(where: excluded.contains)
                }
            } catch {
                problems += error.diagnostics
            }
        }
        if !problems.isEmpty { throw DiagnosticsError(problems) }
        guard !result.isEmpty else {
            throw Self.refused(
                "the host pattern `\(pattern)` leaves no host",
                "`pawl inventory --graph` shows all groups"
            )
        }
        return result
    }

    private func names(matching part: HostPattern) throws(DiagnosticsError) -> [String] {
        // A plain host is taken before its name is read as a pattern.
        if part.role == .including, host(part.text) != nil { return [part.text] }
        let groupNames: [String]
        let ownHosts: [String]
        do {
            groupNames = try part.matches(among: groups.map(\.name))
            ownHosts = groupNames.isEmpty || part.reachesHosts ? try part.matches(among: declaredHosts) : []
        } catch {
            throw Self.refused(error.summary, "correct the host pattern")
        }
        // A host that several groups have is counted in each: a subscript picks from that list.
        let found = groupNames.flatMap(hostNames) + ownHosts
        guard !found.isEmpty || !groupNames.isEmpty || (part.role == .excluding && (part.isGlob || part.isRegex)) else {
            throw Self.refused(
                "no host and no group matches `\(part.expression)`",
                NearNames.question(part.expression, among: groups.map(\.name) + declaredHosts)
                    ?? "`pawl inventory --graph` shows all hosts and groups"
            )
        }
        var seen: Set<String> = []
        return try pick(part.slice, of: found, pattern: part).filter { seen.insert($0).inserted }
    }

    private func pick(
        _ slice: HostPattern.Subscript?,
        of names: [String],
        pattern: HostPattern
    ) throws(DiagnosticsError) -> [String] {
        let result: [String]
        switch slice {
        case nil: return names
        case .index(let index):
            let position = index < 0 ? names.count + index : index
            result = names.indices.contains(position) ? [names[position]] : []
        case .slice(let first, let last?) where last < first:
            // Ansible takes none of them, or only the first where the end is 0.
            throw Self.refused(
                "the subscript of `\(pattern.text)` ends before it begins",
                "put the smaller bound first"
            )
        case .slice(let first, let last):
            let end = min(last ?? names.count - 1, names.count - 1)
            result = first <= end ? Array(names[first...end]) : []
        }
        guard !result.isEmpty else {
            throw Self.refused(
                "`\(pattern.text)` is beyond the \(names.count) hosts of `\(pattern.expression)`",
                "hosts are counted from 0"
            )
        }
        return result
    }
}
