// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Fleet
import Foundation
import Logging
import Remote

extension SSHConnection {
    /// Runs one command when its turn comes.
    ///
    /// The result is given as soon as the command's end was seen on both streams; the channel is closed on the side.
    func execute(_ request: ChannelRequest) async throws(RemoteError) -> ChannelResult {
        guard await gate.enter() else { throw error(.unreachable, "\(request.label): cancelled before it was sent") }
        defer { gate.leave() }
        let deadline = ContinuousClock.now + request.timeout
        while true {
            switch try await attempt(request, until: deadline) {
            case .done(let result): return result
            case .refused(let refusal):
                // Nothing was begun, so that another way to become the user may be tried.
                guard adapt(to: refusal) else { throw error(refusal, request) }
            }
        }
    }

    /// What became of one try.
    private enum Outcome {
        case done(ChannelResult)
        /// The user was not become, and nothing was begun.
        case refused(BecomeRefusal)
    }

    private func attempt(
        _ request: ChannelRequest,
        until deadline: ContinuousClock.Instant
    ) async throws(RemoteError) -> Outcome {
        let elevation = elevation(to: request.user)
        let waiting = await spareShell(for: request, as: elevation, until: deadline)
        let transfer: ChannelTransfer
        do throws(SSHFailure) {
            transfer = try self.transfer(of: request, as: elevation, to: waiting?.shell)
        } catch {
            if let waiting { await retire(waiting.channel) }
            throw self.error(.transfer, "\(request.label): \(error)")
        }
        let channel =
            if let waiting { waiting.channel } else { try await openChannel(request.receiveWindow, until: deadline) }
        transfer.pace = InputPace(roundTrip: roundTrip)
        startWatch()
        do throws(SSHFailure) {
            try await pump(transfer, through: channel, startsNext: !request.isLast, until: deadline)
        } catch {
            drop()
            throw verdict(on: error, transfer, request)
        }
        return try await conclude(transfer, channel, request)
    }

    /// How long ago the peer must have been heard for a command to be trusted to a shell that waits.
    ///
    /// Where a connection was lost unnoticed, the round trip of a new channel finds out before anything is sent; a
    /// script that is sent into the void is in doubt.
    private static let heard = Duration.seconds(2)

    /// A shell that waits for this command: one that reads its script to the end of its input, so the command has no
    /// input of its own, and has the window of a command.
    private func spareShell(
        for request: ChannelRequest,
        as elevation: Elevation?,
        until deadline: ContinuousClock.Instant
    ) async -> SpareShells.Waiting? {
        guard !request.hasInput, request.receiveWindow == .ofCommand, let session,
            let silence = session.sinceInbound, silence < Self.heard, session.isConnected
        else { return nil }
        for old in spares.takeOlder(than: .now - limits.spareShell) { await retire(old) }
        while let waiting = spares.take(for: elevation) {
            let isThere = try? await drive("looking at a shell", until: deadline) {
                waiting.shell.hearWaiting(on: waiting.channel, loop)
            }
            guard let isThere else {
                drop()
                return nil
            }
            if isThere { return waiting }
            await retire(waiting.channel)
        }
        return nil
    }

    /// The first script of a user on a session is kept back until its shell is there: start-up files that wait for
    /// something would let it begin at any time, long after it was given up.
    private func newShell(for request: ChannelRequest, as elevation: Elevation?) -> FramedShell {
        let frame = CommandFrame(
            script: request.script,
            as: elevation,
            hasInput: request.hasInput,
            isCareful: !spares.isProven(elevation)
        )
        return FramedShell(frame, password: endpoint.become.password)
    }

    private func transfer(
        of request: ChannelRequest,
        as elevation: Elevation?,
        to waiting: FramedShell?
    ) throws(SSHFailure) -> ChannelTransfer {
        let shell = waiting ?? newShell(for: request, as: elevation)
        let prefix = waiting == nil ? shell.frame.inputPrefix : CommandFrame.waitingInput(for: request.script)
        return ChannelTransfer(
            shell,
            input: try InputReader(prefix: prefix, request.input, onProgress: request.onProgress),
            isScriptInInput: !prefix.isEmpty,
            output: try OutputWriter(request.output, onProgress: request.onProgress),
            outputLimit: limits.outputBytes,
            onOutput: request.onOutput
        )
    }

    // MARK: - Moving bytes

    /// What is done on the session in turn while a command runs.
    private enum Turn {
        case transfer(ChannelTransfer.Step)
        /// The next command's shell is started.
        case spare

        /// The shell comes last: what its calls receive for the command is asked for before the next wait.
        static let all = ChannelTransfer.Step.allCases.map(Turn.transfer) + [.spare]
    }

