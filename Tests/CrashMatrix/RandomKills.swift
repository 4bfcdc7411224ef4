// SPDX-License-Identifier: Apache-2.0

import Foundation

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
            var random = SeededRandom(seed: matrix.seed, for: "run \(run)")
            try await matrix.bench.reset()
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
    private func perform(kills: Int, random: inout SeededRandom) async throws -> (Int, [String]) {
        let bench = matrix.bench
        let usual = matrix.rows.reduce(0) { $0 + $1.usualSeconds * Double($1.turns) }
        var arguments = bench.runArguments()
        var killed = 0
        do {
            while killed < kills {
                // Half of the rest of a run on average would leave nothing to kill: the steps get shorter.
                let delay = Double.random(in: 0.05...max(0.2, 2 * usual / Double(kills)), using: &random)
                let end = try await Controller.run(arguments, on: bench) { controller in
                    try await Task.sleep(for: .seconds(delay))
                    controller.send(SIGKILL)
                }
                if end.exitCode == 128 + Int(SIGKILL) {
                    killed += 1
                } else if end.exitCode == 0 {
                    break
                } else if !isNothingToResume(end) {
                    var helper = Operator(bench, runArguments: bench.runArguments())
                    try await helper.finish(after: end)
                    break
                }
                // A run that was killed before it was on record has nothing to go on with.
                arguments = isNothingToResume(end) ? bench.runArguments() : bench.resumeArguments
            }
            var helper = Operator(bench, runArguments: bench.runArguments())
            let end = try await Controller.run(arguments, on: bench)
            if !(end.exitCode == 64 && killed > 0 && isNothingToResume(end)) { try await helper.finish(after: end) }
            return (killed, try await matrix.examine())
        } catch let difference as CellDifference {
            return (killed, [difference.text])
        } catch let error as MatrixError {
            return (killed, [error.description])
        }
    }

    private func isNothingToResume(_ end: Controller.End) -> Bool {
        end.exitCode == 64
    }
}
