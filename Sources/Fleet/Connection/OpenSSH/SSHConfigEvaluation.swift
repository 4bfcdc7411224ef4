// SPDX-License-Identifier: Apache-2.0

/// Goes through the lines of a configuration for one host and keeps the values that count: of each keyword the first.
struct SSHConfigEvaluation {
    /// A value with the place that gave it.
    struct Given: Hashable {
        var words: [String]
        /// Everything behind the keyword.
        var rest: String
        var location: SourceLocation?

        var text: String { words.first ?? "" }
    }

    /// A file of a key or a certificate, and whether the user named it, on the command line or in a file of theirs.
    private struct NamedFile: Hashable {
        var path: String
        var isUsers: Bool
    }

    let context: SSHConfigContext
    /// As the host was asked for.
    let originalHost: String
    /// As it is called by now.
    var host: String
    /// Whether the files are read a second time, as `Match final` asks for.
    var isSecondReading = false
    private(set) var wantsSecondReading = false
    private(set) var problems: [Diagnostic] = []

    private var values: [String: Given] = [:]
    private(set) var identityFiles: [Given] = []
    private(set) var certificateFiles: [Given] = []
    private var named: [String: Set<NamedFile>] = [:]
    private(set) var jump: SSHJump?
    /// Whether `ProxyJump` was set, be it to `none`.
    private var hasJump = false

    init(_ host: String, context: SSHConfigContext) {
        self.context = context
        self.host = host
        originalHost = host
    }

    subscript(keyword: String) -> Given? { values[keyword] }

    /// The host that is connected to, for conditions and tokens.
    var target: String {
        guard let name = values["hostname"]?.text else { return host }
        if isSecondReading { return name }
        return (try? SSHConfigTokens(["h": host]).expand(name)) ?? name
    }

    var user: String { values["user"]?.text ?? context.user }
    var port: Int { values["port"].flatMap { SSHConfigDirective.port($0.text) } ?? 22 }

    mutating func setHostName(_ name: String) {
        values["hostname"] = Given(words: [name], rest: name, location: values["hostname"]?.location)
    }

    mutating func refuse(_ given: Given?, _ summary: String, _ remedy: String?) {
        let diagnostic = Diagnostic(at: given?.location, summary, remedy: remedy)
        if !problems.contains(diagnostic) { problems.append(diagnostic) }
    }

    // MARK: - Lines

    /// Takes the options of a command line.
    mutating func take(_ options: [SSHConfigDirective]) {
        for option in options { set(option, isUsers: true) }
    }

    /// Goes through a file.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - isActive: whether the lines before the first `Host` or `Match` count.
    ///   - canMatch: whether any line may; none may in a file that a section includes which does not match.
    mutating func take(_ file: SSHConfigFile, isActive: Bool = true, canMatch: Bool = true) {
        var isActive = isActive
        for directive in file.directives {
            switch directive.kind {
            case .host: isActive = canMatch && matches(patterns: directive.words.map(\.text))
            case .match: isActive = matches(directive, canMatch: canMatch) && canMatch
            case .include(let files):
                for file in files { take(file, isActive: isActive, canMatch: isActive) }
            case .setting:
                if isActive { set(directive, isUsers: file.isUsers) }
            case .unknown:
                if values["ignoreunknown"].map({
                    SSHPattern.listMatches($0.text, directive.keyword, loweringPatterns: true)
                })
                    != true
                {
                    problems.append(SSHConfig.unknown(directive))
                }
            }
        }
    }

    private func matches(patterns: [String]) -> Bool {
        var isMatch = false
        for pattern in patterns {
            let isNegated = pattern.hasPrefix("!")
            guard SSHPattern.matches(isNegated ? pattern.dropFirst() : pattern[...], host) else { continue }
            if isNegated { return false }
            isMatch = true
        }
        return isMatch
    }

    private mutating func matches(_ directive: SSHConfigDirective, canMatch: Bool) -> Bool {
        guard let match = try? SSHConfigMatch(directive) else { return false }
        var isMatch = true
        for condition in match.conditions {
            let holds: Bool
            switch condition.criterion {
            case .all: return isMatch && !condition.isNegated
            case .secondReading(let isFinal):
                if isFinal { wantsSecondReading = true }
                holds = isSecondReading
            case .host(let patterns): holds = SSHPattern.listMatches(patterns, host: target)
            case .originalHost(let patterns): holds = SSHPattern.listMatches(patterns, host: originalHost)
            case .user(let patterns): holds = SSHPattern.listMatches(patterns, user)
            case .localUser(let patterns): holds = SSHPattern.listMatches(patterns, context.user)
            case .exec(let command):
                // Nothing is run for a condition that cannot change the result.
                guard isMatch, canMatch else { continue }
                holds = execute(command, directive)
            }
            if holds == condition.isNegated { isMatch = false }
        }
        return isMatch
    }

    private mutating func execute(_ command: String, _ directive: SSHConfigDirective) -> Bool {
        let given = Given(words: [command], rest: command, location: directive.location)
        let tokens = SSHConfigTokens(
            host: target,
            original: originalHost,
            alias: values["hostkeyalias"]?.text ?? target,
            port: port,
            user: user,
            context: context
        )
        do throws(SSHConfigTokens.Problem) {
            guard let status = context.execute(try tokens.expand(command)) else {
                refuse(given, "the command of Match exec did not exit by itself", "run it by hand: \(command)")
                return false
            }
            return status == 0
        } catch {
            refuse(given, "Match exec: \(error.message)", "write %% for a percent sign")
            return false
        }
    }

    // MARK: - Values

    private mutating func set(_ directive: SSHConfigDirective, isUsers: Bool) {
        guard case .setting(let keyword) = directive.kind, keyword.use != .ignored else { return }
        let given = Given(
            words: directive.words.map(\.text),
            rest: directive.rest.text,
            location: directive.location
        )
        switch keyword.name {
        case "identityfile":
            if isNew(given, keyword, isUsers: isUsers) { identityFiles.append(given) }
        case "certificatefile":
            if isNew(given, keyword, isUsers: isUsers) { certificateFiles.append(given) }
        case "proxycommand":
            // `ProxyJump none` leaves room for a command, as in OpenSSH 9.2.
            if jump == nil, values["proxycommand"] == nil { values["proxycommand"] = given }
        case "proxyjump":
            guard !hasJump, values["proxycommand"] == nil else { return }
            hasJump = true
            values["proxyjump"] = given
            jump = SSHJump(given.rest)
        default:
            // A time of `none` is a time that is not set.
            if keyword.form == .time, given.text == "none" { return }
            if values[keyword.name] == nil { values[keyword.name] = given }
            checkUse(of: keyword)
        }
    }

    private mutating func isNew(_ given: Given, _ keyword: SSHConfigKeyword, isUsers: Bool) -> Bool {
        named[keyword.name, default: []].insert(NamedFile(path: given.text, isUsers: isUsers)).inserted
    }

    private mutating func checkUse(of keyword: SSHConfigKeyword) {
        guard case .refused(let harmless, let reason) = keyword.use, let given = values[keyword.name],
            !harmless.contains(given.text.lowercased())
        else { return }
        refuse(given, "\(keyword.title) \(given.text) is not supported: \(reason)", nil)
    }
}
