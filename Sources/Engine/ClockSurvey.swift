// SPDX-License-Identifier: Apache-2.0

import Etcd
import Foundation
import Synchronization

/// The clocks of many hosts beside each other and beside this machine's.
///
/// A reading has the time of its way as its error; only what is left of a difference after that is said.
struct ClockSurvey: Sendable {
    /// How far a node may be from the others: etcd itself warns from a second on (rafthttp, `maxClockSkew`).
    static let amongNodes = 1.0
    /// How far it may be from this machine, whose clock nobody's lease depends on.
    static let fromHere = 5.0

    /// Between which bounds most nodes' clocks stand; `nil` where there are too few to say which of them is wrong.
    private let usual: ClockReading?

    /// - Parameter clocks: how far each is ahead of this machine's.
    init(_ clocks: [ClockReading]) {
        func middle(_ bounds: [Double]) -> Double { bounds.sorted()[bounds.count / 2] }
        usual =
            clocks.count >= 3
            ? ClockReading(earliest: middle(clocks.map(\.earliest)), latest: middle(clocks.map(\.latest))) : nil
    }

    /// What is wrong with a clock; `nil` when nothing is known to be.
    func problem(of clock: ClockReading) -> HostProblem? {
        if let usual, let words = Self.words(clock, from: usual, tolerance: Self.amongNodes) {
            return Self.problem(words, "the other nodes'")
        }
        let here = ClockReading(earliest: 0, latest: 0)
        return Self.words(clock, from: here, tolerance: Self.fromHere).map { Self.problem($0, "this machine's") }
    }

    private static func problem(_ words: String, _ whose: String) -> HostProblem {
        HostProblem(
            .clock,
            "the clock is at least \(words) \(whose)",
            remedy: "set it and keep it by NTP (timedatectl; chrony or systemd-timesyncd): expiring keys depend on it",
            isWarning: true,
            common: "the clock is off from \(whose)"
        )
    }

    private static func words(
        _ clock: ClockReading,
        from reference: ClockReading,
        tolerance: Double
    ) -> String? {
        let skew = clock.leastSkew(from: reference)
        guard skew > tolerance else { return nil }
        return String(format: "%.1f s ", skew) + (clock.earliest > reference.latest ? "ahead of" : "behind")
    }
}

/// When the first piece of an answer came in.
///
/// ## Concurrency
/// The time is behind its mutex: it is noted on the event loop, and read when the command has ended.
final class ClockArrival: Sendable {
    private let first = Mutex<Double?>(nil)

    var time: Double? { first.withLock { $0 } }

    func note() {
        let now = Date().timeIntervalSince1970
        first.withLock { if $0 == nil { $0 = now } }
    }
}
