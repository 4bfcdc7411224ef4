// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Fleet
import Foundation
import Logging
import Remote

extension SSHConnection {
    /// Tries the methods in their order.
    func authenticate(until deadline: ContinuousClock.Instant) async throws(RemoteError) {
        var tries = LoginTries()
        if isPasswordRefused { tries.note("the password was refused before, and is not told again", .admission) }
        do throws(SSHFailure) {
            for method in endpoint.methods {
                let isIn =
                    method == .publicKey
                    ? try await authenticateWithKeys(until: deadline, &tries)
                    : try await authenticate(byPassword: method, until: deadline, &tries)
                if isIn { return }
            }
            if endpoint.password == nil, endpoint.methods.contains(where: { $0 != .publicKey }) {
                tries.note("no password was given")
            }
        } catch {
            throw hangUp(error, tries)
        }
        throw await refusal(tries, until: deadline)
    }

    /// The connection broke before anybody was let in.
    private func hangUp(_ failure: SSHFailure, _ tries: LoginTries) -> RemoteError {
        let sofar = tries.words.isEmpty ? "" : "; before that: " + tries.text
        guard case .libssh2 = failure.kind else {
            return error(.unreachable, "\(failure)\(sofar)", remedy: "nothing was begun; try again")
        }
        let at = tries.current.map { ", with \($0) in hand" } ?? ""
        // What libssh2 was waiting for is said by that.
        let words = failure.message.hasPrefix("Waiting for") && !at.isEmpty ? "" : ": \(failure)"
        return error(
            .authentication,
            "the server ended the connection during authentication\(at)\(words)\(sofar)",
            remedy: tries.remedyAgainstHangUp
        )
    }

    /// Tries the configured key files, then the agent, then, where none is configured, the usual files.
    private func authenticateWithKeys(
        until deadline: ContinuousClock.Instant,
        _ tries: inout LoginTries
    ) async throws(SSHFailure) -> Bool {
        let configured = endpoint.privateKeyFiles.map { PrivateKeyFile(inspecting: $0) }
        let isUsual = configured.isEmpty && endpoint.triesUsualKeys
        let usual = isUsual ? PrivateKeyFile.usual.map { PrivateKeyFile(inspecting: $0) } : []
        if try await authenticate(with: configured, until: deadline, &tries) { return true }
        if endpoint.useAgent, try await authenticateWithAgent(configured + usual, until: deadline, &tries) {
            return true
        }
        if isUsual {
            let found = usual.filter { $0.state != .missing }
            if found.isEmpty { tries.note("no key in \(PrivateKeyFile.usual.joined(separator: ", "))", .admission) }
            if try await authenticate(with: found, until: deadline, &tries) { return true }
        }
        return false
    }

    private func refusal(_ tries: LoginTries, until deadline: ContinuousClock.Instant) async -> RemoteError {
        var methods = ""
        if let session,
            let list = try? await drive(
                "asking how to authenticate",
                until: deadline,
                { [user = endpoint.user] in
                    session.authenticationMethods(user: user)
                }
            )
        {
            methods = "; the server takes \(list)"
        }
        let tried = tries.words.isEmpty ? "nothing" : tries.text
        let login = LoginTries.Login(
            user: endpoint.user,
            address: endpoint.address,
            recordName: recordName,
            recordFile: KnownHosts.expand(knownHostsFiles[0])
        )
        return error(
            .authentication,
            "user \(endpoint.user) was not let in. Tried: \(tried)\(methods)",
            remedy: tries.remedy(login)
        )
    }

    // MARK: - Files

