// SPDX-License-Identifier: Apache-2.0

/// How the v3 keys of a member differ from its v2 keys, by kind, with the first of each by name.
package struct StoreDifferences: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case missing = "missing in v3"
        case added = "only in v3"
        case value = "another value"
        case revision = "created or modified at another index"
    }

    /// All of them, in the order of their names.
    package private(set) var names: [Kind: [KeyListing.Name]] = [:]
    private let v2: KeyListing
    private let v3: KeyListing

    package init(_ v2: KeyListing, _ v3: KeyListing) {
        self.v2 = v2
        self.v3 = v3
        for (name, key) in v2.keys {
            guard let other = v3.keys[name] else {
                names[.missing, default: []].append(name)
                continue
            }
            if key.value != other.value {
                names[.value, default: []].append(name)
            } else if key != other {
                names[.revision, default: []].append(name)
            }
        }
        for name in v3.keys.keys where v2.keys[name] == nil { names[.added, default: []].append(name) }
        for kind in names.keys { names[kind]?.sort { $0.lexicographicallyPrecedes($1) } }
    }

    package var count: Int { names.values.reduce(0) { $0 + $1.count } }

    /// A line for each of the first of each kind, and the total of each kind.
    package func lines(limit: Int = 5) -> [String] {
        Kind.allCases.flatMap { kind -> [String] in
            guard let all = names[kind] else { return [] }
            let rest = all.count > limit ? ["and \(all.count - limit) more that are \(kind.words)"] : []
            return all.prefix(limit).map { "\(kind.rawValue): \(line($0))" } + rest
        }
    }

    private func line(_ name: KeyListing.Name) -> String {
        let sides = [("v2", v2.keys[name]), ("v3", v3.keys[name])].compactMap { side, key in
            key.map { "\(side): created \($0.created), modified \($0.modified), \($0.digest)" }
        }
        return "\(String(decoding: name, as: UTF8.self)) (\(sides.joined(separator: "; ")))"
    }
}

extension StoreDifferences.Kind {
    fileprivate var words: String {
        switch self {
        case .missing, .added: rawValue
        case .value: "of another value"
        case .revision: rawValue
        }
    }
}
