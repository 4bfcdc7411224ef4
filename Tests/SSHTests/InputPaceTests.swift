// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SSH

/// How far ahead of a server standard input is sent, without a server.
@Suite("The pace of standard input")
struct InputPaceTests {
    private static let window = 2 << 20
    private static let piece = 32 << 10

    /// How much is sent before it stands still, to a server that takes nothing.
    private func sent(_ pace: inout InputPace, at now: ContinuousClock.Instant, from start: Int = 0) -> Int {
        var sent = start
        while sent < Self.window, pace.allows(window: Self.window - sent, at: now) { sent += Self.piece }
        return sent
    }

    @Test func `a near server has little before it, a far one as much as it has room for`() {
        let now = ContinuousClock.now
        var near = InputPace(roundTrip: .microseconds(100))
        let ahead = sent(&near, at: now)
        #expect((256 << 10...320 << 10).contains(ahead))
        var far = InputPace(roundTrip: .milliseconds(20))
        let toFar = sent(&far, at: now)
        var unknown = InputPace(roundTrip: nil)
        let toUnknown = sent(&unknown, at: now)
        #expect(toFar == Self.window && toUnknown == Self.window)
        #expect(unknown.wake == nil && far.wake == nil)
    }

    @Test func `it goes on as soon as the server has room again`() {
        let now = ContinuousClock.now
        var pace = InputPace(roundTrip: .zero)
        // sshd opens a channel without any window, and gives it with the command.
        let begins = pace.allows(window: 0, at: now)
        #expect(begins)
        var ahead = sent(&pace, at: now)
        for _ in 0..<100 {
            let isHeld = !pace.allows(window: Self.window - ahead, at: now)
            #expect(isHeld && pace.wake != nil)
            ahead -= 96 << 10
            let goesOn = pace.allows(window: Self.window - ahead, at: now)
            #expect(goesOn)
            #expect(pace.wake == nil)
            ahead = sent(&pace, at: now, from: ahead)
            #expect(ahead <= 320 << 10)
        }
    }

    @Test func `a server that gives no word before half of its window is used gets it step by step`() throws {
        var now = ContinuousClock.now
        var pace = InputPace(roundTrip: .zero)
        var ahead = sent(&pace, at: now)
        for _ in 0..<20 where ahead < Self.window / 2 {
            let before = ahead
            // Not before it was waited for.
            let early = sent(&pace, at: now, from: ahead)
            #expect(early == ahead)
            now = try #require(pace.wake)
            ahead = sent(&pace, at: now, from: ahead)
            #expect(ahead > before)
        }
        #expect(ahead >= Self.window / 2)
        // From there on it is not waited for any more.
        let later = sent(&pace, at: now)
        #expect(later >= Self.window / 2)
    }
}
