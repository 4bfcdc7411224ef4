// SPDX-License-Identifier: Apache-2.0

/// Finds the word that was probably meant, for "did you mean".
enum ClosestName {
    /// The candidate nearest to the word, if it is near enough to be a slip of the finger.
    ///
    /// Distance is optimal string alignment: one insertion, deletion, substitution or swap of neighbours counts 1.
    static func of(_ word: String, in candidates: some Sequence<String>) -> String? {
        let limit = max(1, min(3, word.count / 3))
        return
            candidates
            .map { (name: $0, distance: distance(word.lowercased(), $0.lowercased())) }
            .filter { $0.distance <= limit }
            .min { ($0.distance, $0.name) < ($1.distance, $1.name) }?
            .name
    }

    /// `did you mean 'x'?`, or the whole choice where nothing is near.
    static func remedy(_ word: String, in candidates: [String], otherwise noun: String) -> String {
        if let name = of(word, in: candidates) { return "did you mean '\(name)'?" }
        return candidates.isEmpty ? "there are no \(noun)" : "\(noun): \(candidates.joined(separator: ", "))"
    }

    private static func distance(_ left: String, _ right: String) -> Int {
        let a = Array(left.unicodeScalars)
        let b = Array(right.unicodeScalars)
        guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i] + [Int](repeating: 0, count: b.count)
            for j in 1...b.count {
                let cost = a[i - 1] == b[j - 1] ? 0 : 1
                row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    row[j] = min(row[j], beforeLast[j - 2] + 1)
                }
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
