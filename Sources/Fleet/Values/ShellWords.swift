// SPDX-License-Identifier: Apache-2.0

/// Words of a line, cut as Python's `shlex.split` cuts them.
///
/// Ansible cuts host lines of an inventory (with comments) and `ansible_ssh_*args` (without) with it, so its rules are
/// part of the file format: a `#` begins a comment even within a word, and quotes may stand anywhere.
struct ShellWords {
    struct Word: Equatable {
        var text: String
        /// Counted from 0, in Unicode scalars from the start of the line.
        var offset: Int
    }

    struct Unfinished: Error, Equatable {
        var message: String
        var offset: Int
    }

    private let scalars: [Unicode.Scalar]
    private let comments: Bool
    private var position = 0

    static func split(_ line: String, comments: Bool) throws(Unfinished) -> [Word] {
        var words = ShellWords(scalars: Array(line.unicodeScalars), comments: comments)
        var result: [Word] = []
        while let word = try words.next() { result.append(word) }
        return result
    }

    private init(scalars: [Unicode.Scalar], comments: Bool) {
        self.scalars = scalars
        self.comments = comments
    }

    private mutating func next() throws(Unfinished) -> Word? {
        while position < scalars.count, Self.isSpace(scalars[position]) { position += 1 }
        let start = position
        var text = String.UnicodeScalarView()
        var isWord = false
        while position < scalars.count, !Self.isSpace(scalars[position]) {
            let scalar = scalars[position]
            if scalar == "#", comments {
                position = scalars.count
                break
            }
            isWord = true
            switch scalar {
            case "'", "\"": try readQuoted(by: scalar, into: &text)
            case "\\":
                position += 1
                try appendEscaped(into: &text)
            default:
                text.append(scalar)
                position += 1
            }
        }
        return isWord ? Word(text: String(text), offset: start) : nil
    }

    private mutating func readQuoted(
        by quote: Unicode.Scalar,
        into text: inout String.UnicodeScalarView
    ) throws(Unfinished) {
        let start = position
        position += 1
        while position < scalars.count, scalars[position] != quote {
            guard scalars[position] == "\\", quote == "\"" else {
                text.append(scalars[position])
                position += 1
                continue
            }
            position += 1
            // Within double quotes a backslash is kept unless it escapes itself or the quote.
            if position < scalars.count, scalars[position] != "\\", scalars[position] != quote { text.append("\\") }
            try appendEscaped(into: &text)
        }
        guard position < scalars.count else {
            throw Unfinished(message: "a quote is opened and not closed", offset: start)
        }
        position += 1
    }

    private mutating func appendEscaped(into text: inout String.UnicodeScalarView) throws(Unfinished) {
        guard position < scalars.count else {
            throw Unfinished(message: "nothing follows the backslash", offset: position - 1)
        }
        text.append(scalars[position])
        position += 1
    }

    private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || scalar == "\t" || scalar == "\r" || scalar == "\n"
    }
}
