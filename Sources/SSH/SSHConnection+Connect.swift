// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Foundation
import Logging
import Remote

extension SSHConnection {
    /// TCP, handshake, host key, authentication.
    ///
    /// Each has its deadline; a failure says what to do about it.
    func connect(until commandDeadline: ContinuousClock.Instant) async throws(RemoteError) {
        let proxyGate = endpoint.proxyCommand == nil ? nil : ProxyGates.shared.next()
        if let proxyGate, await !proxyGate.enter() {
            throw error(.unreachable, "cancelled before it was connected", remedy: "nothing was begun")
        }
        var isInProxyGate = proxyGate != nil
        defer { if isInProxyGate { proxyGate?.leave() } }
        let started = ContinuousClock.now
        var deadline = min(commandDeadline, started + endpoint.connectTimeout)
        let way: SSHRoute.Way
        do throws(SSHFailure) {
            way = try await SSHRoute(endpoint: endpoint, loop: loop).open(until: deadline)
        } catch {
            throw self.error(
                .unreachable,
                "no connection to \(endpoint.address) port \(endpoint.port): \(error)",
                remedy: error.kind == .unknownName
                    ? "correct ansible_host in the inventory, or make the name known on this machine (DNS, /etc/hosts)"
                    : "check the address and port in the inventory, that the node is up, and that sshd listens there"
            )
        }
        let record = KnownHostsCache.shared.record(in: knownHostsFiles)
        for warning in record.warnings {
            logger.debug("known_hosts: \(warning)", metadata: ["host": "\(endpoint.name)"])
        }
        do throws(SSHFailure) {
            deadline = min(commandDeadline, deadline + way.waited)
            let session = try SessionHandle(socket: way.descriptor, proxy: way.proxy)
            self.session = session
            try prefer(in: session, record)
            try await drive("waiting for the SSH handshake", until: deadline) { session.handshake() }
            // Whoever answers is behind the proxy, so that it has let us through.
            proxyGate?.leave()
            isInProxyGate = false
        } catch {
            let reasons = await handshakeReasons(error, until: deadline)
            drop()
            throw reasons
        }
        do throws(RemoteError) {
            try checkHostKey(against: record)
            try await authenticate(until: min(commandDeadline, .now + limits.authentication))
        } catch {
            drop()
            throw error
        }
        logger.debug(
            "connected",
            metadata: [
                "host": "\(endpoint.name)", "place": "\(endpoint.place)", "took": "\(ContinuousClock.now - started)",
            ]
        )
    }

    /// The files in which the host's key is looked up.
    nonisolated var knownHostsFiles: [String] {
        endpoint.knownHostsFiles.isEmpty
            ? ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"] : endpoint.knownHostsFiles
    }

    nonisolated var recordName: String {
        endpoint.hostKeyAlias ?? KnownHosts.recordName(address: endpoint.address, port: endpoint.port)
    }

    // MARK: - Algorithms

    /// Sets the algorithms that the endpoint names, and asks for the type of host key that is on record.
    private func prefer(in session: SessionHandle, _ record: KnownHosts) throws(SSHFailure) {
        if endpoint.algorithms.hostKeys == nil { session.preferHostKeys(record.preferredMethods(for: recordName)) }
        let algorithms = endpoint.algorithms
        let kinds: [(String, [String]?, [Int32])] = [
            ("Ciphers", algorithms.ciphers, [LIBSSH2_METHOD_CRYPT_CS, LIBSSH2_METHOD_CRYPT_SC]),
            ("MACs", algorithms.macs, [LIBSSH2_METHOD_MAC_CS, LIBSSH2_METHOD_MAC_SC]),
            ("KexAlgorithms", algorithms.keyExchange, [LIBSSH2_METHOD_KEX]),
            ("HostKeyAlgorithms", algorithms.hostKeys, [LIBSSH2_METHOD_HOSTKEY]),
        ]
        for (title, names, methods) in kinds {
            guard let names else { continue }
            for method in methods where !session.prefer(names, of: method) {
                throw SSHFailure(
                    kind: .local,
                    message: "\(title) of the SSH configuration allows \(names.joined(separator: ",")) only, and "
                        + "libssh2 \(SessionHandle.libssh2Version) has "
                        + session.supportedMethods(method).joined(separator: ",")
                )
            }
        }
    }

    // MARK: - Handshake

