// SPDX-License-Identifier: Apache-2.0

/// Quoting of words for a POSIX shell.
package enum ShellQuoting {
    /// The word so that `sh` reads exactly its bytes back.
    ///
    /// Plain words stay as they are, for readability.
    package static func quote(_ word: String) -> String {
        let isPlain = !word.isEmpty && word.utf8.allSatisfy { isPlainByte($0) }
        if isPlain { return word }
        // By bytes: as a `Character`, a quote with a combining mark behind it is no quote, yet to the shell it is one.
        var quoted = Array("'".utf8)
        for byte in word.utf8 {
            if byte == UInt8(ascii: "'") { quoted += Array("'\\''".utf8) } else { quoted.append(byte) }
        }
        return String(decoding: quoted + Array("'".utf8), as: UTF8.self)
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
