// SPDX-License-Identifier: Apache-2.0

/// What servers, sudo, su and doas ask before they let somebody in, in the words of their PAM modules.
enum PasswordQuestion {
    /// What makes it a question for something else: a code of one use, as pam_oath's `One-time password (OATH) for`, or a
    /// change of the password.
    private static let others: Set<String> = [
        "otp", "totp", "hotp", "oath", "token", "code", "passcode", "verification", "pin", "new", "current", "old",
        "retype",
    ]

    /// Whether the account's password is asked for, which must be told to nothing else.
    static func isForPassword(_ question: String) -> Bool {
        // Behind `for` is a name, which may be any word.
        let subject = question.lowercased().split(separator: " for ").first ?? ""
        let words = subject.split { !$0.isLetter && !$0.isNumber }.map(String.init)
        guard words.contains("password") || words.contains("passphrase") else { return false }
        let isOfOneUse = zip(words, words.dropFirst()).contains { $0 == ("one", "time") }
        return !isOfOneUse && others.isDisjoint(with: words)
    }
}
