// SPDX-License-Identifier: Apache-2.0

/// Where each host stands in each group of one file, so that a repetition can name both places.
struct HostPlaces {
    private var places: [String: [String: SourceLocation]] = [:]

    /// Notes the hosts of one entry.
    ///
    /// - Returns: what is wrong where the group has one of them already; the second entry would silently add to the
    ///   first or override it.
    mutating func note(_ names: [String], in group: String, at location: SourceLocation) -> Diagnostic? {
        var repeated: [(name: String, first: SourceLocation)] = []
        for name in names {
            if let first = places[group]?[name] {
                repeated.append((name, first))
            } else {
                places[group, default: [:]][name] = location
            }
        }
        guard let (name, first) = repeated.first else { return nil }
        let others = repeated.count > 1 ? " (and \(repeated.count - 1) more of this range)" : ""
        return Diagnostic(
            at: location,
            "the host \(name)\(others) is listed twice in the group \(group), first at \(first)",
            remedy: "remove one of the two"
        )
    }
}
