// SPDX-License-Identifier: Apache-2.0

/// Quoting of words for a POSIX shell.
package enum ShellQuoting {
    /// The word so that `sh` reads exactly its bytes back.
    ///
    /// Plain words stay as they are, for readability.
    package static func quote(_ word: String) -> String {
        let isPlain = !word.isEmpty && word.utf8.allSatisfy { isPlainByte($0) }
        return isPlain
            ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    /// The words of one command line, each quoted, with spaces between them.
    package static func line(_ words: [String]) -> String {
        words.map(quote).joined(separator: " ")
    }

    private static func isPlainByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default:
            "@%+:,./-_".utf8.contains(byte)
        }
    }
}
