// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line of an SSH configuration, read and checked.
struct SSHConfigDirective: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case host
        case match
        /// The files that were found, in order.
        case include([SSHConfigFile])
        case setting(SSHConfigKeyword)
        /// An error, unless `IgnoreUnknown` names it by then.
        case unknown
    }

    var kind: Kind
    /// In lower case.
    var keyword: String
    var words: [SSHConfigLine.Word]
    /// Everything behind the keyword.
    var rest: SSHConfigLine.Word
    var location: SourceLocation?

    /// A value that something else than a line of a configuration gives, as a variable of the inventory.
    init?(_ name: String, _ value: String, at location: SourceLocation?) {
        guard let known = SSHConfigKeyword.named(name.lowercased()) else { return nil }
        kind = .setting(known)
        keyword = known.name
        words = [SSHConfigLine.Word(text: value, column: 1)]
        rest = words[0]
        self.location = location
    }

    /// A line whose values are right; `Include` is seen to by the reader of files.
    ///
    /// - Throws: what is wrong with it.
    init(_ line: SSHConfigLine, at location: SourceLocation?) throws(SSHConfigLine.Problem) {
        (words, rest) = (line.words, line.rest)
        self.location = location
        guard let known = SSHConfigKeyword.named(line.keyword) else {
            (kind, keyword) = (.unknown, line.keyword)
            return
        }
        keyword = known.name
        switch known.name {
        case "host": kind = .host
        case "match": kind = .match
        case "include": kind = .include([])
        default: kind = .setting(known)
        }
        if known.form == .command || known.form == .jump { rest = Self.withoutEqualSigns(line.rest) }
        if let problem = Self.problem(with: line, rest, known) { throw problem }
    }

    /// A command, or hops: any number of `=` may stand before them.
    private static func withoutEqualSigns(_ word: SSHConfigLine.Word) -> SSHConfigLine.Word {
        let text = word.text.unicodeScalars.drop { $0 == "=" || SSHConfigLine.isSpace($0) }
        let column = word.column + word.text.unicodeScalars.count - text.count
        return SSHConfigLine.Word(text: String(text), column: column)
    }

    // MARK: - Values

    private static func problem(
        with line: SSHConfigLine,
        _ rest: SSHConfigLine.Word,
        _ known: SSHConfigKeyword
    ) -> SSHConfigLine.Problem? {
        func problem(_ message: String, _ remedy: String?, _ column: Int? = nil) -> SSHConfigLine.Problem {
            SSHConfigLine.Problem(
                message: message,
                remedy: remedy,
                column: column ?? line.words.first?.column ?? line.column
            )
        }
        let read = known.form == .command || known.form == .jump ? [rest] : line.words
        if known.use != .ignored, let odd = read.first(where: { $0.text.contains("\u{FFFD}") }) {
            return problem("\(known.title) is not in UTF-8", "save the file in UTF-8", odd.column)
        }
        if known.form == .anything { return nil }
        if known.form == .command, !rest.text.isEmpty { return nil }
        if known.form == .jump {
            return SSHJump.problem(with: rest.text).map { problem($0, "write `ProxyJump user@host:port,…`") }
        }
        guard known.form != .command, let first = line.words.first, !first.text.isEmpty else {
            return problem("\(known.title) has no value", "write `\(known.title) VALUE`", line.rest.column)
        }
        if known.form == .files { return problemWithFiles(line, known) }
        if line.words.count > 1 {
            return problem(
                "\(known.title) takes one value, and `\(line.words[1].text)` is one more",
                "put a value with spaces between quotes",
                line.words[1].column
            )
        }
        if known.form == .algorithms, let list = SSHAlgorithmList(rawValue: known.name) {
            return list.problem(with: first.text).map { problem("\(known.title) \($0.message)", $0.remedy) }
        }
        guard let expected = expectation(of: known.form, first.text) else { return nil }
        return problem("\(known.title) is `\(first.text)`", "give \(expected)")
    }

    private static func problemWithFiles(_ line: SSHConfigLine, _ known: SSHConfigKeyword) -> SSHConfigLine.Problem? {
        for word in line.words where word.text.isEmpty || (word.text.lowercased() == "none" && line.words.count > 1) {
            return SSHConfigLine.Problem(
                message: word.text.isEmpty
                    ? "\(known.title) has an empty value" : "`none` stands beside other values of \(known.title)",
                remedy: "name the files, or `none` alone",
                column: word.column
            )
        }
        return nil
    }

    /// What should stand there; `nil` where the value is right.
    private static func expectation(of form: SSHConfigKeyword.Form, _ text: String) -> String? {
        switch form {
        case .flag: ["yes", "no", "true", "false"].contains(text.lowercased()) ? nil : "yes or no"
        case .choice(let words):
            words.contains(text.lowercased()) ? nil : "one of " + words.joined(separator: ", ")
        case .time: text == "none" || SSHConfigTime.seconds(text) != nil ? nil : "seconds, or a time as 1m30s"
        case .number(let least):
            Int32(text).map { $0 >= least } == true ? nil : "a whole number from \(least) to \(Int32.max)"
        case .port: port(text) == nil ? "a whole number from 1 to 65535" : nil
        default: nil
        }
    }

    /// A number, or the name of a service.
    static func port(_ text: String) -> Int? {
        if let number = Int(text) { return (1...65535).contains(number) ? number : nil }
        guard let service = getservbyname(text, "tcp")?.pointee.s_port else { return nil }
        return Int(UInt16(truncatingIfNeeded: service).byteSwapped)
    }
}

/// Times of ssh_config(5): seconds, or numbers with s, m, h, d and w.
enum SSHConfigTime {
    static func seconds(_ text: String) -> Int? {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        var total = 0
        var rest = text.lowercased()[...]
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            // `strtol` takes it.
            if rest.hasPrefix("+") { rest = rest.dropFirst() }
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let number = Int(digits), number <= Int32.max else { return nil }
            rest = rest.dropFirst(digits.count)
            var unit = 1
            if let letter = rest.popFirst() {
                guard let known = units[letter] else { return nil }
                unit = known
            }
            total += number * unit
            guard total <= Int32.max else { return nil }
        }
        return total
    }
}
