// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Options of the `ssh` command line that an inventory may carry, as far as they mean something here.
///
/// As in OpenSSH the first value of an option counts. What is not known is refused rather than left out: an option such
/// as `ProxyCommand` that had no effect would end at another machine than the operator meant.
struct SSHOptions: Equatable {
    var knownHostsFiles: [String]?
    var hostKeyPolicy: ConnectionSettings.HostKeyPolicy?
    var connectTimeout: Duration?
    var identityFiles: [String] = []
    var useAgent: Bool?

    private static let known = [
        "UserKnownHostsFile", "StrictHostKeyChecking", "ConnectTimeout", "IdentityFile", "IdentitiesOnly",
    ]

    /// Reads one line of options.
    ///
    /// - Returns: what is wrong with it, each with a remedy.
    mutating func read(_ line: String) -> [(problem: String, remedy: String)] {
        var problems: [(problem: String, remedy: String)] = []
        var words: [String]
        do {
            words = try ShellWords.split(line, comments: false).map(\.text).reversed()
        } catch {
            return [(error.message, "close it")]
        }
        while let word = words.popLast() {
            if word.hasPrefix("-o") {
                guard let option = word == "-o" ? words.popLast() : String(word.dropFirst(2)) else {
                    problems.append(("`-o` at the end of the line has no option", "write `-o Name=value`"))
                    continue
                }
                if let problem = set(option) { problems.append(problem) }
            } else if word.hasPrefix("-i") {
                guard let file = word == "-i" ? words.popLast() : String(word.dropFirst(2)) else {
                    problems.append(("`-i` at the end of the line has no file", "write `-i FILE`"))
                    continue
                }
                identityFiles.append(file)
            } else {
                // What follows may be the unknown option's own value, so the rest of the line is left alone.
                problems.append(("the option `\(word)` is not supported", Self.supported))
                break
            }
        }
        return problems
    }

    private static var supported: String { "supported are -i and -o with " + known.joined(separator: ", ") }

    /// Takes `Name=value` or `Name value`; names are compared without case, as OpenSSH does.
    private mutating func set(_ option: String) -> (problem: String, remedy: String)? {
        guard let match = option.wholeMatch(of: /\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*?)\s*/) else {
            return ("the option `-o \(option)` has no value", "write `-o Name=value`")
        }
        let name = String(match.1)
        let value = Self.unquoted(String(match.2))
        switch name.lowercased() {
        case "userknownhostsfile":
            let files = (try? ShellWords.split(value, comments: false).map(\.text)) ?? [value]
            knownHostsFiles = knownHostsFiles ?? files.filter { $0 != "none" }
        case "stricthostkeychecking":
            return setPolicy(value)
        case "connecttimeout":
            guard let seconds = Self.seconds(value) else {
                return ("ConnectTimeout is `\(value)`, not a time", "give whole seconds, 1 or more")
            }
            connectTimeout = connectTimeout ?? .seconds(seconds)
        case "identityfile":
            identityFiles.append(value)
        case "identitiesonly":
            guard let truth = Value.string(value).ansibleBool else {
                return ("IdentitiesOnly is `\(value)`", "give yes or no")
            }
            useAgent = useAgent ?? !truth
        case "controlmaster", "controlpersist", "controlpath":
            return ("the option \(name) is not supported", "remove it; one connection to each host is kept open anyway")
        default:
            let question = NearNames.question(name, among: Self.known).map { "\($0) " } ?? ""
            return ("the option \(name) is not supported", question + Self.supported)
        }
        return nil
    }

    private mutating func setPolicy(_ value: String) -> (problem: String, remedy: String)? {
        let policy: ConnectionSettings.HostKeyPolicy
        switch value.lowercased() {
        // Nobody is asked here, so `ask` accepts known keys only.
        case "yes", "true", "ask": policy = .strict
        case "accept-new": policy = .acceptNew
        case "no", "off", "false": policy = .off
        default: return ("StrictHostKeyChecking is `\(value)`", "give yes, accept-new or no")
        }
        hostKeyPolicy = hostKeyPolicy ?? policy
        return nil
    }

    private static func unquoted(_ value: String) -> String {
        guard value.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"") else { return value }
        return String(value.dropFirst().dropLast())
    }

    /// A time of `sshd_config(5)`: seconds, or numbers with s, m and h.
    private static func seconds(_ value: String) -> Int? {
        var total = 0
        var rest = value.lowercased()[...]
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let number = Int(digits), number < 1_000_000 else { return nil }
            rest = rest.dropFirst(digits.count)
            switch rest.first {
            case nil, "s"?: total += number
            case "m"?: total += number * 60
            case "h"?: total += number * 3600
            default: return nil
            }
            rest = rest.dropFirst()
        }
        return total > 0 ? total : nil
    }
}
