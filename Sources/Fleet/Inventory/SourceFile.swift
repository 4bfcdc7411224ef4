// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The text of a file that a person named, or why there is none.
struct SourceFile {
    /// The file as the user named it.
    var path: String
    var bytes: Data

    init(_ path: String) throws(DiagnosticsError) {
        self.path = path
        let expanded = Self.expanded(path)
        guard FileManager.default.fileExists(atPath: expanded) else {
            throw DiagnosticsError([
                .of(file: path, "there is no such file", remedy: Self.nearFiles(of: expanded))
            ])
        }
        do {
            bytes = try Data(contentsOf: URL(fileURLWithPath: expanded))
        } catch {
            throw DiagnosticsError([
                .of(file: path, "the file cannot be read", remedy: "check its permissions and its owner")
            ])
        }
    }

    /// Puts what Ansible Vault encrypted in the place of the file that it is the whole of.
    ///
    /// - Returns: whether the file was encrypted.
    /// - Throws: ``DiagnosticsError`` where no password opens it.
    mutating func open(with keyring: VaultKeyring) throws(DiagnosticsError) -> Bool {
        guard bytes.starts(with: VaultText.mark.utf8) else { return false }
        let file = path
        bytes = try keyring.open(String(decoding: bytes, as: UTF8.self), "the file") { line in
            SourceLocation(file: file, line: line + 1, column: 1)
        }
        return true
    }

    static func expanded(_ path: String) -> String { (path as NSString).expandingTildeInPath }

    private static func nearFiles(of path: String) -> String {
        let folder = FilePath.folder(of: path)
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
        return NearNames.question((path as NSString).lastPathComponent, among: files) ?? "check the path"
    }

    /// The bytes as text.
    ///
    /// - Parameter ignoringComments: whether lines that begin with `#` or `;` may hold other bytes, as Ansible allows
    ///   in its configuration.
    /// - Returns: the text, with such lines emptied.
    /// - Throws: ``DiagnosticsError`` with each line that is not UTF-8.
    func text(ignoringComments: Bool) throws(DiagnosticsError) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        var problems: [Diagnostic] = []
        var lines: [String] = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            if let text = String(validating: line, as: UTF8.self) {
                lines.append(text)
            } else if ignoringComments, line.first == UInt8(ascii: "#") || line.first == UInt8(ascii: ";") {
                lines.append("")
            } else {
                problems.append(
                    Diagnostic(
                        at: SourceLocation(file: path, line: index + 1, column: Self.firstBadColumn(of: line)),
                        "the line is not UTF-8",
                        remedy: "save the file as UTF-8"
                    )
                )
            }
        }
        if !problems.isEmpty { throw DiagnosticsError(problems) }
        return lines.joined(separator: "\n")
    }

    /// What stands in ``markedText`` for bytes that are not UTF-8; it is of the private use area, which no file holds.
    static let undecodable: Unicode.Scalar = "\u{F0F2}"

    /// The bytes as text, those that are not UTF-8 marked, for a form whose comments may hold them.
    var markedText: String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        var text = String.UnicodeScalarView()
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): text.append(scalar)
            case .error: text.append(Self.undecodable)
            case .emptyInput: return String(text)
            }
        }
    }

    private static func firstBadColumn(of line: Data) -> Int {
        var decoder = UTF8()
        var bytes = line.makeIterator()
        var column = 1
        while case .scalarValue = decoder.decode(&bytes) { column += 1 }
        return column
    }
}
