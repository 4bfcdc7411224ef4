// SPDX-License-Identifier: Apache-2.0

/// Options of the `ssh` command line that an inventory may carry, read as lines of an SSH configuration.
///
/// What is not known is refused rather than left out: an option that had no effect could end at another machine than
/// the operator meant.
struct SSHOptions: Equatable {
    private(set) var directives: [SSHConfigDirective] = []
    /// The argument of `-F`.
    private(set) var configuration: String?

    /// Options of one letter that have a value, with the keyword that says the same.
    private static let keywords = [
        "i": "IdentityFile", "J": "ProxyJump", "p": "Port", "l": "User", "c": "Ciphers", "m": "MACs", "o": "", "F": "",
    ]
    /// Those without a value: for `-4` and `-6` the family, the others of no consequence here.
    private static let flags = [
        "4": "inet", "6": "inet6", "C": "", "q": "", "v": "", "t": "", "T": "", "x": "", "X": "", "Y": "", "a": "",
        "A": "",
        "k": "", "K": "", "n": "",
    ]

    /// Adds what variables of their own say.
    mutating func add(_ options: [SSHConfigDirective]) { directives += options }

    /// Reads one line of options.
    ///
    /// - Parameters:
    ///   - line: as a variable of the inventory has it.
    ///   - location: where that variable was set.
    /// - Returns: what is wrong with it, each with a remedy.
    mutating func read(_ line: String, at location: SourceLocation?) -> [(problem: String, remedy: String)] {
        var problems: [(problem: String, remedy: String)] = []
        var words: [String]
        do {
            words = try ShellWords.split(line, comments: false).map(\.text).reversed()
        } catch {
            return [(error.message, "close it")]
        }
        while let word = words.popLast() {
            guard let letter = Self.letter(of: word) else {
                // What follows may be the unknown option's own value, so the rest of the line is left alone.
                problems.append(("the option `\(word)` is not supported", Self.supported))
                break
            }
            guard Self.keywords[letter] != nil else {
                for flag in word.dropFirst() { take(flag: String(flag), at: location) }
                continue
            }
            guard let value = word.count == 2 ? words.popLast() : String(word.dropFirst(2)) else {
                let what = letter == "o" ? "option" : "value"
                let form = letter == "o" ? "-o Name=value" : "-\(letter) VALUE"
                problems.append(("`-\(letter)` at the end of the line has no \(what)", "write `\(form)`"))
                continue
            }
            if let problem = take(letter, value, at: location) { problems.append(problem) }
        }
        return problems
    }

    /// The letter of an option that is known: one with a value, or several flags together.
    private static func letter(of word: String) -> String? {
        guard word.count >= 2, word.hasPrefix("-") else { return nil }
        let letters = word.dropFirst().map(String.init)
        if keywords[letters[0]] != nil { return letters[0] }
        return letters.allSatisfy { flags[$0] != nil } ? letters[0] : nil
    }

    private static var supported: String {
        "supported are " + keywords.keys.sorted().map { "-\($0)" }.joined(separator: " ") + " and "
            + flags.keys.sorted().map { "-\($0)" }.joined(separator: " ")
    }

    private mutating func take(flag: String, at location: SourceLocation?) {
        guard let family = Self.flags[flag], !family.isEmpty,
            let directive = SSHConfigDirective("AddressFamily", family, at: location)
        else { return }
        forget(directive.keyword)
        directives.append(directive)
    }

    /// Leaves out what was said of a keyword so far, as ssh does at options of which the last counts.
    private mutating func forget(_ keyword: String) { directives.removeAll { $0.keyword == keyword } }

    private mutating func take(
        _ letter: String,
        _ value: String,
        at location: SourceLocation?
    ) -> (problem: String, remedy: String)? {
        switch letter {
        case "F":
            configuration = value
            return nil
        case "o": return take(option: value, at: location)
        case "J": return problemWithJump ?? take(option: "ProxyJump=\(value)", at: location)
        default:
            let keyword = Self.keywords[letter] ?? ""
            if letter == "c" || letter == "m" { forget(keyword.lowercased()) }
            // Quoted, because the value is one word whatever is in it.
            let word = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return take(option: "\(keyword)=\"\(word)\"", at: location)
        }
    }

    /// What ssh refuses of a `-J` behind what was said so far.
    private var problemWithJump: (problem: String, remedy: String)? {
        if directives.contains(where: { $0.keyword == "proxyjump" }) {
            return ("a second way over other hosts, `-J`", "name all hops behind one -J, as in `-J first,second`")
        }
        if directives.contains(where: { $0.keyword == "proxycommand" }) {
            return ("`-J` stands behind a ProxyCommand", "leave one of them out")
        }
        return nil
    }

    /// Takes `Name=value` or `Name value`; names are compared without case, as OpenSSH does.
    private mutating func take(
        option: String,
        at location: SourceLocation?
    ) -> (problem: String, remedy: String)? {
        do throws(SSHConfigLine.Problem) {
            guard let line = try SSHConfigLine(option) else {
                return ("the option `-o \(option)` has no name", "write `-o Name=value`")
            }
            let directive = try SSHConfigDirective(line, at: location)
            guard case .setting = directive.kind else {
                if directive.kind != .unknown {
                    return ("\(line.keywordText) is no option of a command line", "write it into ~/.ssh/config")
                }
                let question = NearNames.question(line.keywordText, among: SSHConfigKeyword.titles)
                return ("there is no option \(line.keywordText) of ssh", question ?? "look it up in ssh_config(5)")
            }
            directives.append(directive)
            return nil
        } catch {
            return (error.message, error.remedy ?? "write `-o Name=value`")
        }
    }
}
