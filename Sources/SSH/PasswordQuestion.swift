// SPDX-License-Identifier: Apache-2.0

/// What servers, sudo, su and doas ask before they let somebody in, in the words of their PAM modules.
enum PasswordQuestion {
    /// What makes it a question for something else: a code of one use, as pam_oath's `One-time password (OATH) for`.
    private static let others: Set<String> = [
        "otp", "totp", "hotp", "oath", "token", "code", "passcode", "verification", "pin",
    ]
    /// What makes it one for a change of the password.
    private static let changes: Set<String> = ["new", "current", "old", "retype"]

    /// Whether the account's password is asked for, which must be told to nothing else.
    static func isForPassword(_ question: String) -> Bool {
        let words = words(of: question)
        guard words.contains("password") || words.contains("passphrase") else { return false }
        let isOfOneUse = zip(words, words.dropFirst()).contains { $0 == ("one", "time") }
        return !isOfOneUse && others.isDisjoint(with: words) && changes.isDisjoint(with: words)
    }

    /// Whether it is asked in the course of a change of the password.
    static func isForChange(_ question: String) -> Bool {
        // PAM says first why it is to be changed, and of whom.
        let words = words(of: question.split(whereSeparator: \.isNewline).last.map(String.init) ?? "")
        return words.contains("password") && !changes.isDisjoint(with: words)
    }

    private static func words(of question: String) -> [String] {
        // Behind `for` is a name, which may be any word.
        let subject = question.lowercased().split(separator: " for ").first ?? ""
        return subject.split { !$0.isLetter && !$0.isNumber }.map(String.init)
    }
}
