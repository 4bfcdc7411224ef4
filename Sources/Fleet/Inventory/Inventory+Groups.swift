// SPDX-License-Identifier: Apache-2.0

extension Inventory {
    /// The groups that names and globs mean, in the order in which they are given and the inventory lists them.
    ///
    /// `all` and `ungrouped` are meant by their names only.
    ///
    /// - Parameter patterns: each a name or a glob; several with commas between them.
    /// - Returns: groups with at least one host, each once.
    /// - Throws: ``DiagnosticsError`` that names each pattern that means none, with near names.
    package func groups(matching patterns: [String]) throws(DiagnosticsError) -> [String] {
        var found: [String] = []
        var problems: [Diagnostic] = []
        for pattern in patterns.flatMap({ $0.split(separator: ",").map(String.init) }) {
            let matching = groups.map(\.name).filter { name in
                name == pattern || (!["all", "ungrouped"].contains(name) && Glob.matches(pattern, name))
            }
            let filled = matching.filter { !hostNames(inGroup: $0).isEmpty }
            if filled.isEmpty {
                let remedy =
                    matching.isEmpty
                    ? NearNames.question(pattern, among: groups.map(\.name))
                        ?? "`pawl inventory --graph` shows all groups"
                    : "give it hosts, or leave it out"
                let what = matching.isEmpty ? "no group is called `\(pattern)`" : "the group `\(pattern)` has no host"
                problems.append(Diagnostic(at: nil, what, remedy: remedy))
            }
            found += filled.filter { !found.contains($0) }
        }
        if !problems.isEmpty { throw DiagnosticsError(problems) }
        return found
    }
}
