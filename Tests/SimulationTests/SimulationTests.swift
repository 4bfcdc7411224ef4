// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Thousands of migrations in which everything goes wrong that can, each of them told again by its seed.
///
/// `scripts/simulate --seeds 10000` tries so many; `scripts/simulate --seed 17` tells one story, line by line. They
/// stand for `PAWL_SEEDS=10000` and `PAWL_SEED=17` with `swift test --filter '^SimulationTests\.'`.
struct SimulationTests {
    static let parts = 16

    @Test(arguments: 0..<parts)
    func `no story breaks a promise`(part: Int) {
        let environment = ProcessInfo.processInfo.environment
        let weakness = environment["PAWL_WEAKNESS"].flatMap(Weakness.init)
        if let seed = environment["PAWL_SEED"].flatMap(UInt64.init) {
            guard part == 0 else { return }
            let story = Story(seed: seed, weakness: weakness, isTracing: true)
            print(story.trace)
            #expect(story.complaints == [], "seed \(seed)")
            return
        }
        let count = environment["PAWL_SEEDS"].flatMap(UInt64.init) ?? 2000
        for seed in stride(from: UInt64(part), to: count, by: Self.parts) {
            guard !Story(seed: seed, weakness: weakness).complaints.isEmpty else { continue }
            let story = Story(seed: seed, weakness: weakness, isTracing: true)
            Issue.record("PAWL_SEED=\(seed): \(story.complaints)\n\(story.trace)")
            return
        }
    }

    @Test(.disabled(if: ProcessInfo.processInfo.environment["PAWL_SEED"] != nil, "one story is told"))
    func `the same seed tells the same story`() {
        #expect(Story(seed: 42, isTracing: true).trace == Story(seed: 42, isTracing: true).trace)
    }
}
