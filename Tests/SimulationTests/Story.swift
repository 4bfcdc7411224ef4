// SPDX-License-Identifier: Apache-2.0

import Rollout
import TestSupport

/// A cluster's story from its first run to the end, through whatever its seed holds: faults, people, and the mending.
struct Story {
    let world: World
    private(set) var complaints: [String] = []

    init(seed: UInt64, weakness: Weakness? = nil, isTracing: Bool = false) {
        var dice = SplitMix64(seed: seed &* 0x5851_f42d_4c95_7f2d)
        let scenario = Scenario.all[[0, 0, 1, 1, 2, 3, 4, 5][dice.below(8)]]
        let odds = Story.odds(&dice)
        world = World(scenario, odds: odds, seed: seed, weakness: weakness, isTracing: isTracing)
        world.note("seed", "\(seed): \(scenario.names), \(scenario.plan.onFailure)\(weakness.map { ", \($0)" } ?? "")")
        tell()
        complaints = world.violations
        world.finish()
    }

    var trace: String { world.trace.joined(separator: "\n") }

    private func tell() {
        world.keepWriting()
        world.startController(.run, at: world.homes[0])
        if world.chance(world.odds.people * 3) {
            world.after(world.between(0, 60)) { [unowned world] in world.startController(.run, at: world.homes[1]) }
        }
        world.letThingsHappen()
        world.run(until: 240_000)
        guard world.violations.isEmpty else { return }
        world.mend()
        world.bringToEnd()
    }

    private static func odds(_ dice: inout SplitMix64) -> Odds {
        var odds = Odds()
        if dice.chance(perMille: 500) { odds.transport = 60 }
        if dice.chance(perMille: 300) { odds.script = 25 }
        if dice.chance(perMille: 150) { odds.journal = 8 }
        if dice.chance(perMille: 500) { odds.crash = 15 }
        if dice.chance(perMille: 300) { odds.signal = 40 }
        if dice.chance(perMille: 600) { odds.people = 120 }
        if dice.chance(perMille: 500) { odds.machines = 60 }
        if dice.chance(perMille: 250) { odds.data = 60 }
        return odds
    }
}
