// SPDX-License-Identifier: Apache-2.0

/// The hidden keys that a member holds, as ``HiddenKeysScript`` found them.
package struct HiddenKeys: Sendable, Hashable {
    package var count: Int
    /// Up to ten.
    package var names: [String]
    /// Paths that were written under once, and of which the member was asked whether they still are there.
    package var candidates: Int
    /// How many were asked for and told.
    package var answered: Int
    /// WAL files that could be read; without any, nothing was looked for.
    package var walFiles: Int
    /// What the member, or curl, said instead of an answer.
    package var refusal: String?

    init(_ values: [Substring: [Substring]]) {
        func number(_ name: Substring) -> Int { values[name]?.first.flatMap { Int($0) } ?? 0 }
        count = number("hidden_keys")
        names = (values["hidden"] ?? []).map { decodeJSON(String.self, $0.utf8) ?? String($0) }
        candidates = number("hidden_candidates")
        answered = number("hidden_asked") - number("hidden_refused")
        walFiles = number("wal_files")
        refusal = values["hidden_said"]?.first.map(String.init)
    }
}
