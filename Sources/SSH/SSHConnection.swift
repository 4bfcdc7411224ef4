// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Foundation
import Logging
import Remote

/// The one session with a host: opened when it is first needed, opened anew when it was lost, shared by all handles on
/// that host, and used by one operation at a time.
///
/// ## Concurrency
/// The actor runs on its loop's thread only, so libssh2 sees one thread a session. Calls never block there: what would
/// block waits in ``pause(for:until:doing:)``. ``gate`` keeps operations apart across their `await`s.
actor SSHConnection {
    nonisolated let endpoint: SSHEndpoint
    nonisolated let limits: SSHLimits
    nonisolated let loop: SSHEventLoop
    nonisolated let gate = OperationGate()
    nonisolated let logger: Logger

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// The session while it is thought to be alive.
    var session: SessionHandle?
    /// Shells of that session that wait for the next commands.
    private(set) var spares = SpareShells()
    /// Whether the server was told the password of the login user and did not take it; it is not told again.
    var isPasswordRefused = false
    /// Whether the server showed another key than the one on record, which the policy lets pass; it is told no password.
    var isHostKeyChanged = false
    /// What was learnt of becoming other users.
    var becomeWays = BecomeWays()
    /// How long the session's server took at least to open a channel.
    private(set) var roundTrip: Duration?
    /// Channels that were closed here and not yet by the server.
    private var retired: [ChannelHandle] = []

    private var lastInbound = ContinuousClock.now
    private var nextProbe = ContinuousClock.now
    private var probesSinceInbound = 0

    init(_ endpoint: SSHEndpoint, limits: SSHLimits, loop: SSHEventLoop, logger: Logger) {
        self.endpoint = endpoint
        self.limits = limits
        self.loop = loop
        self.logger = logger
    }

    /// Says goodbye where there is somebody to say it to.
    func close() async {
        guard await gate.enter() else { return }
        defer { gate.leave() }
        guard let session else { return }
        _ = try? await drive("closing", until: .now + limits.close) { session.disconnect() }
        drop()
    }

    /// Gives the session up.
    ///
    /// The next operation connects anew.
    func drop() {
        session = nil
        roundTrip = nil
        spares = SpareShells()
        retired = []
    }

    /// An error about this host that says how it was to be reached.
    nonisolated func error(
        _ code: RemoteError.Code,
        _ message: String,
        remedy: String? = nil,
        about key: [String] = []
    ) -> RemoteError {
        var error = RemoteError(code, host: endpoint.name, "\(message) [\(endpoint.place)]", remedy: remedy)
        error.ownWords = key + [endpoint.seat, recordName, endpoint.address, endpoint.name, "\(endpoint.port)"]
        return error
    }

    // MARK: - Waiting

    /// Makes a non-blocking call until it is done.
    func drive<Value>(
        _ doing: String,
        until deadline: ContinuousClock.Instant,
        _ call: () throws(SSHFailure) -> Attempt<Value>
    ) async throws(SSHFailure) -> Value {
        while true {
            switch try call() {
            case .done(let value): return value
            case .failed(let failure): throw failure
            case .again(let interest):
                session?.acknowledge()
                try await pause(for: interest, until: deadline, doing: doing)
            }
        }
    }

    /// Begins the watch for a peer that went silent.
    func startWatch() {
        lastInbound = .now
        nextProbe = .now + limits.keepaliveInterval
        probesSinceInbound = 0
    }

    /// Waits for the session's socket.
    ///
    /// While a command runs (`watching`), the peer is asked for a sign of life now and then, and given up when it gives
    /// none. It comes back at `waking` at the latest.
    func pause(
        for interest: SSHEventLoop.Interest,
        until deadline: ContinuousClock.Instant,
        doing: String,
        watching: Bool = false,
        waking: ContinuousClock.Instant? = nil
    ) async throws(SSHFailure) {
        guard let session else { throw SSHFailure(kind: .local, message: "the connection is closed") }
        let wake = min(watching ? min(deadline, nextProbe) : deadline, waking ?? deadline)
        switch await loop.wait(on: session.descriptor, for: interest, until: wake) {
        case .cancelled:
            throw SSHFailure(kind: .cancelled, message: "cancelled while \(doing)")
        case .ready(let readable, _):
            if readable { noteInbound() }
            if ContinuousClock.now >= deadline { throw late(doing) }
        case .deadlinePassed:
            let now = ContinuousClock.now
            if now >= deadline { throw late(doing) }
            if watching, now < nextProbe { return }
            try await probe(session, now, waitingFor: interest)
        }
    }

    private func late(_ doing: String) -> SSHFailure {
        SSHFailure(kind: .deadlinePassed, message: "the deadline passed while \(doing)")
    }

    private func noteInbound() {
        lastInbound = .now
        probesSinceInbound = 0
    }

    private func probe(
        _ session: SessionHandle,
        _ now: ContinuousClock.Instant,
        waitingFor interest: SSHEventLoop.Interest
    ) async throws(SSHFailure) {
        // A call that waits to write does not read; what lies there unread is a sign of life all the same.
        if !interest.contains(.read), await loop.wait(on: session.descriptor, for: .read, until: now) != .deadlinePassed
        {
            noteInbound()
        }
        // An answer that came at once was read by libssh2 in the same stretch, before any wait could see it; the kernel
        // knows. Its clock is coarse: what it calls newer by less than that is the same packet.
        if let heard = session.sinceInbound.map({ now - $0 }), heard > lastInbound + .milliseconds(100) {
            lastInbound = heard
            probesSinceInbound = 0
        }
        let silentSince = lastInbound + limits.silence
        if probesSinceInbound > 0, now >= silentSince {
            throw SSHFailure(
                kind: .silent,
                message: "silent for \((now - lastInbound).inWords) although asked to answer"
            )
        }
        // Not between the halves of a packet, which only the call that began it may finish; a peer that does not take
        // the second half for so long is as silent as one that does not answer.
        if !interest.contains(.write),
            await loop.wait(on: session.descriptor, for: .write, until: now) != .deadlinePassed
        {
            if case .failed(let failure) = session.sendKeepalive() { throw failure }
        }
        probesSinceInbound += 1
        nextProbe = now + limits.keepaliveInterval
        if silentSince > now { nextProbe = min(nextProbe, silentSince) }
    }

    // MARK: - Channels

    /// Opens a channel, on a new session where there is none or the old one turns out to be lost.
    ///
    /// Nothing has begun until a command is sent on the channel, so trying once more is safe for any command.
    func openChannel(
        _ window: SessionHandle.ReceiveWindow = .ofCommand,
        until deadline: ContinuousClock.Instant
    ) async throws(RemoteError) -> ChannelHandle {
        for isLastTry in [false, true] {
            let isFresh = session == nil
            if isFresh { try await connect(until: deadline) }
            do throws(SSHFailure) {
                return try await openChannelOnSession(window, until: min(deadline, .now + limits.channelOpen))
            } catch {
                drop()
                if isFresh || isLastTry || error.kind == .cancelled || ContinuousClock.now >= deadline {
                    throw self.error(
                        .unreachable,
                        "no channel for a command: \(error)",
                        remedy: "nothing was begun; look at the server's log (MaxSessions, disk, memory)"
                    )
                }
                logger.debug("connection was lost, connecting anew", metadata: ["host": "\(endpoint.name)"])
            }
        }
        throw error(.unreachable, "no channel for a command")
    }

    private func openChannelOnSession(
        _ window: SessionHandle.ReceiveWindow,
        until deadline: ContinuousClock.Instant
    ) async throws(SSHFailure) -> ChannelHandle {
        try await sweep(until: deadline)
        while let session {
            do throws(SSHFailure) {
                // One that was asked for as a spare has the window of a command, and tells of no round trip.
                let isAskedFor = spares.takeOpening()
                if isAskedFor, window != .ofCommand {
                    retired.append(try await drive("opening a channel", until: deadline) { session.openChannel() })
                }
                let asked = ContinuousClock.now
                let channel = try await drive("opening a channel", until: deadline) { session.openChannel(window) }
                let trip = ContinuousClock.now - asked
                if !isAskedFor { roundTrip = min(roundTrip ?? trip, trip) }
                // The answer may be an old one: to the request for a spare shell, which came before the end.
                guard !session.isCut else {
                    throw SSHFailure(kind: .local, message: "the server closed the connection")
                }
                return channel
            } catch {
                // With `MaxSessions 1` the server refuses as long as it has not closed the channel before.
                guard error.kind == .libssh2(LIBSSH2_ERROR_CHANNEL_FAILURE) else { throw error }
                retired += spares.giveUp()
                guard !retired.isEmpty else { throw error }
                try await waitForRetired(until: deadline)
            }
        }
        throw SSHFailure(kind: .local, message: "the connection is closed")
    }

    /// Closes the channel without waiting for the server to do so too; that is seen to before the next is opened.
    func retire(_ channel: ChannelHandle) async {
        retired.append(channel)
        do throws(SSHFailure) {
            try await sweep(until: .now + limits.close)
        } catch {
            drop()
        }
    }

    /// Frees what the server has closed.
    ///
    /// Stays only for a packet that is half sent.
    private func sweep(until deadline: ContinuousClock.Instant) async throws(SSHFailure) {
        var open: [ChannelHandle] = []
        for channel in retired {
            try await drive("closing a channel", until: deadline) {
                switch channel.free() {
                case .again(let interest) where !interest.contains(.write):
                    open.append(channel)
                    return .done(())
                case let attempt:
                    return attempt
                }
            }
        }
        retired = open
    }

    private func waitForRetired(until deadline: ContinuousClock.Instant) async throws(SSHFailure) {
        while !retired.isEmpty {
            try await sweep(until: deadline)
            if !retired.isEmpty {
                try await pause(for: .read, until: deadline, doing: "waiting for a channel to close")
            }
        }
    }
}
