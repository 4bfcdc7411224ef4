// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Fleet
import Remote

extension SSHConnection {
    /// Tries the password by one method.
    ///
    /// A password that was told and not taken is not told again by another method: each try brings the account nearer
    /// to being locked.
    ///
    /// - Returns: whether the server let in.
    func authenticate(
        byPassword method: SSHEndpoint.AuthenticationMethod,
        until deadline: ContinuousClock.Instant,
        _ tries: inout LoginTries
    ) async throws(SSHFailure) -> Bool {
        guard let password = endpoint.password, let session, !isPasswordRefused else { return false }
        guard !isHostKeyChanged else {
            let why = "\(method.rawValue): not told the password, because the server's key is not the one on record"
            tries.note(why + " (somebody may be in between)", .record)
            return false
        }
        let user = endpoint.user
        tries.current = "the password"
        if method == .password {
            guard try await takesPassword(until: deadline) else {
                tries.note("password: the server lets nobody in by it", .admission)
                return false
            }
            do throws(SSHFailure) {
                try await drive("authenticating", until: deadline) {
                    session.authenticate(user: user, password: password.reveal())
                }
                return true
            } catch {
                let failure = try Self.refusedPassword(error)
                isPasswordRefused = failure.kind == .libssh2(LIBSSH2_ERROR_AUTHENTICATION_FAILED)
                let isExpired = failure.kind == .libssh2(LIBSSH2_ERROR_PASSWORD_EXPIRED)
                tries.note(refused: "password: \(Self.words(for: failure))", isExpired ? .passwordChange : .admission)
                return false
            }
        }
        let answers = PasswordAnswers(password)
        do throws(SSHFailure) {
            try await drive("authenticating", until: deadline) { session.authenticate(user: user, answers: answers) }
            return true
        } catch {
            let failure = try Self.refusedPassword(error)
            isPasswordRefused = answers.isTold || !answers.otherQuestions.isEmpty
            if answers.otherQuestions.isEmpty {
                let word = answers.isTold ? "the password was not taken" : "\(failure)"
                tries.note(refused: "keyboard-interactive: \(word)")
            } else {
                let questions = answers.otherQuestions.map { "`\(Self.line($0))`" }.joined(separator: ", ")
                let besides = answers.isTold ? "besides the password " : ""
                tries.note(
                    refused: "keyboard-interactive: \(besides)the server asks \(questions), which pawl cannot answer",
                    answers.otherQuestions.contains(where: PasswordQuestion.isForChange) ? .passwordChange : .question
                )
            }
            return false
        }
    }

    /// Whether the server takes passwords by themselves, where another method could still be asked for one: a password that
    /// it refuses unseen would count as told.
    private func takesPassword(until deadline: ContinuousClock.Instant) async throws(SSHFailure) -> Bool {
        let later = endpoint.methods.drop { $0 != .password }.dropFirst()
        guard later.contains(.keyboardInteractive), let session else { return true }
        let user = endpoint.user
        let methods = try await drive("asking how to authenticate", until: deadline) {
            session.authenticationMethods(user: user)
        }
        return methods.split(separator: ",").contains("password")
    }

    private static func line(_ question: String) -> String {
        question.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private static func words(for failure: SSHFailure) -> String {
        switch failure.kind {
        case .libssh2(LIBSSH2_ERROR_PASSWORD_EXPIRED): "it has expired and must be changed, by logging in by hand"
        case .libssh2(LIBSSH2_ERROR_AUTHENTICATION_FAILED): "the server did not take it, or lets nobody in by it"
        default: "\(failure)"
        }
    }

    private static func refusedPassword(_ failure: SSHFailure) throws(SSHFailure) -> SSHFailure {
        switch failure.kind {
        case .libssh2(LIBSSH2_ERROR_AUTHENTICATION_FAILED), .libssh2(LIBSSH2_ERROR_PASSWORD_EXPIRED),
            .libssh2(LIBSSH2_ERROR_METHOD_NONE), .libssh2(LIBSSH2_ERROR_METHOD_NOT_SUPPORTED), .libssh2(-1):
            return failure
        default:
            throw failure
        }
    }
}
