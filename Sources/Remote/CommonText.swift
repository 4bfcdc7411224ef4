// SPDX-License-Identifier: Apache-2.0

/// What one host says, or several say alike, with `…` where each has a word of its own.
///
/// What is told of one host is told as it is. Of several, that alone is left out in which they differ, and they may
/// differ only in words that are each host's own: a host that is called `a` has not taken away the article by that.
package struct CommonText: Sendable {
    /// The text of the first, in UTF-8.
    private let bytes: [UInt8]
    /// How long the longest word of its own is that begins at each place; 0 where none does.
    private let words: [Int32]
    /// The words in which others differ, by where they begin.
    private var folded: [Int: Int] = [:]

    /// - Parameters:
    ///   - text: what a host says.
    ///   - ownWords: words that are this host's alone, where they stand in it.
    package init(_ text: String, ownWords: [String] = []) {
        bytes = Array(text.utf8)
        words = Self.places(of: ownWords, in: bytes)
    }

    /// What all of them say.
    package var text: String {
        guard !folded.isEmpty else { return String(decoding: bytes, as: UTF8.self) }
        var result: [UInt8] = []
        var place = 0
        while place < bytes.count {
            if let length = folded[place] {
                result += Array("…".utf8)
                place += length
            } else {
                result.append(bytes[place])
                place += 1
            }
        }
        let text = String(decoding: result, as: UTF8.self)
        // Where it was, and nothing else.
        return text.hasSuffix(" […]") ? String(text.dropLast(4)) : text
    }

    /// Whether something is left out.
    package var isFolded: Bool { !folded.isEmpty }

    /// Takes what another host says, where it is the same but for words of their own.
    ///
    /// - Parameter other: the text of one host.
    /// - Returns: whether it was taken; where it was not, nothing has changed.
    package mutating func take(_ other: CommonText) -> Bool {
        guard let differing = differences(from: other) else { return false }
        for place in differing { folded[place] = Int(words[place]) }
        return true
    }

    /// Whether another says the same but for words of their own.
    package func isLike(_ other: CommonText) -> Bool { differences(from: other) != nil }

    /// Where the words begin in which the two differ; `nil` where they differ in anything else.
    private func differences(from other: CommonText) -> [Int]? {
        var differing: [Int] = []
        var (place, otherPlace) = (0, 0)
        while place < bytes.count, otherPlace < other.bytes.count {
            if words[place] > 0, other.words[otherPlace] > 0 {
                let (end, otherEnd) = (place + Int(words[place]), otherPlace + Int(other.words[otherPlace]))
                if bytes[place..<end] != other.bytes[otherPlace..<otherEnd] { differing.append(place) }
                (place, otherPlace) = (end, otherEnd)
            } else {
                guard bytes[place] == other.bytes[otherPlace] else { return nil }
                (place, otherPlace) = (place + 1, otherPlace + 1)
            }
        }
        return place == bytes.count && otherPlace == other.bytes.count ? differing : nil
    }

    /// The words that stand there by themselves, and are no part of another.
    private static func places(of words: [String], in bytes: [UInt8]) -> [Int32] {
        func isPart(_ place: Int) -> Bool {
            guard bytes.indices.contains(place) else { return false }
            switch bytes[place] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x80...:
                return true
            default: return false
            }
        }
        var places = [Int32](repeating: 0, count: bytes.count)
        for word in Set(words).map({ Array($0.utf8) }) where !word.isEmpty && word.count <= bytes.count {
            for place in 0...(bytes.count - word.count) where bytes[place] == word[0] {
                guard bytes[place..<(place + word.count)] == word[...], !isPart(place - 1),
                    !isPart(place + word.count)
                else { continue }
                places[place] = max(places[place], Int32(word.count))
            }
        }
        return places
    }
}
