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
        _ tried: inout [String]
    ) async throws(SSHFailure) -> Bool {
        guard let password = endpoint.password, let session, !isPasswordRefused else { return false }
        guard !isHostKeyChanged else {
            let why = "\(method.rawValue): not told the password, because the server's key is not the one on record"
            tried.append(why + " (somebody may be in between)")
            return false
        }
        let user = endpoint.user
        if method == .password {
            guard try await takesPassword(until: deadline) else {
                tried.append("password: the server lets nobody in by it")
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
                tried.append("password: \(Self.words(for: failure))")
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
                tried.append("keyboard-interactive: \(answers.isTold ? "the password was not taken" : "\(failure)")")
            } else {
                let questions = answers.otherQuestions.map { "`\($0)`" }.joined(separator: ", ")
                let besides = answers.isTold ? "besides the password " : ""
                tried.append("keyboard-interactive: \(besides)the server asks \(questions), which pawl cannot answer")
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
