// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The files that say how `ssh` reaches hosts, read once for all of them.
package struct SSHConfig: Sendable {
    /// Which files are read.
    package enum Source: Hashable, Sendable {
        /// `~/.ssh/config`, then `/etc/ssh/ssh_config`.
        case usual
        /// This one alone.
        case file(String)
        case none

        /// Reads the argument of `ssh -F`.
        package init(_ argument: String) {
            self = argument.lowercased() == "none" ? .none : .file(argument)
        }
    }

    package let source: Source
    package let context: SSHConfigContext
    let disk: SSHConfigDisk
    let files: [SSHConfigFile]

    /// Reads the files.
    ///
    /// - Parameters:
    ///   - source: which.
    ///   - disk: where they are.
    ///   - context: who asks.
    /// - Throws: everything that is wrong with them.
    package init(
        _ source: Source,
        disk: SSHConfigDisk = .local,
        context: SSHConfigContext = .current
    ) throws(DiagnosticsError) {
        self.source = source
        self.disk = disk
        self.context = context
        var reader = SSHConfigReader(disk: disk)
        switch source {
        case .none: files = []
        case .file(let path):
            guard let file = reader.read(path, isUsers: true, mustBeOwn: false) else {
                throw DiagnosticsError([
                    Diagnostic(
                        at: SourceLocation(file: path, line: 1, column: 1),
                        "there is no such SSH configuration",
                        remedy: "check the path, or say `none`"
                    )
                ])
            }
            files = [file]
        case .usual:
            let home = context.home.hasSuffix("/") ? String(context.home.dropLast()) : context.home
            files = [
                reader.read(home + "/.ssh/config", isUsers: true, mustBeOwn: true),
                reader.read("/etc/ssh/ssh_config", isUsers: false, mustBeOwn: false),
            ].compactMap(\.self)
        }
        let problems =
            reader.problems + Self.unknownKeywords(in: files) + Self.unsetVariables(in: files, context.variables)
        if !problems.isEmpty { throw DiagnosticsError(problems) }
    }

    // MARK: - Unknown keywords

    /// Those that no `IgnoreUnknown` of these files can mean; of the others it depends on the host.
    private static func unknownKeywords(in files: [SSHConfigFile]) -> [Diagnostic] {
        let all = files.flatMap(directives)
        let ignored = all.filter { $0.keyword == "ignoreunknown" }.compactMap { $0.words.first?.text }
        return all.filter { directive in
            directive.kind == .unknown
                && !ignored.contains { SSHPattern.listMatches($0, directive.keyword, loweringPatterns: true) }
        }
        .map(unknown)
    }

    /// Those of `IdentityAgent`, which ssh looks for when it reads the line, whichever host that is for.
    private static func unsetVariables(in files: [SSHConfigFile], _ variables: [String: String]) -> [Diagnostic] {
        files.flatMap(directives).compactMap { directive -> Diagnostic? in
            guard directive.keyword == "identityagent", let text = directive.words.first?.text else { return nil }
            do throws(SSHConfigTokens.Problem) {
                try SSHConfigTokens([:]).checkVariables(of: text, variables)
                if text.hasPrefix("$"), text.dropFirst().first != "{",
                    text.dropFirst().wholeMatch(of: /[A-Za-z0-9_]+/) == nil
                {
                    throw SSHConfigTokens.Problem(message: "this is no name of a variable")
                }
                return nil
            } catch {
                return Diagnostic(
                    at: directive.location,
                    "IdentityAgent \(text): \(error.message)",
                    remedy: "set it where pawl is called, or name the socket"
                )
            }
        }
    }

    private static func directives(of file: SSHConfigFile) -> [SSHConfigDirective] {
        file.directives.flatMap { directive in
            if case .include(let files) = directive.kind { return files.flatMap(directives) }
            return [directive]
        }
    }

    static func unknown(_ directive: SSHConfigDirective) -> Diagnostic {
        Diagnostic(
            at: directive.location,
            "`\(directive.keyword)` is no keyword of ssh_config",
            remedy: NearNames.question(directive.keyword, among: SSHConfigKeyword.titles)
                ?? "name it in IgnoreUnknown where another version of ssh knows it"
        )
    }
}
