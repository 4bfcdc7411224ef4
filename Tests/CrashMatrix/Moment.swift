// SPDX-License-Identifier: Apache-2.0

import RealNodes
import TestSupport

/// When in a run something is done to it.
struct Moment: Sendable, Hashable {
    enum Place: String, Sendable, Hashable, CaseIterable {
        /// Between the step before and this one.
        case boundary
        case middle
    }

    /// One step of the playbook, on whatever host.
    var row: StepRow
    /// Which of its beginnings in the run, from 1: a host's turn, or a gate's.
    var turn: Int
    var place: Place
    /// How far into the step, of its usual time.
    var fraction: Double

    /// Waits for it; `nil` when the run ended before.
    func await(in controller: Controller) async throws -> EventLine? {
        let found = try await controller.wait { events in
            let beginnings = events.filter { $0.event == "step_started" && StepRow($0) == row }
            return beginnings.count >= turn ? beginnings[turn - 1] : nil
        }
        guard let found else { return nil }
        if place == .middle { try await Task.sleep(for: .seconds(row.usualSeconds * fraction)) }
        return found
    }
}

/// A step of the playbook as a row of the table: what it is called, how often it begins in a run, how long it takes.
struct StepRow: Sendable, Hashable {
    var phase: String
    var name: String
    var action: String
    var turns = 0
    /// Its ids in the plan.
    var steps: [String] = []
    var usualSeconds = 0.0

    init?(_ event: EventLine) {
        guard let phase = event.phase, let action = event.action else { return nil }
        self.phase = phase
        name = event.name ?? action
        self.action = action
    }

    /// The rows of an undisturbed run, in its order.
    static func all(in events: [EventLine]) -> [StepRow] {
        var rows: [StepRow] = []
        for event in events where event.event == "step_started" {
            guard var row = StepRow(event) else { continue }
            let end = events.first { $0.event == "step_finished" && $0.step == event.step && $0.at >= event.at }
            let seconds = max(0, (end?.second ?? event.second) - event.second)
            if let index = rows.firstIndex(of: row) {
                rows[index].turns += 1
                rows[index].steps += [event.step].compactMap(\.self)
                rows[index].usualSeconds = max(rows[index].usualSeconds, seconds)
            } else {
                row.turns = 1
                row.steps = [event.step].compactMap(\.self)
                row.usualSeconds = seconds
                rows.append(row)
            }
        }
        return rows
    }

    var title: String { "\(phase): \(name)" }

    static func == (one: StepRow, other: StepRow) -> Bool {
        one.phase == other.phase && one.name == other.name && one.action == other.action
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(phase)
        hasher.combine(name)
        hasher.combine(action)
    }
}
