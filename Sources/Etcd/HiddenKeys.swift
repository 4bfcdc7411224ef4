// SPDX-License-Identifier: Apache-2.0

/// The hidden keys that a member holds, as ``HiddenKeysScript`` found them.
package struct HiddenKeys: Sendable, Hashable {
    package var count: Int
    /// Up to ten.
    package var names: [String]
    /// Of hidden keys and directories those that have a TTL of their own, and up to ten names of them.
    package var expiring: Int
    package var expiringNames: [String]
    /// Those that hold bytes which are not UTF-8, in the name or the value.
    package var altered: Int
    package var alteredNames: [String]
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
        func list(_ name: Substring) -> [String] {
            (values[name] ?? []).map { decodeJSON(String.self, $0.utf8) ?? String($0) }
        }
        names = list("hidden")
        (expiring, expiringNames) = (number("hidden_expiring"), list("hidden_expiring_name"))
        (altered, alteredNames) = (number("hidden_altered"), list("hidden_altered_name"))
        candidates = number("hidden_candidates")
        answered = number("hidden_asked") - number("hidden_refused")
        walFiles = number("wal_files")
        refusal = values["hidden_said"]?.first.map(String.init)
    }
}
