// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A password for Ansible Vault, from a file or from a program that prints it.
///
/// However it is printed, it says where it came from and nothing more.
struct VaultPassword: Sendable, CustomStringConvertible, CustomReflectable {
    /// The name that texts of version 1.2 may call it by.
    let label: String
    /// The file or program as the user named it.
    let source: String
    /// Bytes rather than text: a file may hold any.
    let bytes: Data

    var description: String { "the vault password \(label) of \(source)" }
    var customMirror: Mirror { Mirror(self, children: [] as [Mirror.Child], displayStyle: .struct) }

    /// Reads the password that an identity names: `FILE`, or `LABEL@FILE`.
    ///
    /// - Throws: ``DiagnosticsError`` for a file that is not there, or is empty, and a program that fails.
    init(identity: String) throws(DiagnosticsError) {
        (label, source) = Self.parts(of: identity)
        guard !["prompt", "prompt_ask_vault_pass"].contains(source) else {
            throw Self.refused(
                "the vault password \(identity) is to be asked for, which is not supported",
                "name a file, or a program that asks and prints it: --vault-id \(label)@FILE"
            )
        }
        let path = URL(fileURLWithPath: SourceFile.expanded(source)).path
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue else {
            throw Self.refused("there is no vault password file \(source)", "check the path")
        }
        bytes =
            FileManager.default.isExecutableFile(atPath: path)
            ? try Self.printed(by: path, label: label, source: source) : try Self.read(source)
        guard !bytes.isEmpty else {
            throw Self.refused("the vault password of \(source) is empty", "put the password on its first line")
        }
    }

    /// As `split_vault_id` of Ansible's `cli/__init__.py` does it.
    private static func parts(of identity: String) -> (label: String, source: String) {
        guard let at = identity.firstIndex(of: "@") else { return ("default", identity) }
        let label = String(identity[..<at])
        return (label.isEmpty ? "default" : label, String(identity[identity.index(after: at)...]))
    }

    private static func refused(_ summary: String, _ remedy: String) -> DiagnosticsError {
        DiagnosticsError([Diagnostic(at: nil, summary, remedy: remedy)])
    }

    private static func read(_ source: String) throws(DiagnosticsError) -> Data {
        let bytes = try SourceFile(source).bytes
        guard !bytes.starts(with: VaultText.mark.utf8) else {
            throw refused(
                "the vault password file \(source) is itself encrypted by Ansible Vault, which is not supported",
                "name a program that prints the password"
            )
        }
        return trimmed(bytes) { $0 == 0x20 || (0x09...0x0D).contains($0) }
    }

    /// A program whose name ends in `-client` is told which password is meant, as Ansible does.
    private static func printed(by path: String, label: String, source: String) throws(DiagnosticsError) -> Data {
        let name = ((path as NSString).deletingPathExtension as NSString).lastPathComponent
        let output: LocalProgram.Output
        do {
            output = try LocalProgram(path: path).run(name.hasSuffix("-client") ? ["--vault-id", label] : [])
        } catch {
            throw refused(
                "the vault password program \(source) cannot be run: \(error.reason)",
                "if it is a file that holds the password, take its executable bit away: chmod -x \(source)"
            )
        }
        if let failure = output.failure {
            let complaint = output.complaint.isEmpty ? "" : ": \(output.complaint)"
            throw refused("the vault password program \(source) failed; \(failure)\(complaint)", "run it by hand")
        }
        return trimmed(output.bytes) { $0 == 0x0A || $0 == 0x0D }
    }

    private static func trimmed(_ bytes: Data, _ isDropped: (UInt8) -> Bool) -> Data {
        guard let first = bytes.firstIndex(where: { !isDropped($0) }),
            let last = bytes.lastIndex(where: { !isDropped($0) })
        else { return Data() }
        return Data(bytes[first...last])
    }
}
