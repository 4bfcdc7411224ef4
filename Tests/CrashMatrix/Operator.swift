// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Goes on with a run as someone would who reads exit codes and last words, and knows nothing else.
struct Operator: Sendable {
    var bench: Testbed
    var runArguments: [String]
    /// How often the run was gone on with.
    private(set) var commands: [String] = []

    init(_ bench: Testbed, runArguments: [String]) {
        self.bench = bench
        self.runArguments = runArguments
    }

    /// How often someone tries before calling for help.
    private static let patience = 5

    /// Goes on until the run is done, from how the first controller ended.
    mutating func finish(after end: Controller.End) async throws {
        var end = end
        while end.exitCode != 0 {
            guard commands.count < Self.patience else {
                throw CellDifference("not done after \(commands.joined(separator: ", ")): \(end.lastWords)")
            }
            try await bench.awaitNodes()
            let next = try nextCommand(after: end)
            commands.append("\(end.exitCode) → \(next[0])")
            end = try await Controller.run(next, on: bench)
        }
    }

    private func nextCommand(after end: Controller.End) throws -> [String] {
        // Of a controller that was killed there are no last words.
        if end.exitCode > 128, end.exitCode != 130 { return bench.resumeArguments }
        if end.stderr.contains("is open") || end.stderr.contains("there is no journal")
            || end.stderr.contains("holds no run")
        {
            return runArguments
        }
        if let line = end.report?.nextCommands?.first?.command, line.hasPrefix("pawl ") {
            var words = line.split(separator: " ").dropFirst().map(String.init)
            if words.first == "run" { words = runArguments }
            return words
        }
        switch end.exitCode {
        case 1, 3, 130: return bench.resumeArguments
        case 4: return runArguments
        default: throw CellDifference("exit \(end.exitCode) and no word of what to do: \(end.lastWords)")
        }
    }
}
