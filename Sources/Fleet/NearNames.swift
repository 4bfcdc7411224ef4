// SPDX-License-Identifier: Apache-2.0

/// Finds what a person probably meant.
package enum NearNames {
    /// Names that are few edits away from the word, the nearest first, at most three.
    package static func of(_ word: String, among names: some Sequence<String>) -> [String] {
        let wanted = Array(word.lowercased().unicodeScalars)
        let most = max(1, wanted.count / 3)
        let near = Set(names).compactMap { name -> (name: String, distance: Int)? in
            let distance = distance(wanted, Array(name.lowercased().unicodeScalars))
            let shared = zip(wanted, name.lowercased().unicodeScalars).prefix { $0 == $1 }.count
            let isPart = shared >= 3 && shared == wanted.count
            let hasSameStem = shared >= max(4, wanted.count * 2 / 3)
            return distance <= most || isPart || hasSameStem ? (name, distance) : nil
        }
        return near.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
    }

    /// `did you mean `a` or `b`?`, or `nil` where nothing is near.
    package static func question(_ word: String, among names: some Sequence<String>) -> String? {
        let near = of(word, among: names).map { "`\($0)`" }
        guard let last = near.last else { return nil }
        let others = near.dropLast().joined(separator: ", ")
        return "did you mean \(others.isEmpty ? last : others + " or " + last)?"
    }

    /// Edits between the two: insert, delete, replace, or swap two neighbours.
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, scalar) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(last[column + 1] + 1, current[column] + 1, last[column] + (scalar == other ? 0 : 1))
                if row > 0, column > 0, scalar == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
