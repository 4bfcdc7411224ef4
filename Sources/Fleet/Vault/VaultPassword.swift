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
        // A program whose name ends in `-client` is told which password is meant, as Ansible does.
        bytes = try SecretFile("vault password", source).bytes { [label] name in
            name.hasSuffix("-client") ? ["--vault-id", label] : []
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
}
