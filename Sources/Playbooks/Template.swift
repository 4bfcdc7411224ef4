// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Text with variables in it: `{{ name }}` inserts one, and that is all there is.
struct Template: Sendable, Hashable {
    enum Part: Sendable, Hashable {
        case text(String)
        case variable(String)
    }

    /// What is wrong with a `{{` or `{%`, and which of the text's openings it is, counted from 0.
    struct Problem: Sendable, Hashable {
        var opening: Int
        var summary: String
        var remedy: String
    }

    private(set) var parts: [Part] = []
    /// The ordinal of the opening of each part that is a variable, in order.
    private(set) var openings: [Int] = []

    /// The variables that are inserted, in order.
    var names: [String] {
        parts.compactMap { part in
            if case .variable(let name) = part { name } else { nil }
        }
    }

    /// The variable of a text that is one insertion and nothing else; its value keeps its type.
    var only: String? {
        if parts.count == 1, case .variable(let name) = parts[0] { name } else { nil }
    }

    /// Whether a text is more than the text itself.
    static func isTemplate(_ text: String) -> Bool {
        text.contains("{{") || text.contains("{%")
    }

    /// Where `{{` and `{%` begin; what overlaps counts once, from the left.
    static func openings(in text: ArraySlice<Unicode.Scalar>) -> [Int] {
        var places: [Int] = []
        var index = text.startIndex
        while index < text.endIndex - 1 {
            if text[index] == "{", text[index + 1] == "{" || text[index + 1] == "%" {
                places.append(index)
                index += 2
            } else {
                index += 1
            }
        }
        return places
    }

    /// Reads a text; what is wrong with it is told by ordinal, as places are known to the caller only.
    static func parse(_ text: String) -> (template: Template, problems: [Problem]) {
        let scalars = Array(text.unicodeScalars)
        let places = openings(in: scalars[...])
        var template = Template()
        var problems: [Problem] = []
        var done = 0
        for (ordinal, place) in places.enumerated() where place >= done {
            template.append(scalars[done..<place])
            guard scalars[place + 1] == "{" else {
                problems.append(Problem(opening: ordinal, summary: "'{% … %}' is not supported", remedy: insertOnly))
                done = place + 2
                continue
            }
            guard let end = closing(in: scalars, from: place + 2) else {
                problems.append(Problem(opening: ordinal, summary: "'{{' without '}}'", remedy: literalBraces))
                done = scalars.count
                break
            }
            let inner = trimmed(String(String.UnicodeScalarView(scalars[(place + 2)..<end])))
            if isName(inner) {
                template.parts.append(.variable(inner))
                template.openings.append(ordinal)
            } else {
                problems.append(problem(of: inner, opening: ordinal))
            }
            done = end + 2
        }
        template.append(scalars[done...])
        return (template, problems)
    }

    /// A letter or underscore, then letters, digits and underscores, as Ansible has it.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !isDigit(first) else { return false }
        return text.utf8.allSatisfy { isDigit($0) || isLetter($0) }
    }

    // MARK: - Private

    private static let insertOnly = "'{{ name }}' inserts a variable and nothing more; set the value as a variable"
    private static let literalBraces =
        "a literal '{{' cannot be written; a shell command can say '{''{', anything else belongs into a file on the node"

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return byte == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lower)
    }

    private static func trimmed(_ text: String) -> String {
        let isSpace: (Character) -> Bool = { $0.isWhitespace }
        return String(text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }

    private static func closing(in scalars: [Unicode.Scalar], from start: Int) -> Int? {
        guard scalars.count >= 2 else { return nil }
        return (start..<max(start, scalars.count - 1)).first { scalars[$0] == "}" && scalars[$0 + 1] == "}" }
    }

    private mutating func append(_ text: ArraySlice<Unicode.Scalar>) {
        if !text.isEmpty { parts.append(.text(String(String.UnicodeScalarView(text)))) }
    }

    private static func problem(of inner: String, opening: Int) -> Problem {
        let (summary, remedy): (String, String) =
            if inner.isEmpty {
                ("'{{ }}' names no variable", insertOnly)
            } else if let quote = inner.first, quote == "'" || quote == "\"" {
                ("'{{ \(inner) }}' is text, not a variable", literalBraces)
            } else if inner.contains("|") {
                (
                    "'{{ \(inner) }}': filters are not supported",
                    "give the variable its value under 'defaults', 'vars' or in the inventory"
                )
            } else if inner.contains(".") || inner.contains("[") {
                (
                    "'{{ \(inner) }}': a variable's parts cannot be taken",
                    "make the part a variable of its own"
                )
            } else {
                ("'{{ \(inner) }}': expressions are not supported", insertOnly)
            }
        return Problem(opening: opening, summary: summary, remedy: remedy)
    }
}
