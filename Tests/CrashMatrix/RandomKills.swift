// SPDX-License-Identifier: Apache-2.0

import Foundation
import RealNodes
import TestSupport

/// kill -9 at random moments, many over a few runs.
struct RandomKills: Sendable {
    let matrix: Matrix
    let kills: Int
    let runs: Int

    struct Outcome: Sendable {
        var kills = 0
        var equalRuns = 0
        var differences: [String] = []
    }

    func perform(report: (String) -> Void) async throws -> Outcome {
        var outcome = Outcome()
        for run in 1...runs {
            // What earlier runs did not live long enough for is left to the later ones.
            let share = Int((Double(kills - outcome.kills) / Double(runs - run + 1)).rounded(.up))
            var random = SplitMix64(seed: matrix.seed, for: "run \(run)")
            let (killed, differences) = try await perform(kills: share, random: &random)
            outcome.kills += killed
            if differences.isEmpty { outcome.equalRuns += 1 }
            outcome.differences += differences.map { "run \(run): \($0)" }
            report("run \(run) of \(runs): \(killed) kills, \(differences.isEmpty ? "same final state" : "DIFFERS")")
            for difference in differences { report("    \(difference)") }
        }
        return outcome
    }

    /// One run, killed so often and then brought to its end.
    private func perform(kills: Int, random: inout SplitMix64) async throws -> (Int, [String]) {
        let bench = matrix.bench
        // Each part of the run is short enough that the last kill, too, mostly finds something to kill.
        let longest = max(0.2, 2 * matrix.rows.reduce(0) { $0 + $1.usualSeconds * Double($1.turns) } / Double(kills))
        var helper = Operator(bench, runArguments: bench.runArguments())
        var next: [String]? = bench.runArguments()
        var killed = 0
        do {
            try await bench.reset()
            while let arguments = next {
                let delay = killed < kills ? Double.random(in: 0.05...longest, using: &random) : nil
                let end = try await Controller.run(arguments, on: bench) { controller in
                    guard let delay else { return }
                    try await Task.sleep(for: .seconds(delay))
                    controller.send(SIGKILL)
                }
                if end.exitCode == 128 + Int(SIGKILL) { killed += 1 }
                next = try await helper.next(after: end)
            }
            return (killed, try await matrix.examine())
        } catch let difference as CellDifference {
            return (killed, [difference.text])
        } catch {
            return (killed, ["the run could not be brought to its end: \(error)"])
        }
    }
}
