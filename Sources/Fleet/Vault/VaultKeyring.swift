// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// The vault passwords that the user named, tried on what is met encrypted.
final class VaultKeyring: Sendable {
    private let passwords: [VaultPassword]
    /// What was opened before, by its text: a group's value is asked for by each of its hosts, and opening is slow.
    private let known = Mutex<[String: Secret]>([:])

    /// Reads every password.
    ///
    /// - Parameter identities: `FILE` or `LABEL@FILE`, as given to `--vault-id`.
    /// - Throws: ``DiagnosticsError`` with everything that is wrong with any of them.
    init(identities: [String]) throws(DiagnosticsError) {
        var passwords: [VaultPassword] = []
        var problems: [Diagnostic] = []
        for identity in identities {
            do throws(DiagnosticsError) {
                passwords.append(try VaultPassword(identity: identity))
            } catch {
                problems += error.diagnostics
            }
        }
        if !problems.isEmpty { throw DiagnosticsError(problems) }
        self.passwords = passwords
    }

    /// What was encrypted, by whichever password opens it; the one of the text's own label is tried first.
    ///
    /// - Parameters:
    ///   - text: The text with the line that it begins with.
    ///   - what: What it is, for the message.
    ///   - place: Where a line of the text stands, counted from 0.
    /// - Returns: the bytes.
    /// - Throws: ``DiagnosticsError`` where no password opens it.
    func open(
        _ text: String,
        _ what: String,
        at place: (_ line: Int) -> SourceLocation
    ) throws(DiagnosticsError) -> Data {
        let parsed = try VaultText(text, at: place)
        let label = parsed.label.map { " with the password called \($0)" } ?? ""
        guard !passwords.isEmpty else {
            throw DiagnosticsError([
                Diagnostic(
                    at: place(0),
                    "\(what) is encrypted by Ansible Vault\(label), and no password is given",
                    remedy: "name the file of its password with --vault-password-file"
                        + (parsed.label.map { " or --vault-id \($0)@FILE" } ?? "")
                )
            ])
        }
        let named = passwords.filter { $0.label == parsed.label }
        let others = passwords.filter { $0.label != parsed.label }
        for password in named + others {
            if let bytes = parsed.opened(with: password) { return bytes }
        }
        throw DiagnosticsError([
            Diagnostic(
                at: place(0),
                "\(what) is encrypted by Ansible Vault\(label), and none of the given passwords opens it",
                remedy: "these were tried: "
                    + (named + others).map { "\($0.label) of \($0.source)" }.joined(separator: ", ")
            )
        ])
    }

    /// The text of one variable that is encrypted by itself.
    func open(
        variable name: String,
        _ text: String,
        at location: SourceLocation
    ) throws(DiagnosticsError) -> Secret {
        if let secret = known.withLock({ $0[text] }) { return secret }
        let bytes = try open(text, "the variable \(name)") { _ in location }
        guard let plain = String(validating: bytes, as: UTF8.self) else {
            throw DiagnosticsError([
                Diagnostic(at: location, "the variable \(name) is encrypted bytes, not text", remedy: "encrypt a text")
            ])
        }
        let secret = Secret(plain)
        known.withLock { $0[text] = secret }
        return secret
    }
}
