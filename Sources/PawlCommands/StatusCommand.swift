// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal
import Reports
import Rollout

/// `pawl status`: where a run stands, from the journal or from the nodes, and how to go on.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows where a run stands: each step that was begun, how it ended, and what to do next.",
        discussion: """
            Reads the journal only; with -i it asks the nodes instead, each of which carries the run that it is in. \
            `pawl verify` looks at the members themselves.
            """
    )

    @OptionGroup var nodes: NodeOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The run's id or its beginning; without it, the newest run.") var name: String?

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, nodes.inventory.isEmpty ? nil : connection)
            guard nodes.inventory.isEmpty else { return try await showNodes(session) }
            let store = try await session.store(state, for: .reading)
            let record: RunRecord?
            if let name { record = try await store.run(name) } else { record = try await store.runs().first }
            guard let record else {
                throw RunControllerError(.unknownRun, "there is no such run in \(state.directory.path)")
            }
            let steps = try await store.records(of: record.id)
            switch session.output {
            case .json:
                Terminal.write(try RunListing.line(record))
                for step in steps { Terminal.write(try RunDetails.line(step)) }
            case .text:
                Terminal.write(RunListing.table([record]).render(width: Terminal.width) + "\n")
                Terminal.write(try RunDetails.text(record, steps, width: Terminal.width))
                if !record.state.isEnded {
                    Terminal.write("\nGo on with: pawl resume \(record.id)\(state.words)\n")
                }
            }
        }
    }

    /// What each node says of the run that it is in.
    private func showNodes(_ session: Session) async throws {
        let ways = try NodeWay.all(inventory: nodes.sources, limit: nodes.limit, connector: session.connector)
        let round = await ReplicaRound.ask(ways)
        await NodeWay.close(ways)
        let status = NodeStatus(round: round, nodes: ways.map(\.name), name: name)
        switch session.output {
        case .json: for line in try status.lines() { Terminal.write(line) }
        case .text:
            Terminal.write(try status.text(width: Terminal.width))
            for run in status.openRuns {
                Terminal.write("\nGo on with: pawl resume \(nodes.words) \(run)\(state.words)\n")
            }
        }
        for error in round.unreachable { ExitReason.say("error: \(error)") }
        if round.unreachable.count == ways.count { throw ExitReason.refused }
    }
}

/// The steps of one run as rows and as JSON.
enum RunDetails {
    static func text(_ run: RunRecord, _ records: [StepRecord], width: Int?) throws -> String {
        let plan = try JSONDecoder().decode(Plan.self, from: Data(run.planJSON.utf8))
        let newest = Dictionary(records.map { ($0.step, $0) }, uniquingKeysWith: { _, later in later })
        let begun = plan.steps.filter { newest[$0.id.text] != nil }
        let rows = begun.map { step -> [String] in
            let record = newest[step.id.text]
            return [
                step.host ?? "*", step.name, word(record), record.map { RunListing.time($0.at) } ?? "",
                record?.message.split(separator: "\n").first.map(String.init) ?? "",
            ]
        }
        let table = Table(
            columns: [.init("host"), .init("step"), .init("state"), .init("at"), .init("what")],
            rows: rows
        )
        return table.render(width: width) + "\n\(begun.count) of \(plan.steps.count) steps begun\n"
    }

    private static func word(_ record: StepRecord?) -> String {
        switch (record?.kind, record?.status) {
        case (.intent?, _), (.undoIntent?, _): "in doubt"
        case (_, let status?): status.rawValue
        default: "-"
        }
    }

    static func line(_ record: StepRecord) throws -> String {
        var fields = record.values
        fields["step"] = record.step
        fields["host"] = record.host
        fields["kind"] = record.kind.rawValue
        fields["status"] = record.status?.rawValue
        fields["message"] = record.message.isEmpty ? nil : record.message
        fields["remedy"] = record.remedy
        fields["attempt"] = String(record.attempt)
        fields["at"] = RunListing.time(record.at)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(fields), as: UTF8.self) + "\n"
    }
}
