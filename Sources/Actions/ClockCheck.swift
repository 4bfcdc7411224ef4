// SPDX-License-Identifier: Apache-2.0

import Etcd
import Foundation

/// Whether the nodes' clocks agree.
///
/// They are read over SSH, so each reading has the time of its way as its error; only what is left of a difference
/// after that is said. etcd's own clock checks warn from a second on (rafthttp, `maxClockSkew`).
struct ClockCheck: Sendable {
    let facts: [String: MemberFacts]
    static let tolerance = 1.0

    func findings(_ nodes: [EtcdNode]) async -> [EtcdFinding] {
        // Who does not answer is a finding already.
        findings(
            of: await ClusterProbe.clocks(nodes.filter { facts[$0.name] != nil }).compactMapValues { try? $0.get() }
        )
    }

    func findings(of clocks: [String: ClockReading]) -> [EtcdFinding] {
        let sorted = clocks.sorted { $0.key < $1.key }
        guard let slow = sorted.min(by: { $0.value.latest < $1.value.latest }),
            let fast = sorted.max(by: { $0.value.earliest < $1.value.earliest })
        else { return [] }
        let skew = fast.value.leastSkew(from: slow.value)
        guard skew > Self.tolerance else { return [] }
        let expires = facts.values.contains { facts in
            (try? facts.fingerprint.get()).map { $0.temporaryKeys + $0.ttlDirectories > 0 } ?? false
        }
        let error = max(slow.value.latest - slow.value.earliest, fast.value.latest - fast.value.earliest)
        return [
            EtcdFinding(
                .clockSkew,
                "the clock of \(fast.key) is at least \(Self.text(skew)) s ahead of that of \(slow.key) "
                    + "(read with an error of \(Self.text(error)) s)",
                why: expires
                    ? "keys expire by the leader's clock, which changes during the roll"
                    : "no key expires, so that nothing depends on it now",
                remedy: "synchronize the clocks, as by chrony",
                isMinor: !expires
            )
        ]
    }

    private static func text(_ seconds: Double) -> String {
        String(format: "%.2f", locale: Locale(identifier: "en_US_POSIX"), seconds)
    }
}
