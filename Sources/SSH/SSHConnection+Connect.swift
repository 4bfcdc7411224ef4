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
        let record = KnownHostsCache.shared.record(in: knownHostsFiles)
        for warning in record.warnings {
            logger.debug("known_hosts: \(warning)", metadata: ["host": "\(endpoint.name)"])
        }
        var tries = 1
        while true {
            let way = try await openWay(until: deadline)
            deadline = min(commandDeadline, deadline + way.waited)
            do throws(SSHFailure) {
                try await shakeHands(over: way, record, until: deadline)
                // Whoever answers is behind the proxy, so that it has let us through.
                proxyGate?.leave()
                isInProxyGate = false
                break
            } catch {
                if await pauseBeforeRetry(after: error, tries, until: deadline) {
                    tries += 1
                    continue
                }
                let reasons = await handshakeReasons(error, tries: tries, until: deadline)
                drop()
                throw reasons
            }
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

    private func openWay(until deadline: ContinuousClock.Instant) async throws(RemoteError) -> SSHRoute.Way {
        do throws(SSHFailure) {
            return try await SSHRoute(endpoint: endpoint, loop: loop).open(until: deadline)
        } catch {
            throw self.error(
                .unreachable,
                "no connection to \(endpoint.address) port \(endpoint.port): \(error)",
                remedy: error.kind == .unknownName
                    ? "correct ansible_host in the inventory, or make the name known on this machine (DNS, /etc/hosts)"
                    : "check the address and port in the inventory, that the node is up, and that sshd listens there"
            )
        }
    }

    /// From a connection that is open to a session whose keys are agreed on.
    private func shakeHands(
        over way: SSHRoute.Way,
        _ record: KnownHosts,
        until deadline: ContinuousClock.Instant
    ) async throws(SSHFailure) {
        let session = try SessionHandle(socket: way.descriptor, proxy: way.proxy)
        self.session = session
        try prefer(in: session, record)
        var greeting = ServerGreeting()
        var isVersionSent = false
        waiting: while true {
            switch try greeting.take(from: session.descriptor) {
            case .version: break waiting
            case .almostVersion: _ = await loop.wait(on: -1, for: .read, until: min(deadline, .now + .milliseconds(20)))
            case .waiting where !isVersionSent:
                // Sends our own version, so that the server's list of algorithms comes with its version.
                isVersionSent = true
                if case .failed(let failure) = session.beginHandshake() {
                    // Whoever hung up before has said why, or nothing; whether that is seen by a write is chance.
                    _ = try greeting.take(from: session.descriptor)
                    throw failure
                }
                continue
            case .waiting: break
            }
            do throws(SSHFailure) {
                try await pause(for: .read, until: deadline, doing: "waiting for the server's version")
            } catch {
                throw SSHFailure(kind: error.kind, message: "\(error)\(greeting.said)")
            }
        }
        try await drive("waiting for the SSH handshake", until: deadline) { session.handshake() }
    }

    /// How many connections are tried where the server hangs up at once.
    private static let mostTries = 6

    /// Waits a while where another connection may fare better: sshd drops connections by chance while too many are not
    /// logged in yet (`MaxStartups`).
    ///
    /// - Returns: whether to try once more.
    private func pauseBeforeRetry(
        after failure: SSHFailure,
        _ tries: Int,
        until deadline: ContinuousClock.Instant
    ) async -> Bool {
        guard failure.kind == .noVersion, session?.proxy == nil, tries < Self.mostTries else { return false }
        // Not all at the same moment, where many hosts are reached by one address.
        let pause = Duration.milliseconds(200) * (1 << (tries - 1)) * Double.random(in: 0.75...1.25)
        guard .now + pause < deadline else { return false }
        logger.debug("\(failure), trying again", metadata: ["host": "\(endpoint.name)", "try": "\(tries)"])
        drop()
        return await loop.wait(on: -1, for: .read, until: .now + pause) == .deadlinePassed
    }

    /// The files in which the host's key is looked up.
    nonisolated var knownHostsFiles: [String] {
        endpoint.knownHostsFiles.isEmpty
            ? ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"] : endpoint.knownHostsFiles
    }

    /// The host's name without its port, where its own record has the port.
    private nonisolated var plainName: String? {
        guard endpoint.hostKeyAlias == nil, endpoint.port != 22 else { return nil }
        return KnownHosts.recordName(address: endpoint.address, port: 22)
    }

    nonisolated var recordName: String {
        endpoint.hostKeyAlias ?? KnownHosts.recordName(address: endpoint.address, port: endpoint.port)
    }

    // MARK: - Algorithms

    /// Sets the algorithms that the endpoint names, and asks for the type of host key that is on record.
    private func prefer(in session: SessionHandle, _ record: KnownHosts) throws(SSHFailure) {
        let recordNames = [recordName, plainName].compactMap(\.self)
        var algorithms = endpoint.algorithms
        if let list = algorithms.hostKeys {
            if algorithms.prefersRecordedHostKeys { algorithms.hostKeys = record.ordered(list, for: recordNames) }
        } else {
            _ = session.prefer(record.preferredMethods(for: recordNames), of: .hostKey)
        }
        for kind in AlgorithmKind.allCases {
            guard let names = algorithms[kind], !session.prefer(names, of: kind) else { continue }
            throw SSHFailure(
                kind: .local,
                message: "\(kind.keyword) of the SSH configuration allows \(names.joined(separator: ",")) only, and "
                    + "libssh2 \(SessionHandle.libssh2Version) has "
                    + session.supportedMethods(kind).joined(separator: ",")
            )
        }
    }

    /// Compares what the server offers with what we have, after libssh2 found nothing in common.
    private func mismatch(until deadline: ContinuousClock.Instant) async -> AlgorithmMismatch? {
        guard let session else { return nil }
        var library = AlgorithmProposal(knownTo: session)
        // Types of certificates are not asked for, because libssh2 cannot check them.
        library[.hostKey] = library[.hostKey].filter { !$0.contains("-cert-") }
        var allowed = AlgorithmProposal()
        for kind in AlgorithmKind.allCases { allowed[kind] = endpoint.algorithms[kind] ?? [] }
        let probe = AlgorithmProbe(route: SSHRoute(endpoint: endpoint, loop: loop))
        guard let server = await probe.proposal(until: min(deadline, .now + .seconds(5))) else { return nil }
        return AlgorithmMismatch(
            server: server,
            library: library,
            allowed: allowed,
            version: SessionHandle.libssh2Version
        )
    }

    // MARK: - Handshake

    private func handshakeReasons(
        _ failure: SSHFailure,
        tries: Int,
        until deadline: ContinuousClock.Instant
    ) async -> RemoteError {
        if let proxy = session?.proxy, ![.deadlinePassed, .local, .cancelled].contains(failure.kind),
            !Self.isAboutAlgorithms(failure)
        {
            let said = proxy.lastWords ?? ""
            return error(
                .unreachable,
                "\(Self.verdict(onProxy: said)): \(failure)\(said.isEmpty ? "" : "; it said: \(said)")",
                remedy: "run the proxy's command by hand, which stands in the brackets; it is not asked questions, so "
                    + "what it needs must be in files or an agent"
            )
        }
        switch failure.kind {
        case .deadlinePassed:
            let said = session?.proxy?.lastWords.map { "; the proxy said: \($0)" } ?? ""
            return error(
                .unreachable,
                "the port is open, but no SSH server answered within \(endpoint.connectTimeout.inWords): "
                    + "\(failure)\(said)",
                remedy: "check that this port is sshd's, and the load of the node; or allow more time to connect"
            )
        case .libssh2 where Self.isAboutAlgorithms(failure):
            let mismatch = await mismatch(until: deadline)
            guard let mismatch, !mismatch.kinds.isEmpty else {
                return error(
                    .unreachable,
                    "the key exchange failed: \(failure)",
                    remedy:
                        "look at the server's log; libssh2 \(SessionHandle.libssh2Version) is in use, try a newer one"
                )
            }
            return error(.unreachable, mismatch.message, remedy: mismatch.remedy)
        case .local:
            return error(.unreachable, "\(failure)", remedy: "allow one of these in the SSH configuration")
        case .noVersion:
            let word = tries == 1 ? "" : " (\(tries) connections)"
            return error(.unreachable, "\(failure)\(word)", remedy: Self.remedy(againstHangUp: failure.message))
        case .notSSH:
            return error(
                .unreachable,
                "what answers on this port is no SSH server: \(failure)",
                remedy: "give the port of sshd: ansible_port in the inventory, or Port in ~/.ssh/config"
            )
        default:
            return error(
                .unreachable,
                "the SSH handshake failed: \(failure)",
                remedy: "look at the server's log; a firewall can cut new connections too"
            )
        }
    }

    /// What is wrong where a proxy leads nowhere, by its words, which are OpenSSH's own for a jump host.
    private static func verdict(onProxy words: String) -> String {
        if words.contains("Permission denied (") { return "the jump host refused the login" }
        if words.contains("Host key verification failed") { return "the jump host's key was refused" }
        return "no SSH server behind the proxy"
    }

    private static func isAboutAlgorithms(_ failure: SSHFailure) -> Bool {
        let codes = [LIBSSH2_ERROR_KEX_FAILURE, LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE, LIBSSH2_ERROR_METHOD_NONE]
        return codes.contains { failure.kind == .libssh2($0) }
    }

    /// What helps where a server drops new connections, by what it said.
    ///
    /// sshd says `Exceeded MaxStartups`, and since OpenSSH 9.8 `Not allowed at this time`, also to a source under a
    /// penalty.
    private static func remedy(againstHangUp words: String) -> String {
        if words.contains("Exceeded MaxStartups") {
            return "too many connections to it are not logged in yet: try again, find out who makes them, or raise "
                + "MaxStartups in the node's sshd_config"
        }
        if words.contains("Not allowed at this time") {
            return
                "the server's log says why: too many connections are not logged in yet (MaxStartups), or there is a penalty "
                + "for earlier failures (PerSourcePenalties; wait until it is over, or name this address in "
                + "PerSourcePenaltyExemptList in the node's sshd_config)"
        }
        return
            "look at the server's log; MaxStartups, PerSourcePenalties, hosts.deny or a firewall can drop new connections, "
            + "and what listens there may be no sshd"
    }

    // MARK: - Host key

    /// Compares the server's key with the record, and refuses or writes it down as the policy says.
    private func checkHostKey(against record: KnownHosts) throws(RemoteError) {
        guard let blob = session?.hostKey() else { throw error(.hostKey, "the server showed no host key") }
        let key = HostKey(blob: blob)
        let offered = "\(key.type) \(key.fingerprint)"
        let scan = keyscan(key)
        let verdict = try verdict(on: key, record)
        if case .changed = verdict { isHostKeyChanged = true } else { isHostKeyChanged = false }
        switch (verdict, endpoint.hostKeyPolicy) {
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
                    + "then: ssh-keygen -R '\(recordName)' -f \(Self.word(entry.file))"
                    + " && \(scan) >> \(Self.word(knownHostsFiles[0]))",
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
                remedy:
                    "compare the fingerprint on the node's console, then: \(scan) >> \(Self.word(knownHostsFiles[0]))",
                about: [key.fingerprint]
            )
        }
    }

    /// What the record says, after a new key was written down where the policy accepts those.
    private func verdict(on key: HostKey, _ record: KnownHosts) throws(RemoteError) -> KnownHosts.Verdict {
        let verdict = verdictOnName(key, record)
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

    /// What the record says; of a port that it has nothing of, what it says of the host without a port, as `ssh` does
    /// (check_host_key in sshconnect.c): a key that is there for the host is taken, another is no other for this port.
    private func verdictOnName(_ key: HostKey, _ record: KnownHosts) -> KnownHosts.Verdict {
        let verdict = record.verdict(on: key, of: recordName)
        guard verdict == .unknown, let plainName else { return verdict }
        let plain = record.verdict(on: key, of: plainName)
        if case .changed = plain { return .unknown }
        return plain
    }

    /// The command that asks the server for the key, in the form of the record.
    private nonisolated func keyscan(_ key: HostKey) -> String {
        let scan = "ssh-keyscan -p \(endpoint.port) -t \(Self.keyscanType(key.type)) \(endpoint.address)"
        return scan + (endpoint.hostKeyAlias.map { " | sed 's/^[^ ]*/\($0)/'" } ?? "")
    }

    /// A file as a word of a command line.
    private static func word(_ file: String) -> String { ShellQuoting.quote(KnownHosts.expand(file)) }

    private static func keyscanType(_ type: String) -> String {
        if type.hasPrefix("ecdsa") { return "ecdsa" }
        return type == "ssh-rsa" ? "rsa" : "ed25519"
    }
}
