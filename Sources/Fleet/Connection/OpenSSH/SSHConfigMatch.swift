// SPDX-License-Identifier: Apache-2.0

/// The conditions of a `Match` line.
struct SSHConfigMatch {
    enum Criterion: Equatable {
        case all
        /// `canonical` and `final`: the second reading of the files.
        case secondReading(isFinal: Bool)
        case host(String)
        case originalHost(String)
        case user(String)
        case localUser(String)
        case exec(String)
    }

    struct Condition: Equatable {
        var criterion: Criterion
        var isNegated: Bool
    }

    private(set) var conditions: [Condition] = []

    /// - Throws: what is wrong with the line.
    init(_ directive: SSHConfigDirective) throws(SSHConfigLine.Problem) {
        let column = directive.rest.column
        func problem(_ message: String, _ remedy: String, at word: SSHConfigLine.Word) -> SSHConfigLine.Problem {
            SSHConfigLine.Problem(message: message, remedy: remedy, column: column + word.column - 1)
        }
        var words = SSHConfigDelimiter(Array(directive.rest.text.unicodeScalars)[...])
        while let word = words.next(), !word.text.isEmpty, !word.text.hasPrefix("#") {
            let isNegated = word.text.hasPrefix("!")
            let name = (isNegated ? String(word.text.dropFirst()) : word.text).lowercased()
            switch name {
            case "all":
                let next = words.next()
                guard conditions.count <= 1, next?.text.isEmpty ?? true || next?.text.hasPrefix("#") == true else {
                    throw problem("`all` stands beside other conditions of Match", "write `Match all`", at: word)
                }
                conditions.append(Condition(criterion: .all, isNegated: isNegated))
                return
            case "final", "canonical":
                conditions.append(
                    Condition(criterion: .secondReading(isFinal: name == "final"), isNegated: isNegated)
                )
                continue
            default: break
            }
            guard Self.names.contains(name) else {
                let known = Self.names + ["all", "final", "canonical"]
                let question = NearNames.question(name, among: known) ?? "known are " + known.joined(separator: ", ")
                throw problem("`\(word.text)` is no condition of Match", question, at: word)
            }
            guard let argument = words.next(), !argument.text.isEmpty, !argument.text.hasPrefix("#") else {
                throw problem("the condition `\(name)` of Match has no value", "write `Match \(name) VALUE`", at: word)
            }
            conditions.append(Condition(criterion: Self.criterion(name, argument.text), isNegated: isNegated))
        }
        guard !conditions.isEmpty else {
            throw SSHConfigLine.Problem(
                message: "Match has no condition",
                remedy: "write `Match all`, or `Match host PATTERN`",
                column: column
            )
        }
    }

    private static let names = ["host", "originalhost", "user", "localuser", "exec"]

    private static func criterion(_ name: String, _ argument: String) -> Criterion {
        switch name {
        case "host": .host(argument)
        case "originalhost": .originalHost(argument)
        case "user": .user(argument)
        case "localuser": .localUser(argument)
        default: .exec(argument)
        }
    }
}
