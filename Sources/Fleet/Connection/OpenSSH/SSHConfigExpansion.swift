// SPDX-License-Identifier: Apache-2.0

/// Puts homes, tokens and variables into the values of one host, and keeps what cannot be put in.
struct SSHConfigExpansion {
    private(set) var evaluation: SSHConfigEvaluation
    private let tokens: SSHConfigTokens
    private let target: SSHConfigSettings
    private var context: SSHConfigContext { evaluation.context }

    init(_ evaluation: SSHConfigEvaluation, _ settings: SSHConfigSettings) {
        self.evaluation = evaluation
        target = settings
        tokens = SSHConfigTokens(
            host: settings.hostName,
            original: settings.host,
            alias: settings.hostKeyAlias ?? settings.host,
            port: settings.port,
            user: settings.user,
            context: evaluation.context
        )
    }

    private mutating func path(
        _ text: String,
        _ given: SSHConfigEvaluation.Given?,
        _ title: String,
        hasTokens: Bool = true
    ) -> String? {
        guard let anchored = context.expandingTilde(text) else {
            evaluation.refuse(given, "\(title) \(text) is in the home of an unknown account", "write the whole path")
            return nil
        }
        guard hasTokens else { return anchored }
        do throws(SSHConfigTokens.Problem) {
            return try tokens.expand(anchored, variables: context.variables)
        } catch {
            evaluation.refuse(given, "\(title) \(text): \(error.message)", "write %% for a percent sign")
            return nil
        }
    }

    /// The files of keys and certificates; `none` is none.
    mutating func files(_ given: [SSHConfigEvaluation.Given], _ title: String) -> [String] {
        var files: [String] = []
        for one in given where one.text.lowercased() != "none" {
            if let path = path(one.text, one, title) { files.append(path) }
        }
        return files
    }

    mutating func knownHosts(
        _ given: SSHConfigEvaluation.Given?,
        or usual: [String],
        _ title: String,
        hasTokens: Bool
    ) -> [String] {
        let named = given?.words ?? usual
        if named.first?.lowercased() == "none" { return [] }
        var files: [String] = []
        for text in named {
            if let path = path(text, given, title, hasTokens: hasTokens) { files.append(path) }
        }
        return files
    }

    mutating func agent(
        _ given: SSHConfigEvaluation.Given?,
        printed: inout String?
    ) -> SSHConfigSettings.Agent {
        guard let given, let socket = path(given.text, given, "IdentityAgent") else { return .usual }
        printed = socket
        if socket.lowercased() == "none" { return .none }
        if socket == "SSH_AUTH_SOCK" { return .usual }
        guard socket.hasPrefix("$") else { return .socket(socket) }
        let name = String(socket.dropFirst())
        // As in ssh: a variable that is not set names no agent.
        return context.variables[name].map { .socket($0) } ?? .none
    }

    /// A list that leaves no algorithm is said at once, with its place.
    mutating func checkAlgorithms(_ settings: SSHConfigSettings) {
        let lists: [(SSHAlgorithmList, [String]?)] = [
            (.ciphers, settings.ciphers), (.macs, settings.macs), (.kexAlgorithms, settings.kexAlgorithms),
            (.hostKeyAlgorithms, settings.hostKeyAlgorithms),
        ]
        for (list, names) in lists where names?.isEmpty == true {
            let given = evaluation[list.rawValue]
            evaluation.refuse(given, "`\(given?.text ?? "")` leaves no algorithm", "look at the list with `ssh -G`")
        }
    }

    // MARK: - Proxies

    mutating func proxyCommand(_ given: SSHConfigEvaluation.Given) -> String? {
        do throws(SSHConfigTokens.Problem) {
            return try tokens.only("hknpr").expand(given.rest)
        } catch {
            evaluation.refuse(given, "ProxyCommand: \(error.message)", "write %% for a percent sign")
            return nil
        }
    }

    /// As OpenSSH does it: another `ssh`, which reads the same files for the hop, carries the bytes.
    ///
    /// Nobody is there to answer its questions, so it asks none.
    mutating func command(of jump: SSHJump, _ source: SSHConfig.Source) -> String? {
        if jump.host == target.hostName, (jump.port ?? 22) == target.port, (jump.user ?? target.user) == target.user {
            evaluation.refuse(evaluation["proxyjump"], "ProxyJump leads \(target.host) over itself", "name another hop")
            return nil
        }
        var words = ["ssh", "-o", "BatchMode=yes"]
        if let user = jump.user { words += ["-l", user] }
        if let port = jump.port { words += ["-p", String(port)] }
        if let before = jump.before { words += ["-J", before] }
        switch source {
        case .usual: break
        case .file(let path): words += ["-F", path]
        case .none: words += ["-F", "none"]
        }
        words += ["-W", "[\(target.hostName)]:\(target.port)", "--", jump.host]
        return words.map(Self.quoted).joined(separator: " ")
    }

    /// For a shell; `ShellQuoting` is of a module above this one.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./:=@,%+".utf8.contains(byte)
            }
        }
        return isPlain && !word.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