    private func handshakeReasons(_ failure: SSHFailure, until deadline: ContinuousClock.Instant) async -> RemoteError {
        switch failure.kind {
        case .deadlinePassed:
            let said = session?.proxy?.lastWords.map { "; the proxy said: \($0)" } ?? ""
            return error(
                .unreachable,
                "the port is open, but no SSH server answered within \(endpoint.connectTimeout)\(said)",
                remedy: "check that this port is sshd's, and the load of the node; or allow more time to connect"
            )
        case .libssh2(LIBSSH2_ERROR_KEX_FAILURE), .libssh2(LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE),
            .libssh2(LIBSSH2_ERROR_METHOD_NONE):
            let known = session.map(AlgorithmProposal.init(knownTo:)) ?? AlgorithmProposal()
            let probe = AlgorithmProbe(route: SSHRoute(endpoint: endpoint, loop: loop))
            let offered = await probe.proposal(until: min(deadline, .now + .seconds(5)))
            let what = offered.map { known.differences(from: $0) } ?? []
            return error(
                .unreachable,
                "no algorithm in common with the server: "
                    + (what.isEmpty ? "\(failure)" : what.joined(separator: "; ")),
                remedy:
                    "libssh2 \(SessionHandle.libssh2Version) is in use: install libssh2 1.11 or later (encrypt-then-mac, "
                    + "AES-GCM, chacha20 and RSA with SHA-2), or allow one of its algorithms in the node's sshd_config"
            )
        case .local:
            return error(.unreachable, "\(failure)", remedy: "allow one of these in the SSH configuration")
        default:
            if let proxy = session?.proxy {
                return error(
                    .unreachable,
                    "no SSH server behind the proxy: \(failure)\(proxy.lastWords.map { "; it said: \($0)" } ?? "")",
                    remedy:
                        "run the command by hand; it is not asked questions, so what it needs must be in files or an agent"
                )
            }
            return error(
                .unreachable,
                "the SSH handshake failed: \(failure)",
                remedy: "look at the server's log; MaxStartups and a firewall can cut new connections too"
            )
        }
    }

    // MARK: - Host key

    /// Compares the server's key with the record, and refuses or writes it down as the policy says.
    private func checkHostKey(against record: KnownHosts) throws(RemoteError) {
        guard let blob = session?.hostKey() else { throw error(.hostKey, "the server showed no host key") }
        let key = HostKey(blob: blob)
        let offered = "\(key.type) \(key.fingerprint)"
        let scan = keyscan(key)
        switch (try verdict(on: key, record), endpoint.hostKeyPolicy) {
        case (.known, _), (.unknown, .off), (.changed, .off), (.unknown, .acceptNew):
            return
        case (.revoked(let entry), _):
            throw error(
                .hostKey,
                "the server's host key \(offered) is revoked at \(entry.place)",
                remedy: "give the node a new host key; never connect with this one",
                about: [key.fingerprint, entry.place]
            )
        case (.changed(let entry), _):
            let isSameType = entry.key.type == key.type
            throw error(
                .hostKey,
                isSameType
                    ? "THE HOST KEY HAS CHANGED: the server offers \(offered), \(entry.place) has \(entry.key.fingerprint)"
                    : "the server offers \(offered), but on record at \(entry.place) is a key of type \(entry.key.type)",
                remedy:
                    "somebody may be in between; if the node was re-installed, compare the fingerprint on its console, "
                    + "then: ssh-keygen -R '\(recordName)' -f \(entry.place.split(separator: ":").dropLast().joined(separator: ":"))"
                    + " && \(scan) >> \(knownHostsFiles[0])",
                about: [key.fingerprint, entry.key.fingerprint, entry.place]
            )
        case (.unknown, .strict):
            let authority = record.entries(for: recordName).first { $0.marker == .certAuthority }
            let word = authority.map {
                "; the certificate authority at \($0.place) is not used, libssh2 cannot check host certificates"
            }
            throw error(
                .hostKey,
                "the host key is not on record: the server offers \(offered), looked up '\(recordName)' in "
                    + knownHostsFiles.joined(separator: ", ") + (word ?? ""),
                remedy: "compare the fingerprint on the node's console, then: \(scan) >> \(knownHostsFiles[0])",
                about: [key.fingerprint]
            )
        }
    }

    /// What the record says, after a new key was written down where the policy accepts those.
    private func verdict(on key: HostKey, _ record: KnownHosts) throws(RemoteError) -> KnownHosts.Verdict {
        let verdict = record.verdict(on: key, of: recordName)
        guard verdict == .unknown, endpoint.hostKeyPolicy == .acceptNew else { return verdict }
        do throws(SSHFailure) {
            let now = try KnownHostsRecorder.record(
                key,
                of: recordName,
                in: knownHostsFiles[0],
                isHashed: endpoint.hashesNewNames
            )
            logger.debug(
                "new host key",
                metadata: ["host": "\(endpoint.name)", "key": "\(key.type) \(key.fingerprint)", "was": "\(now)"]
            )
            return now
        } catch let failure {
            throw error(
                .hostKey,
                "the new host key \(key.type) \(key.fingerprint) could not be written down: \(failure)"
            )
        }
    }

    /// The command that asks the server for the key, in the form of the record.
    private nonisolated func keyscan(_ key: HostKey) -> String {
        let scan = "ssh-keyscan -p \(endpoint.port) -t \(Self.keyscanType(key.type)) \(endpoint.address)"
        return scan + (endpoint.hostKeyAlias.map { " | sed 's/^[^ ]*/\($0)/'" } ?? "")
    }

    private static func keyscanType(_ type: String) -> String {
        if type.hasPrefix("ecdsa") { return "ecdsa" }
        return type == "ssh-rsa" ? "rsa" : "ed25519"
    }
}
