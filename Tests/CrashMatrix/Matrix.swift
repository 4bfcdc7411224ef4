// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Lab
import RealNodes
import TestSupport

/// One fault at one moment.
struct Cell: Sendable, Hashable {
    var row: StepRow
    var place: Moment.Place
    /// Which beginning of the step in the run, from 1.
    var turn: Int
    var fault: Fault

    var title: String { "\(row.title), \(row.turns > 1 ? "turn \(turn), " : "")\(place.rawValue) × \(fault.rawValue)" }

    /// The line of the table that it stands in.
    var line: String { "\(row.title), \(place.rawValue)" }
}

/// How a cell came out.
enum CellResult: Sendable {
    /// The state at the end is that of the undisturbed run.
    case same
    case differs([String])
    /// The fault found nothing to break at this moment.
    case notStruck

    var word: String {
        switch self {
        case .same: "same"
        case .differs: "DIFFERS"
        case .notStruck: "–"
        }
    }
}

/// Does every fault at every moment of a run, and compares what is left with an undisturbed run.
struct Matrix: Sendable {
    let bench: Testbed
    let seed: UInt64
    let reference: ClusterImage
    let rows: [StepRow]

    /// Runs undisturbed, and keeps what is left for comparison.
    init(_ bench: Testbed, seed: UInt64) async throws {
        self.bench = bench
        self.seed = seed
        try await bench.reset()
        let end = try await Controller.run(bench.runArguments(), on: bench)
        guard end.exitCode == 0 else {
            throw MatrixError("the undisturbed run ended with \(end.exitCode): \(end.lastWords)")
        }
        // By a check that knows nothing of pawl: what the others are compared with is right itself.
        let proof = try await Program.run("\(bench.repository)/scripts/compare-v2-v3", [bench.lab.directory])
        guard proof.exitCode == 0 else { throw MatrixError("the undisturbed run: \(proof.stdout)\(proof.stderr)") }
        reference = try await ClusterImage.take(of: bench)
        rows = StepRow.all(in: end.events)
    }

    /// All cells, one turn of each step chosen by the seed, or every turn.
    func cells(faults: [Fault], steps: [String], everyTurn: Bool) -> [Cell] {
        rows.flatMap { row in
            Moment.Place.allCases.flatMap { place in
                faults.flatMap { fault in
                    var random = SplitMix64(seed: seed, for: "\(row.title) \(place) \(fault)")
                    let chosen = Int.random(in: 1...row.turns, using: &random)
                    return (everyTurn ? Array(1...row.turns) : [chosen]).map {
                        Cell(row: row, place: place, turn: $0, fault: fault)
                    }
                }
            }
        }
        .filter { cell in steps.isEmpty || steps.contains { cell.row.title.localizedCaseInsensitiveContains($0) } }
    }

    /// Does one cell from the same data to the same end.
    func perform(_ cell: Cell) async throws -> CellResult {
        var random = SplitMix64(seed: seed, for: cell.title)
        let moment = Moment(
            row: cell.row,
            turn: cell.turn,
            place: cell.place,
            fraction: Double.random(in: 0.15...0.85, using: &random)
        )
        do {
            try await bench.reset(smallDisks: cell.fault.needsSmallDisks)
            guard let helper = try await disturb(moment, cell.fault, random) else { return .notStruck }
            let differences = try await examine()
            return differences.isEmpty ? .same : .differs(differences + helper.commands.map { "after \($0)" })
        } catch let difference as CellDifference {
            return .differs([difference.text])
        } catch {
            // Not a word about pawl, but the cell has not shown what it is to show.
            return .differs(["the cell could not be done: \(error)"])
        }
    }

