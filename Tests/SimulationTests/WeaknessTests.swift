// SPDX-License-Identifier: Apache-2.0

import Testing

/// The simulation can fail: each safety that is left out breaks a promise in one of the first stories.
struct WeaknessTests {
    /// How many stories are told before one must fail.
    static let limit: UInt64 = 2000

    @Test(arguments: Weakness.allCases)
    func `a world without this safety breaks a promise`(weakness: Weakness) {
        let seed = (0..<Self.limit).first { !Story(seed: $0, weakness: weakness).complaints.isEmpty }
        guard let seed else {
            Issue.record("\(weakness) is not noticed in \(Self.limit) stories")
            return
        }
        #expect(Story(seed: seed).complaints == [], "with the safety in place, seed \(seed) keeps every promise")
    }
}
