// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Fleet
import Foundation
import Remote

/// The passwords for all hosts: `-K`, `--become-password-file`.
///
/// None is ever a word of the command line, where every user of the machine could read it.
struct PasswordOptions: ParsableArguments {
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
        guard !asksBecomePassword || becomePasswordFile == nil else {
            throw ValidationError("Say one of -K and --become-password-file.")
        }
    }

    /// As they would be repeated on a command line, each with a space in front.
    var words: String {
        let files = [("--become-password-file", becomePasswordFile)].flatMap { name, file in
            file.map { [name, $0] } ?? []
        }
        let words = (asksBecomePassword ? ["-K"] : []) + files
        return words.map { " " + ShellQuoting.quote($0) }.joined()
    }

    /// Reads and asks for what is wanted.
    ///
    /// - Throws: `DiagnosticsError` with what is wrong with a file, or that nobody can be asked.
    func given(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        ask: (String) throws(DiagnosticsError) -> Secret = TerminalQuestion.ask
    ) throws(DiagnosticsError) -> GivenSecrets {
        func fromEnvironment(_ name: String) -> Secret? {
            environment[name].flatMap { $0.isEmpty ? nil : Secret($0) }
        }
        var given = GivenSecrets()
        given.become =
            asksBecomePassword
            ? try ask("BECOME password: ")
            : try becomePasswordFile.map { file throws(DiagnosticsError) in
                try SecretFile("become password", file).secret()
            } ?? fromEnvironment(GivenSecrets.Variable.become)
        return given
    }
}
