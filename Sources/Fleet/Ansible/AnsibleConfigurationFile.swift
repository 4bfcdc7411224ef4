// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The sections of an `ansible.cfg`, as Python's `configparser` reads it for Ansible: `;` after a space begins a comment
/// anywhere, `#` at the beginning of a line, and a line that is indented goes on with the value above it.
struct AnsibleConfigurationFile {
    private var values: [String: [String: Located]] = [:]
    /// Where relative names of files begin.
    private let folder: String

    /// One that says nothing.
    init() { folder = "" }

    /// Reads a file.
    ///
    /// - Throws: ``DiagnosticsError`` where there is none, and with each line that is none.
    init(_ path: String) throws(DiagnosticsError) {
        folder = FilePath.folder(of: path)
        var reader = Reader(path: path)
        for (index, line) in INILine.lines(of: try SourceFile(path).text(ignoringComments: true)).enumerated() {
            reader.read(line, number: index + 1)
        }
        if !reader.problems.isEmpty { throw DiagnosticsError(reader.problems) }
        values = reader.values.mapValues { section in section.mapValues(Self.unquoted) }
    }

    /// The value of a key; nil where it is not there, or empty.
    subscript(section: String, key: String) -> Located? {
        guard let found = values[section]?[key], found.value.text != "" else { return nil }
        return found
    }

    /// The path that is meant by a name of a file, which is relative to this one.
    func path(_ text: String, _ environment: [String: String]) -> String {
        Self.path(text, in: folder, environment)
    }

    /// The same in any directory: `~`, `$NAME` and `${NAME}` are filled in, and a name that is not set stays.
    static func path(_ text: String, in directory: String, _ environment: [String: String]) -> String {
        let filled = text.replacing(/\$(?:(\w+)|\{([^}]*)\})/.asciiOnlyWordCharacters()) { match in
            (match.1 ?? match.2).flatMap { environment[String($0)] } ?? String(match.0)
        }
        // Python's `~` is what the environment says.
        let home = environment["HOME"].flatMap { filled.hasPrefix("~/") ? $0 + filled.dropFirst() : nil }
        let path = home ?? SourceFile.expanded(filled)
        return path.hasPrefix("/") || directory.isEmpty ? path : directory + "/" + path
    }

    private static func unquoted(_ found: Located) -> Located {
        let text = found.value.text
        guard text.count > 1, let first = text.first, first == text.last, first == "\"" || first == "'" else {
            return found
        }
        return Located(value: .string(String(text.dropFirst().dropLast())), location: found.location)
    }

    private struct Reader {
        let path: String
        var values: [String: [String: Located]] = [:]
        var problems: [Diagnostic] = []
        private var sections: [String: Int] = [:]
        private var section: String?
        private var key: String?
        private var indent = 0

        init(path: String) { self.path = path }

        mutating func read(_ raw: String, number: Int) {
            let line = INILine(raw.replacing(/(^|\s);.*$/, with: ""))
            guard !line.text.isEmpty, !line.text.hasPrefix("#") else { return }
            let location = SourceLocation(file: path, line: number, column: line.offset + 1)
            if let section, let key, line.offset > indent {
                let before = values[section]?[key]?.value.text ?? ""
                values[section]?[key]?.value = .string(before.isEmpty ? line.text : before + "\n" + line.text)
            } else if let header = line.text.wholeMatch(of: /\[([^\]]+)\].*/) {
                (section, key) = (String(header.1), nil)
                let first = sections.updateValue(number, forKey: String(header.1))
                if let first { refuseAgain("[\(header.1)]", after: first, at: location) }
            } else if let section, let pair = line.text.wholeMatch(of: /([^=:]+?)\s*[=:]\s*(.*)/) {
                let name = pair.1.lowercased()
                (key, indent) = (name, line.offset)
                if let first = values[section]?[name] {
                    refuseAgain(name, after: first.location.line, at: location)
                }
                values[section, default: [:]][name] = Located(value: .string(String(pair.2)), location: location)
            } else {
                problems.append(
                    Diagnostic(
                        at: location,
                        section == nil
                            ? "a value in front of the first section" : "this is neither a section nor a value",
                        remedy: "write `[section]` and below it `key = value`, or name another file by ANSIBLE_CONFIG"
                    )
                )
            }
        }

        /// Ansible does not say which of two it would take either.
        private mutating func refuseAgain(_ what: String, after first: Int, at location: SourceLocation) {
            problems.append(
                Diagnostic(
                    at: location,
                    "\(what) stands here a second time, after line \(first)",
                    remedy: "leave one of them, as Ansible asks for"
                )
            )
        }
    }
}
