// SPDX-License-Identifier: Apache-2.0

/// How far standard input is sent ahead of the server.
///
/// What sshd cannot hand on at once lies in a buffer that it moves and allocates anew as it goes on: on a near host,
/// 64 MiB take a fifth longer with its whole window of 2 MiB lying there than with a part of it. A far host needs the
/// window, or the link is empty while word is on its way.
struct InputPace {
    /// What the server may have before it, however near it is.
    private static let least = 256 * 1024
    /// What a link of 1 Gbit/s holds a millisecond.
    private static let eachMillisecond = 100 * 1024
    /// How long to wait for the server's word that it has room again.
    ///
    /// sshd gives it for each 96 KiB (`channel_check_window` in its channels.c); others may want half of a window first.
    private static let patience = Duration.milliseconds(20)

    /// The most that may lie before the server.
    private var limit: Int
    /// The largest window that it gave: sshd opens a channel with none and gives it with the command.
    private var widest = 0
    private var held: (since: ContinuousClock.Instant, ahead: Int)?

    /// - Parameter roundTrip: how long the server takes for an answer; nil where nobody knows.
    init(roundTrip: Duration?) {
        limit = roundTrip.map { Self.least + Int($0 / .milliseconds(1) * Double(Self.eachMillisecond)) } ?? .max
    }

    /// Until when a server that has enough before it is waited for; nil where more may be sent.
    var wake: ContinuousClock.Instant? { held.map { $0.since + Self.patience } }

    /// Whether more may be sent.
    ///
    /// - Parameters:
    ///   - window: what the server has room for, as it said.
    ///   - now: the time.
    /// - Returns: false where the server is to be waited for, until ``wake`` at the latest.
    mutating func allows(window: Int, at now: ContinuousClock.Instant = .now) -> Bool {
        widest = max(widest, window)
        let ahead = widest - window
        guard ahead >= limit else {
            held = nil
            return true
        }
        guard let held, held.ahead <= ahead else {
            held = (now, ahead)
            return false
        }
        guard now >= held.since + Self.patience else { return false }
        // It stands still, or does not say yet that it goes on: a step nearer to the window, which is the protocol's limit.
        limit = max(ahead + Self.least, 2 * ahead)
        self.held = nil
        return true
    }
}
