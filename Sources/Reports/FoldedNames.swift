// SPDX-License-Identifier: Apache-2.0

/// Names of hosts in few words: `node[001-998], db1`.
///
/// The order stays. Neighbours that differ in one number alone are put together.
package struct FoldedNames {
    /// A name cut into its numbers and what is between them: text, number, text, …, text.
    private struct Parts {
        var pieces: [Substring] = [""]

        init(_ name: String) {
            for character in name {
                let isDigit = character.isASCII && character.isNumber
                if isDigit == (pieces.count % 2 == 0) {
                    pieces[pieces.count - 1].append(character)
                } else {
                    pieces.append(Substring(String(character)))
                }
            }
        }

        /// The place of the only number in which the two differ; `nil` where they differ otherwise, or in how numbers
        /// are written (`07` and `7`).
        func difference(from other: Parts) -> Int? {
            guard pieces.count == other.pieces.count else { return nil }
            let differing = pieces.indices.filter { pieces[$0] != other.pieces[$0] }
            guard differing.count == 1, let place = differing.first, place % 2 == 1 else { return nil }
            let (one, two) = (pieces[place], other.pieces[place])
            guard one.count == two.count || (one.first != "0" && two.first != "0") else { return nil }
            return place
        }
    }

    private struct Range {
        var first: Substring
        var last: Substring
    }

    /// - Parameter names: in the order in which they are to be told.
    /// - Returns: them on one line.
    package static func text(_ names: [String]) -> String {
        var folds: [String] = []
        var rest = names.map(Parts.init)[...]
        while let head = rest.popFirst() {
            guard let place = rest.first?.difference(from: head) else {
                folds.append(head.pieces.joined())
                continue
            }
            var ranges = [Range(first: head.pieces[place], last: head.pieces[place])]
            while let next = rest.first, next.difference(from: head) == place {
                rest.removeFirst()
                add(next.pieces[place], to: &ranges)
            }
            let numbers = ranges.map { $0.first == $0.last ? String($0.first) : "\($0.first)-\($0.last)" }
            folds.append(
                head.pieces[..<place].joined() + "[" + numbers.joined(separator: ",") + "]"
                    + head.pieces[(place + 1)...].joined()
            )
        }
        return folds.joined(separator: ", ")
    }

    private static func add(_ number: Substring, to ranges: inout [Range]) {
        if let last = ranges.last.flatMap({ Int($0.last) }), let next = Int(number), last < .max, next == last + 1 {
            ranges[ranges.count - 1].last = number
        } else {
            ranges.append(Range(first: number, last: number))
        }
    }
}
