// SPDX-License-Identifier: Apache-2.0

/// One part of a host pattern: a name, a glob or a regular expression, maybe with a sign and a subscript.
///
/// Follows `split_host_pattern`, `_split_subscript` and `_match_list` of Ansible's `inventory/manager.py`.
struct HostPattern: Equatable {
    enum Role: Int {
        case including, intersecting, excluding
    }

    enum Subscript: Equatable {
        case index(Int)
        /// Both ends belong to it; without an end it goes to the last host.
        case slice(Int, Int?)
    }

    /// As written.
    let text: String
    let role: Role
    /// Without its sign and subscript.
    let expression: String
    let slice: Subscript?

    init(_ text: String) {
        self.text = text
        switch text.first {
        case "!": role = .excluding
        case "&": role = .intersecting
        default: role = .including
        }
        let body = role == .including ? text : String(text.dropFirst())
        guard !body.hasPrefix("~"), let match = body.wholeMatch(of: /(.+)\[(?:(-?[0-9]+)|([0-9]+)[:\-]([0-9]*))\]/)
        else {
            expression = body
            slice = nil
            return
        }
        expression = String(match.1)
        if let index = match.2.flatMap({ Int($0) }) {
            slice = .index(index)
        } else {
            slice = .slice(match.3.flatMap { Int($0) } ?? 0, match.4.flatMap { Int($0) })
        }
    }

    /// The parts of a pattern; commas separate them, and colons where the whole is no address.
    ///
    /// - Throws: ``Invalid`` for brackets that do not match and for a sign alone. Ansible leaves such characters out, so
    ///   that `~[` would mean every host.
    static func split(_ pattern: String) throws(Invalid) -> [HostPattern] {
        let parts: [String]
        if pattern.contains(",") {
            parts = pattern.split(separator: ",").map(String.init)
        } else if HostAddress.parse(pattern) != nil {
            parts = [pattern]
        } else {
            parts = pattern.matches(of: /(?:[^\s:\[\]]|\[[^\]]*\])+/).map { String($0.0) }
        }
        let result = parts.map { INILine.trimmed($0[...]) }.filter { !$0.isEmpty }.map(HostPattern.init)
        func brackets(_ text: String) -> Int { text.filter { $0 == "[" || $0 == "]" }.count }
        guard brackets(pattern) == parts.map(brackets).reduce(0, +) else {
            throw Invalid(summary: "the brackets of the host pattern `\(pattern)` do not match")
        }
        if let part = result.first(where: { $0.expression.isEmpty || $0.expression == "~" }) {
            throw Invalid(summary: "`\(part.text)` in the host pattern `\(pattern)` names nothing")
        }
        return result
    }

    var isRegex: Bool { expression.hasPrefix("~") }
    var isGlob: Bool { !isRegex && expression.contains { "*?[".contains($0) } }
    /// Whether hosts are looked at even where a group matches, as `_enumerate_matches` does.
    var reachesHosts: Bool { isRegex || expression.contains { ".?*[".contains($0) } }

    /// The names that the expression matches.
    func matches(among names: [String]) throws(Invalid) -> [String] {
        guard isRegex else { return names.filter { Glob.matches(expression, $0) } }
        // A set within a set and operators between sets, which Python takes for characters.
        guard expression.firstMatch(of: /\[[^\]]*(?:\[|&&|--|~~)/) == nil else {
            throw Invalid(summary: "`\(expression.dropFirst())` has sets within a set")
        }
        do {
            let regex = try Regex(String(expression.dropFirst()))
            return names.filter { $0.prefixMatch(of: regex) != nil }
        } catch {
            throw Invalid(summary: "`\(expression.dropFirst())` is not a regular expression")
        }
    }

    struct Invalid: Error {
        var summary: String
    }
}
