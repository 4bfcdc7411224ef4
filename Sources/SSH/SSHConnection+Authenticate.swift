// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Fleet
import Foundation
import Logging
import Remote

extension SSHConnection {
    /// Tries the methods in their order.
    func authenticate(until deadline: ContinuousClock.Instant) async throws(RemoteError) {
        var tried: [String] = []
        if isPasswordRefused { tried.append("the password was refused before, and is not told again") }
        do throws(SSHFailure) {
            for method in endpoint.methods {
                let isIn =
                    method == .publicKey
                    ? try await authenticateWithKeys(until: deadline, &tried)
                    : try await authenticate(byPassword: method, until: deadline, &tried)
                if isIn { return }
            }
            if endpoint.password == nil, endpoint.methods.contains(where: { $0 != .publicKey }) {
                tried.append("no password was given")
            }
        } catch {
            let sofar = tried.isEmpty ? "" : "; before that: " + tried.joined(separator: "; ")
            guard case .libssh2 = error.kind else {
                throw self.error(.unreachable, "\(error)\(sofar)", remedy: "nothing was begun; try again")
            }
            throw self.error(
                .authentication,
                "the server ended the connection during authentication: \(error)\(sofar)",
                remedy:
                    "name the one right key for this host, as the server counts each key tried (MaxAuthTries); and look "
                    + "at its log: libssh2 takes no Banner of more than 32 KiB"
            )
        }
        throw await refusal(tried, until: deadline)
    }

    /// Tries the configured key files, then the agent, then, where none is configured, the usual files.
    private func authenticateWithKeys(
        until deadline: ContinuousClock.Instant,
        _ tried: inout [String]
    ) async throws(SSHFailure) -> Bool {
        let configured = endpoint.privateKeyFiles.map { PrivateKeyFile(inspecting: $0) }
        let isUsual = configured.isEmpty && endpoint.triesUsualKeys
        let usual = isUsual ? PrivateKeyFile.usual.map { PrivateKeyFile(inspecting: $0) } : []
        if try await authenticate(with: configured, until: deadline, &tried) { return true }
        if endpoint.useAgent, try await authenticateWithAgent(configured + usual, until: deadline, &tried) {
            return true
        }
        if isUsual {
            let found = usual.filter { $0.state != .missing }
            if found.isEmpty { tried.append("no key in \(PrivateKeyFile.usual.joined(separator: ", "))") }
            if try await authenticate(with: found, until: deadline, &tried) { return true }
        }
        return false
    }

    private func refusal(_ tried: [String], until deadline: ContinuousClock.Instant) async -> RemoteError {
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
        return error(
            .authentication,
            "user \(endpoint.user) was not let in. Tried: \(tried.isEmpty ? "nothing" : tried.joined(separator: "; "))\(methods)",
            remedy:
                "put the public key into ~\(endpoint.user)/.ssh/authorized_keys on the node, or name the right key and user "
                + "in the inventory (ansible_ssh_private_key_file, ansible_user) or in ~/.ssh/config, or give the password "
                + "(-k, --connection-password-file); "
                + "`pawl ssh-config` shows what is read"
        )
    }

    // MARK: - Files

    private func authenticate(
        with files: [PrivateKeyFile],
        until deadline: ContinuousClock.Instant,
        _ tried: inout [String]
    ) async throws(SSHFailure) -> Bool {
        for file in files {
            switch file.state {
            case .missing: tried.append("\(file.path): no such file")
            case .unreadable(let reason): tried.append("\(file.path): \(reason)")
            case .notAKey: tried.append("\(file.path): not a private key that libssh2 can read")
            case .publicOnly: tried.append("\(file.path): a public key, whose private key the agent must have")
            case .encrypted where endpoint.passphrase(of: file) == nil:
                tried.append(
                    "\(file.path): has a passphrase; load it into the agent with ssh-add, or give --key-passphrase-file"
                )
            case .encrypted, .usable:
                if try await attemptCertificates(of: file, until: deadline, &tried) { return true }
                guard let failure = try await attemptKey(file, until: deadline) else { return true }
                let isLocked = file.state == .encrypted && !Self.isServers(failure)
                tried.append(
                    isLocked
                        ? "\(file.path): the passphrase does not open it, or libssh2 cannot read its form (\(failure))"
                        : explain(failure, "key \(file.path)", type: file.type)
                )
            }
        }
        return false
    }

    private func attemptCertificates(
        of file: PrivateKeyFile,
        until deadline: ContinuousClock.Instant,
        _ tried: inout [String]
    ) async throws(SSHFailure) -> Bool {
        let named = endpoint.certificateFiles.compactMap { CertificateFile(reading: $0) }
        let usesNamed = !endpoint.certificateFiles.isEmpty
        for certificate in CertificateFile.certificates(of: file, named: usesNamed ? named : nil) {
            guard let failure = try await attemptKey(file, certificate: certificate.path, until: deadline) else {
                return true
            }
            let isLacking = !certificate.type.hasPrefix("ecdsa-") && !SessionHandle.signsRSAWithSHA2
            let word = isLacking ? " (libssh2 \(SessionHandle.libssh2Version) takes those of ecdsa keys only)" : ""
            tried.append("certificate \(certificate.path): \(failure)\(word)")
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

    private nonisolated func explain(_ failure: SSHFailure, _ what: String, type: String?) -> String {
        guard type == "ssh-rsa", !SessionHandle.signsRSAWithSHA2 else { return "\(what): \(failure)" }
        return
            "\(what): \(failure) (libssh2 \(SessionHandle.libssh2Version) cannot sign RSA with SHA-2, which servers ask "
            + "for since OpenSSH 8.8: use an ed25519 or ecdsa key, or libssh2 1.11 or later)"
    }

    // MARK: - Agent

    private func authenticateWithAgent(
        _ configured: [PrivateKeyFile],
        until deadline: ContinuousClock.Instant,
        _ tried: inout [String]
    ) async throws(SSHFailure) -> Bool {
        let path = endpoint.agentPath
        guard !path.isEmpty else {
            tried.append("no agent (SSH_AUTH_SOCK is not set)")
            return false
        }
        do throws(SSHFailure) {
            let agent = try SSHAgentClient(path: path, loop: loop, deadline: min(deadline, .now + limits.agent))
            var identities = try await agent.identities()
            if identities.isEmpty { tried.append("the agent has no keys") }
            // Those that belong to a configured file first: the server allows only some tries.
            let wanted = configured.compactMap(\.publicKey)
            let others = identities.filter { !wanted.contains($0.publicKey) }
            identities = identities.filter { wanted.contains($0.publicKey) }
            if !endpoint.identitiesOnly {
                identities += others
            } else if !others.isEmpty {
                tried.append("\(others.count) more of the agent's keys were left alone (IdentitiesOnly)")
            }
            for identity in identities.prefix(limits.agentKeys) {
                guard let failure = try await attempt(identity, agent, until: deadline) else { return true }
                tried.append(
                    explain(failure, "agent's key \(identity.comment)", type: HostKey(blob: identity.publicKey).type)
                )
            }
        } catch {
            if case .libssh2 = error.kind { throw error }
            if error.kind == .cancelled { throw error }
            tried.append("the agent: \(error)")
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