    private func authenticate(
        with files: [PrivateKeyFile],
        until deadline: ContinuousClock.Instant,
        _ tries: inout LoginTries
    ) async throws(SSHFailure) -> Bool {
        for file in files {
            switch file.state {
            case .missing: tries.note("\(file.path): no such file", .admission)
            case .unreadable(let reason): tries.note("\(file.path): \(reason)", .file(file.path))
            case .notAKey: tries.note("\(file.path): not a private key that libssh2 can read", .file(file.path))
            case .publicOnly:
                tries.note("\(file.path): a public key, whose private key the agent must have", .admission)
            case .encrypted where !canRead(file.cipher):
                let cipher = file.cipher ?? "a cipher"
                tries.note(
                    "\(file.path): encrypted with \(cipher), which libssh2 \(SessionHandle.libssh2Version) cannot read",
                    .cipher(file: file.path)
                )
            case .encrypted where endpoint.passphrase(of: file) == nil:
                tries.note(
                    "\(file.path): has a passphrase; load it into the agent with ssh-add, or give --key-passphrase-file",
                    .passphrase
                )
            case .encrypted, .usable:
                tries.current = "key \(file.path)"
                if try await attemptCertificates(of: file, until: deadline, &tries) { return true }
                guard let failure = try await attemptKey(file, until: deadline) else { return true }
                note(failure, of: file, &tries)
            }
        }
        return false
    }

    private func note(_ failure: SSHFailure, of file: PrivateKeyFile, _ tries: inout LoginTries) {
        if Self.isServers(failure) {
            explain(failure, "key \(file.path)", type: file.type, &tries)
        } else if file.state == .encrypted {
            tries.note(
                "\(file.path): the passphrase does not open it, or libssh2 cannot read its form (\(failure))",
                .passphrase
            )
        } else {
            explain(failure, "key \(file.path)", type: file.type, &tries, .file(file.path))
        }
    }

    /// Whether libssh2 has the cipher that a key is encrypted with.
    ///
    /// It reads keys with those of its connections, but for chacha20-poly1305, which 1.11.1 has for connections only.
    private func canRead(_ cipher: String?) -> Bool {
        guard let cipher, let session else { return true }
        return cipher != "chacha20-poly1305@openssh.com" && session.supportedMethods(.cipher).contains(cipher)
    }

    private func attemptCertificates(
        of file: PrivateKeyFile,
        until deadline: ContinuousClock.Instant,
        _ tries: inout LoginTries
    ) async throws(SSHFailure) -> Bool {
        let named = endpoint.certificateFiles.compactMap { CertificateFile(reading: $0) }
        let usesNamed = !endpoint.certificateFiles.isEmpty
        for certificate in CertificateFile.certificates(of: file, named: usesNamed ? named : nil) {
            guard let failure = try await attemptKey(file, certificate: certificate.path, until: deadline) else {
                return true
            }
            let isLacking = !certificate.type.hasPrefix("ecdsa-") && !SessionHandle.signsRSAWithSHA2
            let word = isLacking ? " (libssh2 \(SessionHandle.libssh2Version) takes those of ecdsa keys only)" : ""
            tries.note(refused: "certificate \(certificate.path): \(failure)\(word)")
        }
        return false
    }

    private func attemptKey(
        _ file: PrivateKeyFile,
        certificate: String? = nil,
        until deadline: ContinuousClock.Instant
    ) async throws(SSHFailure) -> SSHFailure? {
        guard let session else { throw SSHFailure(kind: .local, message: "the connection is closed") }
        let user = endpoint.user
        let passphrase = file.state == .encrypted ? endpoint.passphrase(of: file)?.reveal() : nil
        do throws(SSHFailure) {
            try await drive("authenticating", until: deadline) {
                session.authenticate(
                    user: user,
                    privateKeyFile: file.path,
                    passphrase: passphrase,
                    certificate: certificate
                )
            }
            return nil
        } catch {
            return try Self.refusedKey(error)
        }
    }

    /// A key that was not taken is followed by the next; a connection that broke is not.
    ///
    /// libssh2 has one code for both, and says that it was waiting where the connection broke.
    private static func refusedKey(_ failure: SSHFailure) throws(SSHFailure) -> SSHFailure {
        if failure.message.hasPrefix("Waiting for") { throw failure }
        switch failure.kind {
        case .libssh2(LIBSSH2_ERROR_AUTHENTICATION_FAILED), .libssh2(LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED),
            .libssh2(LIBSSH2_ERROR_FILE), .libssh2(LIBSSH2_ERROR_KEYFILE_AUTH_FAILED),
            .libssh2(LIBSSH2_ERROR_METHOD_NONE), .libssh2(LIBSSH2_ERROR_METHOD_NOT_SUPPORTED), .libssh2(-1), .local:
            return failure
        default:
            throw failure
        }
    }

