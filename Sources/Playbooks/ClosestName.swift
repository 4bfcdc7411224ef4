// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Finds the word that was probably meant, for "did you mean".
enum ClosestName {
    /// The candidate nearest to the word, if it is near enough to be a slip of the finger.
    static func of(_ word: String, in candidates: some Sequence<String>) -> String? {
        NearNames.of(word, among: candidates).first
    }

    /// `did you mean 'x'?`, or the whole choice where nothing is near.
    static func remedy(_ word: String, in candidates: [String], otherwise noun: String) -> String {
        if let name = of(word, in: candidates) { return "did you mean '\(name)'?" }
        return candidates.isEmpty ? "there are no \(noun)" : "\(noun): \(candidates.joined(separator: ", "))"
    }
}
