// SPDX-License-Identifier: Apache-2.0

/// Shell globs as Python's `fnmatch.translate` means them: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`, nothing else.
enum Glob {
    static func matches(_ pattern: String, _ text: String) -> Bool {
        matches(Array(pattern.unicodeScalars)[...], Array(text.unicodeScalars)[...])
    }

    private static func matches(_ pattern: ArraySlice<Unicode.Scalar>, _ text: ArraySlice<Unicode.Scalar>) -> Bool {
        var pattern = pattern
        var text = text
        // Where to go on when the rest does not match: the last star takes one scalar more.
        var star: (pattern: ArraySlice<Unicode.Scalar>, text: ArraySlice<Unicode.Scalar>)?
        while true {
            if pattern.first == "*" {
                pattern = pattern.dropFirst()
                star = (pattern, text)
                continue
            }
            if let rest = step(pattern, text) {
                (pattern, text) = rest
                if pattern.isEmpty, text.isEmpty { return true }
                continue
            }
            if pattern.isEmpty, text.isEmpty { return true }
            guard let (afterStar, from) = star, !from.isEmpty else { return false }
            star = (afterStar, from.dropFirst())
            pattern = afterStar
            text = from.dropFirst()
        }
    }

    /// Takes one scalar off the text where the head of the pattern allows it.
    private static func step(
        _ pattern: ArraySlice<Unicode.Scalar>,
        _ text: ArraySlice<Unicode.Scalar>
    ) -> (ArraySlice<Unicode.Scalar>, ArraySlice<Unicode.Scalar>)? {
        guard let head = pattern.first, let scalar = text.first else { return nil }
        if head == "[", let (isMember, length) = set(pattern, scalar) {
            return isMember ? (pattern.dropFirst(length), text.dropFirst()) : nil
        }
        return head == "?" || head == scalar ? (pattern.dropFirst(), text.dropFirst()) : nil
    }

    /// Whether the set at the head of the pattern holds the scalar; `nil` where the bracket is not closed.
    private static func set(_ pattern: ArraySlice<Unicode.Scalar>, _ scalar: Unicode.Scalar) -> (Bool, Int)? {
        var rest = pattern.dropFirst()
        let isNegated = rest.first == "!"
        if isNegated { rest = rest.dropFirst() }
        let begin = rest.startIndex
        // A bracket that comes first is a member.
        guard let end = rest.dropFirst().firstIndex(of: "]") else { return nil }
        let members = Array(rest[begin..<end])
        var isMember = false
        var index = 0
        while index < members.count {
            if index + 2 < members.count, members[index + 1] == "-" {
                isMember = isMember || (members[index] <= scalar && scalar <= members[index + 2])
                index += 3
            } else {
                isMember = isMember || members[index] == scalar
                index += 1
            }
        }
        return (isMember != isNegated, end - pattern.startIndex + 1)
    }
}