    /// Sends the request and standard input and reads both streams, whichever can be done, until the end was seen.
    ///
    /// Standard input does not wait for the server's word that the command was started: one round trip less. A call
    /// that stopped amid a packet (it waits to write) is repeated before any other is made.
    private func pump(
        _ transfer: ChannelTransfer,
        through channel: ChannelHandle,
        startsNext: Bool,
        until deadline: ContinuousClock.Instant
    ) async throws(SSHFailure) {
        let turns = startsNext ? Turn.all : Turn.all.dropLast()
        let started = ContinuousClock.now
        var halfSent: Turn?
        var standstill = Standstill()
        var rounds = 0
        // Over only when no packet is half sent, or the next call on the session would run into it.
        while !transfer.isOver || halfSent != nil {
            var hasMoved = false
            var interest = SSHEventLoop.Interest.read
            for turn in halfSent.map({ [$0] }) ?? turns {
                // What has ended takes no more input; only a packet that is half sent must be finished.
                if halfSent == nil, transfer.isOver { return }
                halfSent = nil
                switch try take(turn, of: transfer, begun: started, on: channel) {
                case .done(let count):
                    if count > 0 { hasMoved = true }
                case .failed(let failure):
                    throw failure
                case .again(let wanted):
                    guard wanted.contains(.write) else { continue }
                    halfSent = turn
                    interest = wanted
                }
                if halfSent != nil { break }
            }
            if transfer.isOver, halfSent == nil { return }
            rounds += 1
            if let rest = try standstill.note(halfSent != nil, sent: transfer.inputSent) {
                _ = await loop.wait(on: -1, for: .read, until: min(deadline, .now + rest))
            }
            if halfSent == nil, hasMoved {
                // Others on this loop get their turn amid a long transfer, and its deadline counts all the same.
                if rounds % 8 == 0 {
                    await Task.yield()
                    if Task.isCancelled { throw SSHFailure(kind: .cancelled, message: "cancelled while it ran") }
                }
                if ContinuousClock.now >= deadline {
                    throw SSHFailure(kind: .deadlinePassed, message: "the deadline passed while it ran")
                }
                continue
            }
            if halfSent == nil, transfer.isUnderWay, channel.hasNews || transfer.hasRoom(on: channel) { continue }
            transfer.heedKill(on: channel)
            let start = start(of: transfer, begun: started)
            if let start, ContinuousClock.now >= start {
                throw SSHFailure(kind: .notStarted(start - started), message: "its shell did not begin")
            }
            let isShort = startsNext && ContinuousClock.now < started + SpareShells.longCommand
            let wakes = [
                start, transfer.killEnd, halfSent == nil ? transfer.pace.wake : nil,
                isShort ? started + SpareShells.longCommand : nil,
            ]
            try await pause(
                for: interest,
                until: deadline,
                doing: "it ran",
                watching: true,
                waking: wakes.compactMap(\.self).min()
            )
        }
    }

    private func take(
        _ turn: Turn,
        of transfer: ChannelTransfer,
        begun started: ContinuousClock.Instant,
        on channel: ChannelHandle
    ) throws(SSHFailure) -> Attempt<Int> {
        switch turn {
        case .transfer(let step): return try transfer.take(step, on: channel, loop)
        case .spare:
            // Behind a proxy nobody knows when the host was last heard, so no shell that waits would be trusted.
            guard transfer.isUnderWay, let session, session.proxy == nil else { return .done(0) }
            return spares.grow(for: transfer.elevation, on: session, after: .now - started)
        }
    }

    // MARK: - What it means

    private func conclude(
        _ transfer: ChannelTransfer,
        _ channel: ChannelHandle,
        _ request: ChannelRequest
    ) async throws(RemoteError) -> Outcome {
        switch transfer.state {
        case .ended(let code):
            noteBegun(transfer)
            await retire(channel)
            do throws(SSHFailure) {
                return .done(
                    ChannelResult(
                        exitCode: code,
                        standardOutput: transfer.output.bytes,
                        standardError: transfer.errorBytes,
                        digest: try transfer.output.finish()
                    )
                )
            } catch {
                throw self.error(.transfer, "\(request.label): \(error)")
            }
        case .outerEnded(begun: false, let code):
            await retire(channel)
            return .refused(try refusal(transfer, code, request))
        case .outerEnded(begun: true, let code):
            await retire(channel)
            throw doubt(request, "its shell was killed (the shell around it saw \(code))")
        case .before, .running:
            await hearEnd(of: channel)
            let (end, signal) = (channel.endForMessages, channel.exitSignal)
            drop()
            let said = transfer.lastWords
            let word = said.isEmpty ? "" : "; the node said: \(said)"
            guard !transfer.isHeldBack else { throw noShell(transfer, end, request) }
            if let signal { throw doubt(request, "its shell was killed (\(signal))\(word)") }
            throw doubt(request, "the channel ended without the command's own end (server: \(end))\(word)")
        }
    }

    /// A shell's streams end as it dies, and what it died of is said when it was reaped.
    private func hearEnd(of channel: ChannelHandle) async {
        guard channel.exitSignal == nil else { return }
        let patience = ContinuousClock.now + ChannelTransfer.killedPatience
        _ = try? await drive("its end was heard", until: patience) { channel.awaitClose() }
    }

    private nonisolated func doubt(_ request: ChannelRequest, _ what: String) -> RemoteError {
        error(
            .inDoubt,
            "\(request.label): \(what)",
            remedy:
                "it may have run in part or in whole, and may still be running; look at the node before anything is repeated"
        )
    }

    /// What a failure amid a command means for it.
    private func verdict(on failure: SSHFailure, _ transfer: ChannelTransfer, _ request: ChannelRequest) -> RemoteError
    {
        if failure.kind == .libssh2(LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED) {
            return error(
                .shell,
                "\(request.label): the server refuses to run commands",
                remedy: "nothing was begun"
            )
        }
        if case .notStarted(let time) = failure.kind { return notStarted(transfer, after: time, request) }
        if transfer.isHeldBack {
            return error(
                .unreachable,
                "\(request.label): no shell for it: \(failure)",
                remedy: "nothing was begun; try again"
            )
        }
        switch failure.kind {
        case .deadlinePassed: return doubt(request, "not done after \(request.timeout.inWords)")
        case .silent: return doubt(request, "the node went \(failure)")
        case .cancelled, .local: return doubt(request, "given up: \(failure)")
        default: return doubt(request, "connection lost: \(failure)")
        }
    }
}
