// SPDX-License-Identifier: Apache-2.0

/// Lays the steps of a playbook out over hosts: which stages there are, and in which order.
///
/// The order of the phases: tools, preflight, freeze, gate (the baseline), prepare, then batch after batch with a gate between
/// them, then postflight (a last gate where there is none), then thaw. The postflight comes before the thaw because its proofs hold only while nothing writes.
package struct PlanLayout: Sendable {
    /// Hosts by their place in the order in which they are changed.
    package enum Place: String, Sendable, CaseIterable {
        case everyone
        /// The last one: with `order: leader-last` the leader's, whose log has every acknowledged write.
        case last
        /// All but the last one.
        case others
    }

    /// One step of the playbook, before it is laid out.
    package struct Entry: Sendable {
        package var phase: Phase
        /// Its place in its phase, from 1.
        package var number: Int
        /// Looks at all hosts at once.
        package var isClusterWide: Bool
        /// The hosts it is for, in inventory order; ignored where it is cluster-wide.
        package var hosts: [String]
        /// Which of its hosts it is for, where all of them go at once.
        package var place = Place.everyone
        /// Where all hosts go at once: whether this step is done on one after the other all the same.
        package var isOneByOne = false
        /// Makes the planned step for a host, or for all (`nil`).
        package var make: @Sendable (_ id: StepID, _ host: String?) -> PlannedStep

        package init(
            phase: Phase,
            number: Int,
            isClusterWide: Bool,
            hosts: [String],
            make: @escaping @Sendable (_ id: StepID, _ host: String?) -> PlannedStep
        ) {
            self.phase = phase
            self.number = number
            self.isClusterWide = isClusterWide
            self.hosts = hosts
            self.make = make
        }
    }

    /// The hosts of the play in the order in which they are changed.
    private let hosts: [String]
    private let serial: Plan.Serial
    private let entries: [Entry]
    private var stages: [Stage] = []
    private var steps: [PlannedStep] = []

    private init(hosts: [String], serial: Plan.Serial, entries: [Entry]) {
        self.hosts = hosts
        self.serial = serial
        self.entries = entries
    }

    /// Lays the entries out.
    ///
    /// - Parameters:
    ///   - entries: the steps of the playbook, in its order.
    ///   - hosts: the hosts of the play in the order in which they are to be changed.
    ///   - serial: how many of them at a time.
    /// - Returns: the stages in the order of the run, and the steps that they name.
    package static func lay(
        _ entries: [Entry],
        over hosts: [String],
        serial: Plan.Serial
    ) -> (stages: [Stage], steps: [PlannedStep]) {
        var layout = PlanLayout(hosts: hosts, serial: serial, entries: entries)
        layout.addAll()
        return (layout.stages, layout.steps)
    }

    private mutating func addAll() {
        add(.tools)
        add(.preflight)
        add(.freeze)
        switch serial {
        case .hosts(let count):
            if !entries(.steps).isEmpty { add(.gate, suffix: "@start") }
            add(.prepare)
            for start in stride(from: 0, to: hosts.count, by: max(count, 1)) {
                let batch = Array(hosts[start..<min(start + max(count, 1), hosts.count)])
                addUnits(of: batch)
                // Behind the last batch the postflight proves more than a gate does.
                let isLast = start + batch.count == hosts.count
                if !isLast || entries(.postflight).isEmpty {
                    add(.gate, suffix: "@" + batch.joined(separator: "+"))
                }
            }
        case .all:
            if !entries(.steps).isEmpty { add(.gate, suffix: "@start") }
            add(.prepare)
            for entry in entries(.steps) { addBarrier(entry) }
            if entries(.postflight).isEmpty { add(.gate, suffix: "@all") }
        }
        add(.postflight)
        add(.thaw)
        if entries(.thaw).isEmpty { addUndoOfFreeze() }
    }

    private func entries(_ phase: Phase) -> [Entry] {
        entries.filter { $0.phase == phase }
    }

    /// The preflight only looks, so all of it is one stage, in which each host goes through its own steps at its own pace
    /// beside the steps that look at all; elsewhere each step waits for the one before it on all hosts.
    private mutating func add(_ phase: Phase, suffix: String = "") {
        let entries = entries(phase)
        if phase == .preflight {
            addStage(entries, phase: phase, suffix: suffix)
        } else {
            for entry in entries { addStage([entry], phase: phase, suffix: suffix) }
        }
    }

    private mutating func addStage(_ group: [Entry], phase: Phase, suffix: String) {
        guard let first = group.first else { return }
        let clusterWide = group.filter(\.isClusterWide)
        var lanes: [Stage.Lane] = []
        if !clusterWide.isEmpty {
            lanes = [.init(host: nil, steps: clusterWide.map { plan($0, host: nil, suffix: suffix) })]
        }
        let hostEntries = group.filter { !$0.isClusterWide }
        var order: [String] = []
        for host in hostEntries.flatMap(\.hosts) where !order.contains(host) { order.append(host) }
        for host in order {
            let mine = hostEntries.filter { $0.hosts.contains(host) }
            lanes.append(.init(host: host, steps: mine.map { plan($0, host: host, suffix: suffix) }))
        }
        stages.append(Stage(id: "\(phase.rawValue).\(first.number)\(suffix)", phase: phase, lanes: lanes))
    }

    private mutating func addUnits(of batch: [String]) {
        let units = entries(.steps)
        guard !units.isEmpty else { return }
        let lanes = batch.map { host in
            Stage.Lane(host: host, steps: units.map { plan($0, host: host, suffix: "") })
        }
        stages.append(Stage(id: "steps@" + batch.joined(separator: "+"), phase: .steps, lanes: lanes))
    }

    private mutating func addBarrier(_ entry: Entry) {
        let chosen =
            switch entry.place {
            case .everyone: hosts
            case .last: Array(hosts.suffix(1))
            case .others: Array(hosts.dropLast())
            }
        let groups = entry.isOneByOne ? chosen.map { [$0] } : [chosen]
        for group in groups where !group.isEmpty {
            let lanes = group.map { host in Stage.Lane(host: host, steps: [plan(entry, host: host, suffix: "")]) }
            let suffix = entry.isOneByOne ? group.joined() : "all"
            stages.append(Stage(id: "steps.\(entry.number)@\(suffix)", phase: .steps, lanes: lanes))
        }
    }

    private mutating func addUndoOfFreeze() {
        let frozen = stages.filter { $0.phase == .freeze }
        let undoable = Set(steps.filter { $0.phase == .freeze && $0.hasUndo }.map(\.id))
        let lanes = frozen.reversed().flatMap(\.lanes).map { lane in
            Stage.Lane(host: lane.host, steps: lane.steps.reversed().filter(undoable.contains))
        }
        guard lanes.contains(where: { !$0.steps.isEmpty }) else { return }
        stages.append(Stage(id: "thaw", phase: .thaw, work: .undo, lanes: lanes))
    }

    private mutating func plan(_ entry: Entry, host: String?, suffix: String) -> StepID {
        let id = StepID("\(entry.phase.rawValue).\(entry.number)\(suffix)/\(host ?? "*")")
        steps.append(entry.make(id, host))
        return id
    }
}
