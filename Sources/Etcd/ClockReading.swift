// SPDX-License-Identifier: Apache-2.0

import Remote

/// Where a node's clock stands, as seen from here: between two bounds, because the answer was on its way.
///
/// In seconds since the epoch, less the seconds that passed here since the first question, so that readings taken at
/// different moments can be compared. The clock of this machine is not in it.
package struct ClockReading: Sendable, Hashable {
    package var earliest: Double
    package var latest: Double

    package init(earliest: Double, latest: Double) {
        self.earliest = earliest
        self.latest = latest
    }

    /// How far two clocks are apart at least, whatever the way to them took.
    package func leastSkew(from other: ClockReading) -> Double {
        max(0, earliest - other.latest, other.earliest - latest)
    }
}

extension ClusterProbe {
    /// Every node's clock, each by a command of its own that does nothing else.
    package static func clocks(_ nodes: [EtcdNode]) async -> [String: Result<ClockReading, EtcdProbeError>] {
        let start = ContinuousClock.now
        return await each(nodes) { node throws(EtcdProbeError) in
            var script = ProbeScript(node.settings)
            // Where %N is not known, as in busybox, it stays or is left out: then the second is what is known.
            script.ask("clock", "date +%s.%N")
            let asked = start.duration(to: .now)
            let answer = try await script.run(on: node, label: "read the clock")
            let told = start.duration(to: .now)
            let text = try answer.part("clock").text.trimmingPrefix { $0.isWhitespace }.prefix { !$0.isWhitespace }
            let parts = text.split(separator: ".")
            guard let seconds = parts.first.flatMap({ Int($0) }) else {
                throw answer.error(.tool, "the clock is not told: \(ProbeAnswer.excerpt(String(text)))")
            }
            let fraction = parts.count > 1 && parts[1].count == 9 ? Int(parts[1]).map { Double($0) / 1e9 } : nil
            let time = Double(seconds) + (fraction ?? 0)
            return ClockReading(
                earliest: time - told.seconds,
                latest: time + (fraction == nil ? 1 : 0) - asked.seconds
            )
        }
    }
}

extension Duration {
    fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
