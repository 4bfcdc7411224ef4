// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import RealNodes
import TestSupport

/// Goes on with a run as someone would who reads exit codes and last words, and knows nothing else.
struct Operator: Sendable {
    let bench: Testbed
    /// What the run was begun with.
    let runArguments: [String]
    /// What was done, for the report of a difference.
    private(set) var commands: [String] = []
    /// How often a controller ended short of the goal that nobody had killed.
    private var halts = 0

    init(_ bench: Testbed, runArguments: [String]) {
        self.bench = bench
        self.runArguments = runArguments
    }

    /// How often someone tries before calling for help.
    private static let patience = 5

    /// Goes on until the run is done, from how the last controller ended.
    mutating func finish(after end: Controller.End) async throws {
        var end = end
        while let next = try await next(after: end) { end = try await Controller.run(next, on: bench) }
    }

    /// What to do now; `nil` when the run is done.
    mutating func next(after end: Controller.End) async throws -> [String]? {
        if end.exitCode == 0 { return nil }
        try await bench.awaitNodes()
        let next: [String]
        if end.exitCode == 128 + Int(SIGKILL) {
            // Of a controller that was killed there are no last words.
            next = bench.resumeArguments
        } else if try await hasNothingOpen(end) {
            // It was killed before the run was on record, or after it was done.
            if try await isDone() { return nil }
            next = runArguments
        } else {
            halts += 1
            next = try advice(of: end)
        }
        guard halts <= Self.patience else {
            throw CellDifference("not done after \(commands.joined(separator: ", ")): \(end.lastWords)")
        }
        commands.append("\(end.exitCode) → \(next[0])")
        return next
    }

    /// The command that its last screen names first, or what the exit code asks for.
    private func advice(of end: Controller.End) throws -> [String] {
        if let line = end.report?.nextCommands?.first?.command, line.hasPrefix("pawl ") {
            let words = line.split(separator: " ").dropFirst().map(String.init)
            return words.first == "run" ? runArguments : words
        }
        switch end.exitCode {
        case 1, 3, 130: return bench.resumeArguments
        case 4: return runArguments
        default: throw CellDifference("exit \(end.exitCode) and no word of what to do: \(end.lastWords)")
        }
    }

    private func hasNothingOpen(_ end: Controller.End) async throws -> Bool {
        guard end.exitCode == 64, end.events.isEmpty else { return false }
        do throws(JournalError) {
            return try await bench.journal().latestRun(in: [.running, .halted, .interrupted]) == nil
        } catch  where error.code == .notFound {
            return true
        }
    }

    private func isDone() async throws -> Bool {
        do throws(JournalError) {
            return try await bench.journal().runs().first?.state == .done
        } catch  where error.code == .notFound {
            return false
        }
    }
}
