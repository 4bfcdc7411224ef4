// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A secret that a person keeps in a file, or has a program print; `/dev/fd/N` is a file, too.
package struct SecretFile {
    /// What it is, as messages name it: `vault password`.
    let what: String
    /// The file or program as the user named it.
    let source: String

    package init(_ what: String, _ source: String) {
        self.what = what
        self.source = source
    }

    /// The secret as text of one line.
    ///
    /// - Returns: it, not empty.
    /// - Throws: ``DiagnosticsError`` for a file that is not there, is empty, or holds something else, and a program
    ///   that fails.
    package func secret() throws(DiagnosticsError) -> Secret {
        guard let text = String(validating: try bytes(), as: UTF8.self), !text.contains(where: \.isNewline) else {
            throw refused("the \(what) of \(source) is not one line of text", "put it on the file's only line")
        }
        return Secret(text)
    }

    /// The secret's bytes, without the white space around them.
    ///
    /// - Parameter arguments: what a program is told, by its name without an extension.
    /// - Returns: at least one byte.
    /// - Throws: ``DiagnosticsError`` as ``secret()`` does.
    func bytes(
        arguments: (_ name: String) -> [String] = { _ in [] }
    ) throws(DiagnosticsError) -> Data {
        let path = URL(fileURLWithPath: SourceFile.expanded(source)).path
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue else {
            throw refused("there is no \(what) file \(source)", "check the path")
        }
        let bytes =
            FileManager.default.isExecutableFile(atPath: path) ? try printed(by: path, arguments) : try read(path)
        guard !bytes.isEmpty else {
            throw refused("the \(what) of \(source) is empty", "put the password on its first line")
        }
        return bytes
    }

    private func refused(_ summary: String, _ remedy: String) -> DiagnosticsError {
        DiagnosticsError([Diagnostic(at: nil, summary, remedy: remedy)])
    }

    /// Reads to the end, as a pipe is to be read, too.
    private func read(_ path: String) throws(DiagnosticsError) -> Data {
        guard let bytes = try? FileHandle(forReadingFrom: URL(fileURLWithPath: path)).readToEnd() ?? Data() else {
            throw refused("the \(what) file \(source) cannot be read", "check its permissions and its owner")
        }
        guard !bytes.starts(with: VaultText.mark.utf8) else {
            throw refused(
                "the \(what) file \(source) is itself encrypted by Ansible Vault, which is not supported",
                "name a program that prints the password"
            )
        }
        return Self.trimmed(bytes) { $0 == 0x20 || (0x09...0x0D).contains($0) }
    }

    private func printed(
        by path: String,
        _ arguments: (_ name: String) -> [String]
    ) throws(DiagnosticsError) -> Data {
        let name = ((path as NSString).deletingPathExtension as NSString).lastPathComponent
        let output: LocalProgram.Output
        do {
            output = try LocalProgram(path: path).run(arguments(name))
        } catch {
            throw refused(
                "the \(what) program \(source) cannot be run: \(error.reason)",
                "if it is a file that holds the password, take its executable bit away: chmod -x \(source)"
            )
        }
        if let failure = output.failure {
            let complaint = output.complaint.isEmpty ? "" : ": \(output.complaint)"
            throw refused("the \(what) program \(source) failed; \(failure)\(complaint)", "run it by hand")
        }
        return Self.trimmed(output.bytes) { $0 == 0x0A || $0 == 0x0D }
    }

    private static func trimmed(_ bytes: Data, _ isDropped: (UInt8) -> Bool) -> Data {
        guard let first = bytes.firstIndex(where: { !isDropped($0) }),
            let last = bytes.lastIndex(where: { !isDropped($0) })
        else { return Data() }
        return Data(bytes[first...last])
    }
}
