// SPDX-License-Identifier: Apache-2.0

import Reports
import Rollout

/// A plan for people: the order of the hosts, then every step with what it does.
enum PlanScreen {
    static func render(_ plan: Plan, width: Int?) -> String {
        var text = "\(plan.name)\n\n"
        text += "hosts, in this order: \(plan.hosts.joined(separator: ", "))\n"
        text += "at a time: \(serial(plan.serial)); on failure: \(plan.onFailure.rawValue)\n"
        if plan.needsQuorum { text += "each stop is preceded by a quorum proof\n" }
        text += discovered(plan)
        let steps = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.id, $0) })
        var rows: [[String]] = []
        for stage in plan.stages {
            for lane in stage.lanes {
                for id in lane.steps {
                    guard let step = steps[id] else { continue }
                    let work = stage.work == .undo ? "undo: \(step.name)" : step.name
                    rows.append([stage.phase.rawValue, step.host ?? "all", work, step.action, words(step)])
                }
            }
        }
        let table = Table(
            columns: [.init("phase"), .init("host"), .init("step"), .init("action"), .init("effect")],
            rows: rows
        )
        let changing = plan.steps.count { $0.effect != .readOnly }
        return text + "\n" + table.render(width: width)
            + "\n\(plan.steps.count) steps, \(changing) of them change a node\n"
    }

    /// What was read off the running nodes; once, where it is the same on all.
    private static func discovered(_ plan: Plan) -> String {
        let found = plan.inputs.discovered
        guard !found.isEmpty else { return "" }
        func line(_ variables: [String: String]) -> String {
            variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.isEmpty ? "\"\"" : $0.value)" }
                .joined(separator: " ")
        }
        if Set(found.values).count == 1, let same = found.values.first, found.count == plan.hosts.count {
            return "discovered on all hosts: \(line(same))\n"
        }
        return plan.hosts.compactMap { host in found[host].map { "discovered on \(host): \(line($0))\n" } }.joined()
    }

    private static func serial(_ serial: Plan.Serial) -> String {
        switch serial {
        case .all: "all hosts, each step a barrier"
        case .hosts(1): "1 host"
        case .hosts(let count): "\(count) hosts"
        }
    }

    private static func words(_ step: PlannedStep) -> String {
        let effect =
            switch step.effect {
            case .readOnly: "looks only"
            case .repeatable: "changes"
            case .once: "changes, once"
            }
        let availability =
            switch step.availability {
            case .unchanged: ""
            case .takesOut: ", member out"
            case .bringsBack: ", member back"
            case .bounces: ", member out and back"
            }
        return effect + availability + (step.hasUndo ? ", can be undone" : "")
    }
}
