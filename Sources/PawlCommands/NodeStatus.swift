// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Journal
import Remote
import Reports
import Rollout

/// What the nodes say of the runs that they are in, as rows and as JSON.
struct NodeStatus {
    let round: ReplicaRound
    /// The nodes that were asked, in inventory order.
    let nodes: [String]
    /// The run's id or its beginning; `nil` for all.
    let name: String?

    /// One file of one node, in words.
    private struct Row: Encodable {
        var host: String
        var run: String?
        var state: String
        var step: String?
        var stepName: String?
        var attempt: Int?
        var exitCode: Int?
        var at: String?
        var controller: String?
        var problem: String?
    }

    /// Runs that can be gone on with.
    var openRuns: [String] { round.open.keys.filter(isMeant).sorted() }

    private func isMeant(_ run: String) -> Bool { name.map(run.hasPrefix) ?? true }

    // MARK: - Text

    func text(width: Int?) throws -> String {
        let rows = rows
        let table = Table(
            columns: [
                .init("node"), .init("run"), .init("state"), .init("step"), .init("since"), .init("controller"),
            ],
            rows: rows.map { row in
                [
                    row.host, row.run ?? "-", row.problem.map { "\(row.state): \($0)" } ?? row.state,
                    row.stepName.map { "\($0) (\(row.step ?? ""))" } ?? row.step ?? "", row.at ?? "",
                    row.controller ?? "",
                ]
            }
        )
        var text = table.render(width: width) + "\n"
        for run in openRuns {
            guard let joined = RunReplica.joined((round.open[run] ?? []).map(\.replica)) else {
                text += "\nRun \(run) went on in two places; what the nodes carry of it contradicts itself.\n"
                continue
            }
            text += "\nRun \(run), as the newest of the nodes knows it:\n"
            text += try RunDetails.text(joined.run, joined.records, width: width)
        }
        return text
    }

    func lines() throws -> [String] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return try rows.map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }
    }

    // MARK: - Rows

    private var rows: [Row] {
        nodes.flatMap { node -> [Row] in
            if let error = round.unreachable.first(where: { $0.host == node }) {
                return [Row(host: node, state: "unreachable", problem: error.message)]
            }
            let mine = round.findings.filter { $0.host == node }.compactMap(row)
            return mine.isEmpty ? [Row(host: node, state: "in no run")] : mine
        }
    }

    private func row(_ finding: ReplicaRound.Finding) -> Row? {
        switch finding.content {
        case .unreadable(let error):
            return Row(host: finding.host, state: "unreadable", problem: "\(finding.path): \(error.message)")
        case .marker(let marker):
            guard isMeant(marker.run) else { return nil }
            return Row(
                host: finding.host,
                run: marker.run,
                state: marker.state.rawValue,
                at: RunListing.time(marker.at),
                controller: "\(marker.writer)",
                problem: marker.reason
            )
        case .replica(let replica):
            guard isMeant(replica.run.id) else { return nil }
            let entry = replica.entry
            return Row(
                host: finding.host,
                run: replica.run.id,
                state: state(of: replica),
                step: entry.step,
                stepName: stepName(of: replica),
                attempt: entry.attempt,
                exitCode: replica.exitCode,
                at: RunListing.time(entry.at),
                controller: "\(entry.writer)"
            )
        }
    }

    /// A replica of a run that another node knows to have ended is what that end did not reach.
    private func state(of replica: RunReplica) -> String {
        if let marker = round.ended[replica.run.id] { return "\(marker.state.rawValue), not told here" }
        switch replica.entry.occasion {
        case .halted: return "halted"
        case .interrupted: return "interrupted"
        case .performing: return replica.exitCode.map { "command ended with \($0)" } ?? "begun, no end seen"
        case .undoing: return replica.exitCode.map { "taking back ended with \($0)" } ?? "being taken back, no end seen"
        }
    }

    private func stepName(of replica: RunReplica) -> String? {
        guard let step = replica.entry.step,
            let plan = try? JSONDecoder().decode(Plan.self, from: Data(replica.run.planJSON.utf8))
        else { return nil }
        return plan.steps.first { $0.id.text == step }?.name
    }
}
