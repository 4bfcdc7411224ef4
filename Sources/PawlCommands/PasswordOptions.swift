// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Fleet
import Foundation
import Remote

/// The passwords for all hosts: `-k`, `-K`, and files.
///
/// None is ever a word of the command line, where every user of the machine could read it.
struct PasswordOptions: ParsableArguments {
    @Flag(
        name: [.customShort("k"), .customLong("ask-pass")],
        help: "Ask for the password of the login user, once for all hosts."
    )
    var asksPassword = false

    @Option(
        name: [.customLong("connection-password-file"), .customLong("conn-pass-file")],
        help: """
            A file with the password of the login user, or a program that prints it; /dev/fd/N for a descriptor \
            (default: what $PAWL_PASSWORD holds).
            """
    )
    var connectionPasswordFile: String?

    @Option(
        name: .customLong("key-passphrase-file"),
        help: """
            A file with the passphrase of the private keys, or a program that prints it; /dev/fd/N for a descriptor \
            (default: what $PAWL_KEY_PASSPHRASE holds; at a terminal, each key's is asked for).
            """
    )
    var keyPassphraseFile: String?

    @Flag(
        name: [.customShort("K"), .customLong("ask-become-pass")],
        help: "Ask for the password of sudo, su or doas, once for all hosts."
    )
    var asksBecomePassword = false

    @Option(
        name: [.customLong("become-password-file"), .customLong("become-pass-file")],
        help: """
            A file with the password of sudo, su or doas, or a program that prints it; /dev/fd/N for a descriptor \
            (default: what $PAWL_BECOME_PASSWORD holds).
            """
    )
    var becomePasswordFile: String?

    mutating func validate() throws {
        guard !asksPassword || connectionPasswordFile == nil else {
            throw ValidationError("Say one of -k and --connection-password-file.")
        }
        guard !asksBecomePassword || becomePasswordFile == nil else {
            throw ValidationError("Say one of -K and --become-password-file.")
        }
    }

    /// As they would be repeated on a command line, each with a space in front.
    var words: String {
        let files = [
            ("--connection-password-file", connectionPasswordFile), ("--become-password-file", becomePasswordFile),
            ("--key-passphrase-file", keyPassphraseFile),
        ].flatMap { name, file in file.map { [name, $0] } ?? [] }
        let words = (asksPassword ? ["-k"] : []) + (asksBecomePassword ? ["-K"] : []) + files
        return words.map { " " + ShellQuoting.quote($0) }.joined()
    }

    /// Reads and asks for what is wanted.
    ///
    /// - Throws: `DiagnosticsError` with what is wrong with a file, or that nobody can be asked.
    func given(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        ask: (String, Secret?) throws(DiagnosticsError) -> Secret = TerminalQuestion.ask
    ) throws(DiagnosticsError) -> GivenSecrets {
        func read(_ what: String, _ file: String?, _ variable: String) throws(DiagnosticsError) -> Secret? {
            if let file { return try SecretFile(what, file).secret() }
            return environment[variable].flatMap { $0.isEmpty ? nil : Secret($0) }
        }
        var given = GivenSecrets()
        given.keyPassphrase = try read("key passphrase", keyPassphraseFile, GivenSecrets.Variable.keyPassphrase)
        given.login =
            asksPassword
            ? try ask("SSH password: ", nil)
            : try read("connection password", connectionPasswordFile, GivenSecrets.Variable.login)
        // As Ansible asks: Return alone is the password that was typed before.
        let typed = asksPassword ? given.login : nil
        given.become =
            asksBecomePassword
            ? try ask("BECOME password\(typed == nil ? "" : "[defaults to SSH password]"): ", typed)
            : try read("become password", becomePasswordFile, GivenSecrets.Variable.become)
        return given
    }
}