    /// One run with the fault in it, gone on with until it is done; `nil` when the fault did not strike.
    private func disturb(_ moment: Moment, _ fault: Fault, _ random: SplitMix64) async throws -> Operator? {
        var playbook: String?
        if fault.needsShortTimeouts {
            playbook = try bench.playbook(
                "hasty.yaml",
                replacing: [
                    ("timeout: 30m", "timeout: 6s"),
                    ("- name: Cluster is migrated\n", "- name: Cluster is migrated\n    timeout: 20s\n"),
                ]
            )
        }
        let arguments = bench.runArguments(playbook: playbook)
        let strike = Strike()
        let end = try await Controller.run(arguments, on: bench) { [random] controller in
            guard let event = try await moment.await(in: controller) else { return }
            var random = random
            let member = bench.nodes.first { $0.name == event.host } ?? bench.nodes.randomElement(using: &random)
            guard let member, let other = bench.nodes.filter({ $0 != member }).randomElement(using: &random) else {
                throw MatrixError("the lab has too few nodes")
            }
            let isDone = try await fault.inject(
                into: controller,
                on: bench,
                member: member,
                other: other,
                random: &random
            )
            await strike.set(isDone ? member : nil)
        }
        guard let member = await strike.member else {
            if end.exitCode == 0 { return nil }
            throw CellDifference("ended with \(end.exitCode) before anything was broken: \(end.lastWords)")
        }
        let hasStruck = try await fault.hasStruck(member)
        try await fault.mend(on: bench, member: member)
        var helper = Operator(bench, runArguments: arguments)
        try await helper.finish(after: end)
        return hasStruck ? helper : nil
    }

    /// Everything that must be true at the end of a run, however it went.
    func examine() async throws -> [String] {
        try await bench.awaitNodes()
        try await closeUntold()
        let image = try await ClusterImage.take(of: bench)
        var differences = image.differences(from: reference)
        differences += try await repeatedMigrations()
        differences += try await repeatedIntents()
        differences += try await lostWrites()
        return differences
    }

    /// A member that was away when the run took its leave still has its files; the next run must remove them.
    private func closeUntold() async throws {
        let status = try await Program.run(bench.pawl, ["status", "-i", bench.lab.inventory])
        guard status.stdout.contains(" done, not told here ") else { return }
        let next = bench.runArguments(playbook: "\(bench.repository)/playbooks/thaw_etcd.yaml", state: "next-state")
        let end = try await Controller.run(next, on: bench)
        guard end.exitCode == 0 else {
            throw CellDifference("a member was not told that the run is done, and the next one says: \(end.lastWords)")
        }
    }

    /// Each `etcdctl migrate` must have found the untouched database: no `once` step twice.
    private func repeatedMigrations() async throws -> [String] {
        let lines = try await bench.onAll(
            "grep -vxF -f /var/lib/matrix/untouched /var/lib/matrix/migrations | wc -l; wc -l </var/lib/matrix/migrations"
        )
        return lines.keys.sorted().flatMap { node -> [String] in
            let counts = (lines[node] ?? "").split(separator: "\n").compactMap { Int($0) }
            guard counts.count == 2 else { return ["\(node): nobody knows how often it was migrated"] }
            if counts[0] > 0 {
                return ["\(node): \(counts[0]) of its migrations began on a database that one had touched"]
            }
            return counts[1] > 0 ? [] : ["\(node): was never migrated"]
        }
    }

    /// A migration that the journal calls done is not attempted again, unless it was taken back in between.
    private func repeatedIntents() async throws -> [String] {
        let steps = Set(rows.filter { $0.action == "etcd_migrate" }.flatMap(\.steps))
        let journal = try await bench.journal()
        var repeated: [String] = []
        for run in try await journal.runs() {
            var done: Set<String> = []
            for record in try await journal.records(of: run.id) where steps.contains(record.step) {
                switch (record.kind, record.status) {
                case (.intent, _) where done.contains(record.step):
                    repeated.append("the journal of \(run.id) has \(record.step) begun again after it was done")
                case (.outcome, .done), (.outcome, .skipped): done.insert(record.step)
                case (.undoOutcome, .undone): done.remove(record.step)
                default: break
                }
            }
        }
        return repeated
    }

    /// Keys that are acknowledged after the run is done stay, whatever is asked of pawl then.
    private func lostWrites() async throws -> [String] {
        let writer = Writer(bench.nodes)
        try await writer.write(count: 3)
        let again = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await writer.write() }
            defer { group.cancelAll() }
            return try await Controller.run(bench.resumeArguments, on: bench)
        }
        var differences = try await writer.lost()
        if again.exitCode != 64 { differences.append("resuming a run that is done ended with \(again.exitCode)") }
        if await writer.acknowledged < 3 { differences.append("the cluster does not acknowledge v3 writes") }
        return differences
    }

    /// Where a fault struck.
    private actor Strike {
        private(set) var member: LabNode?
        func set(_ member: LabNode?) { self.member = member }
    }
}
