// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation

/// What `sudo`, `su` or `doas` asks before a command begins, and what it is told.
///
/// A password is told once. Asked again, the program sees the end of its input: another try with the same password would
/// only bring the account nearer to being locked.
struct BecomeDialogue {
    /// What is to be sent on standard input.
    enum Reply {
        case line([UInt8])
        case endOfInput
    }

    /// How many times a password was asked for.
    private(set) var questions = 0
    /// Whose password was asked for, where the question says that in the form of ours; nil where it does not.
    private(set) var asked: String?
    /// What was asked that is no question for a password, in its words; not answered, and perhaps no question at all.
    private(set) var oddQuestion: String?
    private let password: Secret?

    init(password: Secret?) { self.password = password }

    /// Reads what was said since the last answer.
    ///
    /// A question is the end of a line that has not ended.
    ///
    /// - Parameter said: the text.
    /// - Returns: what is to be sent now, if anything.
    mutating func hear(_ said: [UInt8]) -> Reply? {
        let lines = String(decoding: said, as: UTF8.self).split(
            omittingEmptySubsequences: false,
            whereSeparator: \.isNewline
        )
        let question = lines.last.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
        oddQuestion = nil
        guard question.hasSuffix(":") || question.hasSuffix("?") else { return nil }
        guard PasswordQuestion.isForPassword(question) else {
            oddQuestion = question
            return nil
        }
        questions += 1
        asked = asked ?? Self.whose(question)
        guard questions == 1, let password else { return .endOfInput }
        return .line(Array(password.reveal().utf8) + [UInt8(ascii: "\n")])
    }

    /// The name in `pawl-NONCE password for NAME:`; a sudo that knows no `%p` leaves that as it is.
    private static func whose(_ question: String) -> String? {
        guard question.hasPrefix("pawl-"), let range = question.range(of: " password for "), question.hasSuffix(":")
        else { return nil }
        let name = question[range.upperBound...].dropLast()
        return name.isEmpty || name.contains("%") ? nil : String(name)
    }
}
