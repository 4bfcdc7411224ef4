// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Foundation
import Journal
import Reports

/// `pawl runs`: what this state directory knows of.
struct RunsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs",
        abstract: "Lists the runs of this state directory, newest first."
    )

    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, nil)
            let runs = try await session.store(state, for: .reading).runs()
            switch session.output {
            case .json:
                for run in runs { Terminal.write(try RunListing.line(run)) }
            case .text:
                guard !runs.isEmpty else {
                    ExitReason.say("no runs in \(state.directory.path)")
                    return
                }
                Terminal.write(RunListing.table(runs).render(width: Terminal.width) + "\n")
            }
        }
    }
}

/// Runs as rows and as JSON.
enum RunListing {
    static func table(_ runs: [RunRecord]) -> Table {
        Table(
            columns: [
                .init("run"), .init("state"), .init("exit"), .init("began"), .init("playbook"), .init("inventory"),
            ],
            rows: runs.map { run in
                [
                    run.id, run.state.rawValue, run.exitCode.map(String.init) ?? "-", time(run.createdAt),
                    run.playbookPath, run.inventoryPaths.joined(separator: ", "),
                ]
            }
        )
    }

    static func line(_ run: RunRecord) throws -> String {
        let fields: [String: String] = [
            "run": run.id,
            "state": run.state.rawValue,
            "began": time(run.createdAt),
            "ended": run.endedAt.map(time) ?? "",
            "exit_code": run.exitCode.map(String.init) ?? "",
            "playbook": run.playbookPath,
            "inventory": run.inventoryPaths.joined(separator: ", "),
            "plan_digest": run.planDigest,
            "controller": "\(run.controllerHost):\(run.controllerPID)",
        ]
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(fields.filter { !$0.value.isEmpty }), as: UTF8.self) + "\n"
    }

    static func time(_ date: Date) -> String { date.formatted(.iso8601) }
}
