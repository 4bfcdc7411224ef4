// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Fleet
import Foundation

/// What a server asks in keyboard-interactive authentication (RFC 4256), and what it is told.
///
/// libssh2 asks synchronously and frees what it is given. One question for a password is answered, once; any other gets
/// an empty answer, which no server takes, because libssh2 has no way to break off.
final class PasswordAnswers {
    private let password: Secret
    /// Whether the password was told.
    private(set) var isTold = false
    /// What was asked besides.
    private(set) var otherQuestions: [String] = []

    init(_ password: Secret) { self.password = password }

    /// The answers to the questions of one round.
    func answers(to questions: [String]) -> [String] {
        questions.map { question in
            guard PasswordQuestion.isForPassword(question), questions.count == 1, !isTold else {
                otherQuestions.append(question.trimmingCharacters(in: .whitespacesAndNewlines))
                return ""
            }
            isTold = true
            return password.reveal()
        }
    }

    static let callback:
        @convention(c) (
            UnsafePointer<CChar>?, Int32, UnsafePointer<CChar>?, Int32, Int32,
            UnsafePointer<LIBSSH2_USERAUTH_KBDINT_PROMPT>?, UnsafeMutablePointer<LIBSSH2_USERAUTH_KBDINT_RESPONSE>?,
            UnsafeMutablePointer<UnsafeMutableRawPointer?>?
        ) -> Void = { _, _, _, _, count, prompts, responses, abstract in
            guard count > 0, let prompts, let responses, let context = abstract?.pointee else { return }
            let answers = Unmanaged<PasswordAnswers>.fromOpaque(context).takeUnretainedValue()
            let questions = (0..<Int(count)).map { index in
                let prompt = prompts[index]
                let text = UnsafeRawBufferPointer(start: prompt.text, count: Int(prompt.length))
                return String(decoding: text, as: UTF8.self)
            }
            for (index, answer) in answers.answers(to: questions).enumerated() {
                let bytes = Array(answer.utf8)
                // Freed by libssh2 with the session's allocator, which is the default: malloc and free.
                guard let copy = malloc(max(1, bytes.count)) else { return }
                copy.copyMemory(from: bytes, byteCount: bytes.count)
                responses[index].text = copy.assumingMemoryBound(to: CChar.self)
                responses[index].length = UInt32(bytes.count)
            }
        }
}