    /// Whether it was the server that did not take the key, which then was read.
    private static func isServers(_ failure: SSHFailure) -> Bool {
        failure.kind == .libssh2(LIBSSH2_ERROR_AUTHENTICATION_FAILED)
            || failure.kind == .libssh2(LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
    }

    private nonisolated func explain(
        _ failure: SSHFailure,
        _ what: String,
        type: String?,
        _ tries: inout LoginTries,
        _ cure: LoginTries.Cure = .admission
    ) {
        guard type == "ssh-rsa", !SessionHandle.signsRSAWithSHA2 else {
            tries.note(refused: "\(what): \(failure)", cure)
            return
        }
        tries.note(
            refused: "\(what): \(failure) (libssh2 \(SessionHandle.libssh2Version) cannot sign RSA with SHA-2, which "
                + "servers ask for since OpenSSH 8.8: use an ed25519 or ecdsa key, or libssh2 1.11 or later)",
            .keyType
        )
    }

    // MARK: - Agent

    private func authenticateWithAgent(
        _ configured: [PrivateKeyFile],
        until deadline: ContinuousClock.Instant,
        _ tries: inout LoginTries
    ) async throws(SSHFailure) -> Bool {
        let path = endpoint.agentPath
        guard !path.isEmpty else {
            tries.note("no agent (SSH_AUTH_SOCK is not set)")
            return false
        }
        do throws(SSHFailure) {
            let agent = try SSHAgentClient(path: path, loop: loop, deadline: min(deadline, .now + limits.agent))
            var identities = try await agent.identities()
            if identities.isEmpty { tries.note("the agent has no keys") }
            // Those that belong to a configured file first: the server allows only some tries.
            let wanted = configured.compactMap(\.publicKey)
            let others = identities.filter { !wanted.contains($0.publicKey) }
            identities = identities.filter { wanted.contains($0.publicKey) }
            if !endpoint.identitiesOnly {
                identities += others
            } else if !others.isEmpty {
                tries.note("\(others.count) more of the agent's keys were left alone (IdentitiesOnly)")
            }
            for identity in identities.prefix(limits.agentKeys) {
                tries.current = "agent's key \(identity.comment)"
                guard let failure = try await attempt(identity, agent, until: deadline) else { return true }
                let type = HostKey(blob: identity.publicKey).type
                explain(failure, "agent's key \(identity.comment)", type: type, &tries)
            }
        } catch {
            if case .libssh2 = error.kind { throw error }
            if error.kind == .cancelled { throw error }
            tries.note("the agent: \(error)")
        }
        return false
    }

    private func attempt(
        _ identity: SSHAgentClient.Identity,
        _ agent: SSHAgentClient,
        until deadline: ContinuousClock.Instant
    ) async throws(SSHFailure) -> SSHFailure? {
        guard let session else { throw SSHFailure(kind: .local, message: "the connection is closed") }
        let signer = AgentSigner()
        while true {
            switch session.authenticate(user: endpoint.user, publicKey: identity.publicKey, signer: signer) {
            case .done: return nil
            case .failed(let failure): return try Self.refusedKey(failure)
            case .again(let interest):
                if let request = signer.request, signer.signature == nil {
                    do throws(SSHFailure) {
                        signer.signature = try await agent.sign(request, with: identity.publicKey, flags: signer.flags)
                    } catch {
                        // Left as it is, the request would be taken up again by the next key, and that key refused.
                        signer.isRefused = true
                        _ = session.authenticate(user: endpoint.user, publicKey: identity.publicKey, signer: signer)
                        return try Self.refusedKey(error)
                    }
                } else {
                    try await pause(for: interest, until: deadline, doing: "authenticating")
                }
            }
        }
    }
}
