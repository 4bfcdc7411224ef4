// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import RealNodes
import TestSupport

/// Breaks runs of pawl on real nodes, at every step and in every way, and looks whether they end as if nothing had been.
///
/// `scripts/crash-matrix` builds it and calls it.
@main
struct CrashMatrixCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crash-matrix",
        abstract: "Faults at every step of a migration on real nodes; the end must be that of an undisturbed run.",
        discussion: "Faults: \(Fault.allCases.map(\.rawValue).joined(separator: ", "))."
    )

    @Option(help: "Chooses the turns, the moments and, with --cells, the cells.") var seed: UInt64 = 1
    @Option(help: "Only so many cells, chosen by the seed.") var cells: Int?
    @Option(help: "Only these faults, separated by commas.") var faults: String?
    @Option(help: "Only steps with one of these texts in phase or name, separated by commas.") var steps: String?
    @Option(help: "Keys in the v2 store beside those of every kind.") var keys = 200
    @Flag(help: "Each step on every host and at every gate, and not at one that the seed chooses.") var everyTurn =
        false
    @Flag(help: "The playbook that migrates in place, and not the one that prepares copies.") var inPlace = false
    @Flag(help: "Prints the cells and does nothing.") var list = false
    @Option(help: "Instead of the table: so many kill -9 at random moments, over --runs runs.") var randomKills: Int?
    @Option(help: "Over how many runs --random-kills are spread.") var runs = 20
    @Option(help: "Where what every pawl said is kept.") var logs: String?
    @Option(help: "An empty directory for the nodes and journals.") var directory: String

    func validate() throws {
        guard geteuid() == 0 else { throw ValidationError("nodes that boot need root") }
        guard runs > 0, randomKills ?? 1 > 0, cells ?? 1 > 0 else { throw ValidationError("numbers are from 1") }
        _ = try chosenFaults()
    }

    func run() async throws {
        let result: Result<Bool, any Error>
        do {
            let bench = try await Testbed.up(
                pawl: Testbed.binary,
                repository: Testbed.repository,
                playbook: "migrate_etcd_v2_to_v3" + (inPlace ? "_in_place" : ""),
                keys: keys,
                in: directory,
                scripts: Testbed.trace
            )
            result = .success(try await perform(on: bench))
        } catch {
            result = .failure(error)
        }
        // A task of its own, because what cleans up is not begun in one that was cancelled.
        try await Task { try await Testbed.remove(directory, keepingLogs: logs) }.value
        guard try result.get() else { throw ExitCode(1) }
    }

    /// Whether all was as it must be.
    private func perform(on bench: Testbed) async throws -> Bool {
        let matrix = try await Matrix(bench, seed: seed)
        say("seed \(seed)")
        let remains = matrix.reference.remains
        for path in remains { say("left behind by the undisturbed run: \(path)") }
        if let randomKills {
            let outcome = try await RandomKills(matrix: matrix, kills: randomKills, runs: runs).perform(report: say)
            say("\(outcome.kills) random kills over \(runs) runs: \(outcome.equalRuns) of \(runs) same final state")
            return outcome.equalRuns == runs && remains.isEmpty
        }
        let chosen = try chosenCells(of: matrix)
        if list {
            for cell in chosen { say(cell.title) }
            return true
        }
        var table = MatrixTable()
        for (number, cell) in chosen.enumerated() {
            let clock = ContinuousClock.now
            let result = try await matrix.perform(cell)
            table.add(cell, result)
            let seconds = (ContinuousClock.now - clock).components.seconds
            say("\(number + 1)/\(chosen.count)  \(cell.title): \(Self.words(result))  (\(seconds) s)")
            guard case .differs(let lines) = result else { continue }
            for line in lines.prefix(20) { say("    \(line)") }
            say("    again: scripts/crash-matrix \(again(cell))")
        }
        say("\n\(table.text)\n")
        say(table.count)
        return table.isAllSame && remains.isEmpty
    }

    /// The arguments that do this cell again, with the others of its step and fault.
    private func again(_ cell: Cell) -> String {
        "--seed \(seed) --keys \(keys) --steps '\(cell.row.name)' --faults \(cell.fault.rawValue)"
            + (everyTurn ? " --every-turn" : "") + (inPlace ? " --in-place" : "")
    }

    private static func words(_ result: CellResult) -> String {
        switch result {
        case .same: "same final state"
        case .differs: "DIFFERS"
        case .notStruck: "the fault found nothing to break"
        }
    }

    private func chosenFaults() throws -> [Fault] {
        guard let faults else { return Fault.allCases }
        return try faults.split(separator: ",").map { word in
            guard let fault = Fault(rawValue: String(word)) else {
                throw ValidationError("there is no fault '\(word)'; see --help")
            }
            return fault
        }
    }

    private func chosenCells(of matrix: Matrix) throws -> [Cell] {
        let all = matrix.cells(
            faults: try chosenFaults(),
            steps: (steps ?? "").split(separator: ",").map(String.init),
            everyTurn: everyTurn
        )
        guard !all.isEmpty else { throw ValidationError("no step is called so") }
        guard let cells else { return all }
        var random = SplitMix64(seed: seed, for: "cells")
        return Array(all.shuffled(using: &random).prefix(cells))
    }

    private func say(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }
}
