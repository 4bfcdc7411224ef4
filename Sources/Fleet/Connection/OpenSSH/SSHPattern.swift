// SPDX-License-Identifier: Apache-2.0

/// The patterns of ssh_config(5) and of known_hosts: `*` for any characters and `?` for one, in lists with commas and `!`.
package enum SSHPattern {
    static func matches(_ pattern: some StringProtocol, _ text: String) -> Bool {
        let pattern = Array(pattern.utf8)
        let text = Array(text.utf8)
        var (at, position) = (0, 0)
        // Where to go on when the rest does not match: the last star takes one byte more.
        var star: (pattern: Int, text: Int)?
        while position < text.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                star = (at, position)
                at += 1
            } else if at < pattern.count, pattern[at] == text[position] || pattern[at] == UInt8(ascii: "?") {
                at += 1
                position += 1
            } else if let last = star {
                at = last.pattern + 1
                position = last.text + 1
                star = (last.pattern, position)
            } else {
                return false
            }
        }
        return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// Whether one of the patterns matches and none of the negated ones does.
    package static func listMatches(_ list: String, _ text: String, loweringPatterns: Bool = false) -> Bool {
        var isMatch = false
        for part in (loweringPatterns ? list.lowercased() : list).split(separator: ",") {
            let isNegated = part.hasPrefix("!")
            guard matches(isNegated ? part.dropFirst() : part, text) else { continue }
            if isNegated { return false }
            isMatch = true
        }
        return isMatch
    }

    /// The same for host names, which have no case.
    static func listMatches(_ list: String, host: String) -> Bool {
        listMatches(list, host.lowercased(), loweringPatterns: true)
    }
}
