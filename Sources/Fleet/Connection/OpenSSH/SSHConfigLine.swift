// SPDX-License-Identifier: Apache-2.0

/// One line of `ssh_config`, cut as OpenSSH cuts it.
///
/// Two ways of cutting meet in that file: `strdelim` for the keyword and for `Match`, where a `=` parts words, and
/// `argv_split` for everything else, where quotes may stand anywhere and a `#` between words begins a comment.
struct SSHConfigLine {
    struct Word: Hashable, Sendable {
        var text: String
        /// Counted from 1.
        var column: Int
    }

    struct Problem: Error, Equatable {
        var message: String
        var remedy: String?
        var column: Int
    }

    /// In lower case.
    var keyword: String
    /// As it stands there.
    var keywordText: String
    var column: Int
    /// The arguments without quotes and comment.
    var words: [Word]
    /// Everything behind the keyword, as the keywords take it that hold a command.
    var rest: Word

    /// Cuts a line; `nil` for one that is empty or a comment.
    init?(_ line: some StringProtocol) throws(Problem) {
        var scalars = Array(line.unicodeScalars)
        // The first stays whatever it is, as in OpenSSH: a line of a form feed alone is none that is empty.
        while scalars.count > 1, let last = scalars.last, Self.isSpace(last) || last == "\u{0C}" {
            scalars.removeLast()
        }
        let start = scalars.prefix { Self.isSpace($0) }.count
        var cut = SSHConfigDelimiter(scalars[start...])
        guard start < scalars.count, scalars[start] != "#" else { return nil }
        var word = cut.next()
        // One `=` before the keyword is passed over.
        if word?.text.isEmpty == true, scalars[start] == "=" { word = cut.next() ?? word }
        guard let first = word else {
            throw Problem(message: "a quote is opened and not closed", remedy: "close it", column: start + 1)
        }
        guard !first.text.isEmpty else { return nil }
        keywordText = first.text
        keyword = first.text.lowercased()
        column = start + 1
        let argument = (cut.rest ?? []).drop { Self.isSpace($0) }
        guard !argument.isEmpty else {
            throw Problem(message: "\(first.text) has no value", remedy: "write `\(first.text) VALUE`", column: column)
        }
        rest = Word(text: Self.text(argument), column: argument.startIndex + 1)
        words = try Self.split(argument)
    }

    /// `argv_split` with comments.
    private static func split(_ text: ArraySlice<Unicode.Scalar>) throws(Problem) -> [Word] {
        var words: [Word] = []
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == " " || text[index] == "\t" {
                index += 1
                continue
            }
            if text[index] == "#" { break }
            words.append(try word(in: text, at: &index))
        }
        return words
    }

    private static func word(
        in text: ArraySlice<Unicode.Scalar>,
        at index: inout Int
    ) throws(Problem) -> Word {
        let begin = index
        var quote: Unicode.Scalar?
        var word = String.UnicodeScalarView()
        while index < text.endIndex {
            let scalar = text[index]
            let next = index + 1 < text.endIndex ? text[index + 1] : nil
            if scalar == "\\", let next, next == "'" || next == "\"" || next == "\\" || (quote == nil && next == " ") {
                word.append(next)
                index += 2
                continue
            }
            if quote == nil, scalar == " " || scalar == "\t" { break }
            if quote == nil, scalar == "\"" || scalar == "'" {
                quote = scalar
            } else if scalar == quote {
                quote = nil
            } else {
                word.append(scalar)
            }
            index += 1
        }
        guard quote == nil else {
            throw Problem(message: "a quote is opened and not closed", remedy: "close it", column: begin + 1)
        }
        return Word(text: String(word), column: begin + 1)
    }

    static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || scalar == "\t" || scalar == "\r" || scalar == "\n"
    }
}

/// OpenSSH's `strdelim`: words that white space, one `=` or quotes part.
struct SSHConfigDelimiter {
    private(set) var rest: ArraySlice<Unicode.Scalar>?

    init(_ text: ArraySlice<Unicode.Scalar>) { rest = text }

    /// The next word; `nil` at the end and where a quote is not closed.
    mutating func next() -> SSHConfigLine.Word? {
        guard let text = rest else { return nil }
        let column = text.startIndex + 1
        guard let end = text.firstIndex(where: { SSHConfigLine.isSpace($0) || $0 == "\"" || $0 == "=" }) else {
            rest = nil
            return SSHConfigLine.Word(text: SSHConfigLine.text(text), column: column)
        }
        if text[end] == "\"" {
            let quoted = text[(end + 1)...]
            guard let close = quoted.firstIndex(of: "\"") else {
                rest = nil
                return nil
            }
            rest = quoted[(close + 1)...].drop { SSHConfigLine.isSpace($0) }
            return SSHConfigLine.Word(text: SSHConfigLine.text(text[..<end] + quoted[..<close]), column: column)
        }
        var after = text[(end + 1)...].drop { SSHConfigLine.isSpace($0) }
        if text[end] != "=", after.first == "=" {
            after = after.dropFirst().drop { SSHConfigLine.isSpace($0) }
        }
        rest = after
        return SSHConfigLine.Word(text: SSHConfigLine.text(text[..<end]), column: column)
    }
}
