// SPDX-License-Identifier: Apache-2.0

/// A file of an SSH configuration with the files that it includes, read and checked.
package struct SSHConfigFile: Hashable, Sendable {
    var path: String
    /// Whether it is a user's, not the system's: relative paths of `Include` begin elsewhere.
    var isUsers: Bool
    var directives: [SSHConfigDirective] = []
}

/// Reads files of SSH configurations, and tells everything that is wrong with them.
struct SSHConfigReader {
    /// OpenSSH's own limit.
    private static let mostNested = 16

    let disk: SSHConfigDisk
    private(set) var problems: [Diagnostic] = []

    init(disk: SSHConfigDisk) { self.disk = disk }

    /// Reads a file and what it includes.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - isUsers: whether it is a user's.
    ///   - mustBeOwn: whether it must belong to root or to the user and be writable by nobody else.
    ///   - depth: how many files include it, one the other.
    /// - Returns: `nil` where there is no such file.
    mutating func read(_ path: String, isUsers: Bool, mustBeOwn: Bool, depth: Int = 0) -> SSHConfigFile? {
        switch disk.read(path) {
        case .missing: return nil
        case .unreadable(let reason):
            refuse(path, reason, "check its permissions and its owner")
            return SSHConfigFile(path: path, isUsers: isUsers)
        case .folder(let isOwn):
            // A pattern of Include may match one; ssh reads it as an empty file.
            if depth == 0 {
                refuse(path, "is a directory", "name a file")
            } else if mustBeOwn, !isOwn {
                refuseOthers(path)
            }
            return SSHConfigFile(path: path, isUsers: isUsers)
        case .text(let text, let isOwn):
            if mustBeOwn, !isOwn { refuseOthers(path) }
            return parse(text, path, isUsers: isUsers, depth: depth)
        }
    }

    private mutating func refuse(_ path: String, _ summary: String, _ remedy: String) {
        problems.append(Diagnostic(at: Self.top(of: path), summary, remedy: remedy))
    }

    private mutating func refuseOthers(_ path: String) {
        refuse(
            path,
            "the file is not only its owner's to write, or belongs to somebody else",
            "as ssh does, pawl does not follow it: chmod go-w, and chown it to you or root"
        )
    }

    private static func top(of path: String) -> SourceLocation { SourceLocation(file: path, line: 1, column: 1) }

    mutating func parse(_ text: String, _ path: String, isUsers: Bool, depth: Int = 0) -> SSHConfigFile {
        var file = SSHConfigFile(path: path, isUsers: isUsers)
        // By bytes: `\r\n` is one `Character`, which a split at `\n` does not find.
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, bytes) in lines.enumerated() {
            let number = index + 1
            do throws(SSHConfigLine.Problem) {
                guard let line = try SSHConfigLine(Substring(bytes)) else { continue }
                let place = SourceLocation(file: path, line: number, column: line.column)
                var directive = try SSHConfigDirective(line, at: place)
                if case .include = directive.kind {
                    directive.kind = .include(include(line.words, file, at: place, depth: depth))
                }
                if directive.kind == .host || directive.kind == .match { check(directive) }
                file.directives.append(directive)
            } catch {
                let place = SourceLocation(file: path, line: number, column: error.column)
                problems.append(Diagnostic(at: place, error.message, remedy: error.remedy))
            }
        }
        return file
    }

    private mutating func check(_ directive: SSHConfigDirective) {
        do throws(SSHConfigLine.Problem) {
            if directive.kind == .match {
                try checkCommands(of: SSHConfigMatch(directive), directive)
            } else if let empty = directive.words.first(where: \.text.isEmpty) {
                throw SSHConfigLine.Problem(
                    message: "Host has an empty pattern",
                    remedy: "write `Host PATTERN …`",
                    column: empty.column
                )
            }
        } catch {
            var place = directive.location
            place?.column = error.column
            problems.append(Diagnostic(at: place, error.message, remedy: error.remedy))
        }
    }

    /// As in ssh, a command with a token that is not known is an error also where its condition is not asked.
    private func checkCommands(
        of match: SSHConfigMatch,
        _ directive: SSHConfigDirective
    ) throws(SSHConfigLine.Problem) {
        for case .exec(let command) in match.conditions.map(\.criterion) {
            do throws(SSHConfigTokens.Problem) {
                _ = try SSHConfigTokens.namesOfExec.expand(command)
            } catch {
                throw SSHConfigLine.Problem(
                    message: "Match exec: \(error.message)",
                    remedy: "write %% for a percent sign",
                    column: directive.rest.column
                )
            }
        }
    }

    // MARK: - Include

    private mutating func include(
        _ words: [SSHConfigLine.Word],
        _ file: SSHConfigFile,
        at place: SourceLocation,
        depth: Int
    ) -> [SSHConfigFile] {
        guard depth < Self.mostNested else {
            problems.append(
                Diagnostic(
                    at: place,
                    "Include is nested deeper than \(Self.mostNested) files",
                    remedy: "look for a loop"
                )
            )
            return []
        }
        var files: [SSHConfigFile] = []
        for word in words {
            guard let pattern = pattern(word.text, isUsers: file.isUsers) else {
                var here = place
                here.column = word.column
                problems.append(
                    Diagnostic(
                        at: here,
                        "the path `\(word.text)` of Include is \(word.text.isEmpty ? "empty" : "a user's, in a system's file")",
                        remedy: "write an absolute path"
                    )
                )
                continue
            }
            for path in disk.glob(pattern) {
                if let read = read(path, isUsers: file.isUsers, mustBeOwn: true, depth: depth + 1) {
                    files.append(read)
                }
            }
        }
        return files
    }

    /// Anchors a relative path where OpenSSH does.
    private func pattern(_ path: String, isUsers: Bool) -> String? {
        if path.isEmpty || (path.hasPrefix("~") && !isUsers) { return nil }
        if path.hasPrefix("/") || path.hasPrefix("~") { return path }
        return (isUsers ? "~/.ssh/" : "/etc/ssh/") + path
    }
}
