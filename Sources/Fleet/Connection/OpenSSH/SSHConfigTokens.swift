// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// The tokens of ssh_config(5), as `%h`, and the variables of the environment, as `${NAME}`.
struct SSHConfigTokens {
    struct Problem: Error {
        var message: String
    }

    private var values: [Character: String]

    init(_ values: [Character: String]) { self.values = values }

    /// Those that most keywords take.
    init(
        host: String,
        original: String,
        alias: String,
        port: Int,
        user: String,
        context: SSHConfigContext
    ) {
        let digest = Insecure.SHA1.hash(data: Data((context.hostName + host + String(port) + user).utf8))
        values = [
            "C": digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(),
            "L": String(context.hostName.prefix { $0 != "." }), "l": context.hostName,
            "d": context.home, "h": host, "i": String(context.userID), "k": alias, "n": original,
            "p": String(port), "r": user, "u": context.user,
        ]
    }

    /// Those of the command of `Match exec`, without values; `%j` is of later versions than 9.2.
    static let namesOfExec = SSHConfigTokens(Dictionary(uniqueKeysWithValues: "CLdhijklnpru".map { ($0, "") }))

    /// The same, but only some of them.
    func only(_ names: String) -> SSHConfigTokens {
        SSHConfigTokens(values.filter { names.contains($0.key) })
    }

    /// Puts the values in.
    ///
    /// - Parameters:
    ///   - text: the value of a keyword.
    ///   - variables: the environment, where the keyword takes `${NAME}`.
    /// - Returns: the text without tokens.
    /// - Throws: what cannot be put in.
    func expand(_ text: String, variables: [String: String]? = nil) throws(Problem) -> String {
        var result = ""
        var rest = text[...]
        while let character = rest.popFirst() {
            if character == "$", rest.first == "{", let variables {
                result += try variable(&rest, variables)
            } else if character == "%" {
                guard let name = rest.popFirst() else { throw Problem(message: "`%` stands at the end") }
                if name == "%" {
                    result.append("%")
                    continue
                }
                guard let value = values[name] else {
                    let known = values.keys.sorted().map { "%\($0)" }.joined(separator: " ")
                    throw Problem(message: "the token `%\(name)` is not known here; known are %% \(known)")
                }
                result += value
            } else {
                result.append(character)
            }
        }
        return result
    }

    /// Looks for variables that are not in the environment.
    ///
    /// - Parameters:
    ///   - text: the value of a keyword that takes `${NAME}`, whose other characters mean nothing here.
    ///   - variables: the environment.
    /// - Throws: what cannot be put in.
    func checkVariables(of text: String, _ variables: [String: String]) throws(Problem) {
        var rest = text[...]
        while let character = rest.popFirst() {
            if character == "$", rest.first == "{" { _ = try variable(&rest, variables) }
        }
    }

    private func variable(_ rest: inout Substring, _ variables: [String: String]) throws(Problem) -> String {
        rest.removeFirst()
        guard let end = rest.firstIndex(of: "}") else { throw Problem(message: "`${` is not closed") }
        let name = String(rest[..<end])
        rest = rest[rest.index(after: end)...]
        guard let value = variables[name] else {
            throw Problem(message: "the environment has no variable \(name.isEmpty ? "without a name" : name)")
        }
        return value
    }
}
