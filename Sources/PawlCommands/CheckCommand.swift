// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Reports

/// `pawl check`: can every host be reached, is sudo allowed, are the tools there.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Looks at every host: reach, sudo, tools, versions, disk, clock. Changes nothing.",
        discussion: """
            Prints one line for each thing that is wrong, which says what to do; hosts with the same trouble share one. Exits \
            with 4 when a host is not usable, with 130 when it was interrupted.
            """
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var forks: ForksOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            let check = try HostCheck(
                inventory: inventory.sources,
                limit: inventory.limit,
                extraVariables: variables.extraVars,
                connector: session.connector
            )
            let fanOut = forks.fanOut(over: check.hosts.count)
            let outcome = try await InterruptibleWork.run(saying: "no further host is looked at") {
                await Self.perform(check, fanOut, session.output)
            }
            let answers = outcome.result
            switch session.output {
            case .json: for answer in answers { Terminal.write(try line(answer)) }
            case .text:
                let report = CheckReport(answers, of: check.hosts.count)
                Terminal.write(report.text(width: Terminal.width, style: Terminal.traits.style))
            }
            if outcome.wasInterrupted { throw ExitReason.interrupted }
            if answers.contains(where: { !$0.isUsable }) { throw ExitReason.refused }
        }
    }

    private static func perform(
        _ check: HostCheck,
        _ fanOut: FanOut,
        _ format: OutputOptions.Format
    ) async -> [HostCheck.Answer] {
        let progress = Terminal.progress(over: check.hosts.count, beside: format)
        return await progress.run {
            await check.answers(fanOut) { await progress.note($0.isUsable ? .good : .failed) }
        }
    }

    private func line(_ answer: HostCheck.Answer) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(answer), as: UTF8.self) + "\n"
    }
}
