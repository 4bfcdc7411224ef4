// SPDX-License-Identifier: Apache-2.0

/// Notices a packet that stays half sent although the socket takes bytes.
///
/// Where a server renews the keys (`RekeyLimit`) while a packet of ours is half sent, libssh2 up to 1.11.1 may want to
/// write for ever and send nothing (its issue 2110). A packet has 35,000 bytes, and each time that the socket is ready it
/// takes some of them; so many tries are none of its doing.
struct Standstill {
    private static let mostTries = 50
    private static let rest = Duration.milliseconds(2)

    /// How long it may last.
    var longest = Duration.seconds(10)
    private var tries = 0
    private var sent = 0
    private var began = ContinuousClock.now

    init(longest: Duration = .seconds(10)) { self.longest = longest }

    /// Counts a try that left a packet half sent.
    ///
    /// - Parameters:
    ///   - isHalfSent: whether it did; otherwise the count begins anew.
    ///   - sent: how much of the input is sent as a whole; where that has grown, the count begins anew.
    /// - Returns: how long to rest before the next try, so that the loop does not turn idly for others.
    /// - Throws: when it has lasted too long.
    mutating func note(_ isHalfSent: Bool, sent: Int) throws(SSHFailure) -> Duration? {
        guard isHalfSent, sent == self.sent else {
            (self.sent, tries, began) = (sent, 0, .now)
            return nil
        }
        tries += 1
        guard tries > Self.mostTries else { return nil }
        guard .now - began < longest else {
            throw SSHFailure(
                kind: .local,
                message:
                    "libssh2 \(SessionHandle.libssh2Version) sends nothing any more, as it happens when a server renews "
                    + "its keys amid a transfer (libssh2 issue 2110); a larger RekeyLimit in the node's sshd_config avoids it"
            )
        }
        return Self.rest
    }
}
