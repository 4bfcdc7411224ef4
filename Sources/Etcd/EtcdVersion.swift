// SPDX-License-Identifier: Apache-2.0

/// A version of etcd or etcdctl.
package struct EtcdVersion: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var major: Int
    package var minor: Int
    package var patch: Int

    package init(_ major: Int, _ minor: Int, _ patch: Int) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    /// `3.4.23`, also with a `v` before it and a suffix as `-rc.1` or `+git` behind it, or without a patch number.
    package init?(_ text: some StringProtocol) {
        let core = text.drop { $0 == "v" }.prefix { $0 != "-" && $0 != "+" }
        let fields = core.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = fields.compactMap { Int($0) }
        guard (1...3).contains(fields.count), numbers.count == fields.count else { return nil }
        self.init(numbers[0], numbers.count > 1 ? numbers[1] : 0, numbers.count > 2 ? numbers[2] : 0)
    }

    package static func < (left: EtcdVersion, right: EtcdVersion) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }

    package var description: String { "\(major).\(minor).\(patch)" }
}

/// A range of versions as a playbook writes it: `>=3.0.14 <3.5`.
package struct EtcdVersionRange: Hashable, Sendable, CustomStringConvertible {
    private enum Comparison: String, CaseIterable {
        case atLeast = ">="
        case atMost = "<="
        case equal = "=="
        case above = ">"
        case below = "<"
        case same = "="
    }

    package var description: String
    private var bounds: [(Comparison, EtcdVersion)]

    /// `nil` where a word is not a comparison with a version.
    package init?(_ text: String) {
        description = text
        bounds = []
        for word in text.split(whereSeparator: { $0 == " " || $0 == "," }) {
            let comparison = Comparison.allCases.first { word.hasPrefix($0.rawValue) }
            guard let version = EtcdVersion(word.dropFirst(comparison?.rawValue.count ?? 0)) else { return nil }
            bounds.append((comparison ?? .equal, version))
        }
        if bounds.isEmpty { return nil }
    }

    package func contains(_ version: EtcdVersion) -> Bool {
        bounds.allSatisfy { comparison, bound in
            switch comparison {
            case .atLeast: version >= bound
            case .atMost: version <= bound
            case .equal, .same: version == bound
            case .above: version > bound
            case .below: version < bound
            }
        }
    }

    package static func == (left: Self, right: Self) -> Bool { left.description == right.description }
    package func hash(into hasher: inout Hasher) { hasher.combine(description) }
}
