// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Rollout

/// A plan in a file: made by `pawl plan --out`, demanded by `pawl run --plan`.
enum PlanFile {
    /// The plan as JSON; with what is said of it under `advice`, where there is something.
    static func text(_ plan: Plan, beside screen: WayScreen? = nil) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(Text(plan: plan, screen: screen)), as: UTF8.self) + "\n"
    }

    private struct Text: Encodable {
        var plan: Plan
        var screen: WayScreen?

        private enum CodingKeys: CodingKey { case advice }

        func encode(to encoder: any Encoder) throws {
            try plan.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encodeIfPresent(screen?.record, forKey: .advice)
        }
    }

    static func write(_ plan: Plan, to path: String) throws {
        try Data(try text(plan).utf8).write(to: URL(filePath: path), options: .atomic)
    }

    /// Refuses when the plan that the inputs give now is not the plan of the file, and says what differs.
    static func demand(_ plan: Plan, matches path: String) throws {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw DiagnosticsError([Diagnostic(at: nil, "the plan file \(path) cannot be read")])
        }
        guard let saved = try? JSONDecoder().decode(Plan.self, from: data) else {
            throw DiagnosticsError([Diagnostic(at: nil, "\(path) is no plan of this version of pawl")])
        }
        try demand(
            plan,
            is: saved,
            called: "the plan of \(path)",
            remedy: "look at the new plan with `pawl plan`, and save it again if it is right"
        )
    }

    /// Refuses when a plan is not the one that somebody has agreed to, and says what differs.
    static func demand(
        _ plan: Plan,
        is agreed: Plan,
        called name: String,
        remedy: String
    ) throws(RunControllerError) {
        guard agreed != plan else { return }
        throw RunControllerError(
            .drift,
            "\(name) is not what the inputs give now: \(differences(agreed, plan).joined(separator: "; "))",
            remedy: remedy
        )
    }

    /// The variables that were discovered otherwise, with both values.
    private static func discoveries(_ saved: Plan, _ now: Plan) -> [String] {
        Set(saved.inputs.discovered.keys).union(now.inputs.discovered.keys).sorted().flatMap { host in
            let old = saved.inputs.discovered[host] ?? [:]
            let new = now.inputs.discovered[host] ?? [:]
            return Set(old.keys).union(new.keys).sorted().filter { old[$0] != new[$0] }.map { name in
                "\(name) of \(host) was \(old[name] ?? "not known"), now \(new[name] ?? "not known")"
            }
        }
    }

    private static func differences(_ saved: Plan, _ now: Plan) -> [String] {
        var found: [String] = []
        if saved.inputs.playbook != now.inputs.playbook { found.append("the playbook has changed") }
        if saved.inputs.inventory != now.inputs.inventory { found.append("the inventory has changed") }
        if saved.inputs.variables != now.inputs.variables { found.append("the variables of -e have changed") }
        if saved.inputs.members != now.inputs.members { found.append("the members of the cluster have changed") }
        if saved.inputs.discovered != now.inputs.discovered {
            found.append("what runs on the nodes has changed: \(discoveries(saved, now).joined(separator: ", "))")
        }
        if saved.hosts != now.hosts {
            found.append(
                "the order was \(saved.hosts.joined(separator: ", ")), now \(now.hosts.joined(separator: ", "))"
            )
        }
        return found.isEmpty ? ["its steps have changed"] : found
    }
}
