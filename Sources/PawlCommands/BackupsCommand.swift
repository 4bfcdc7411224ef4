// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal
import Reports

/// `pawl backups`: which backups the nodes hold, and whether they are sound.
struct BackupsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backups",
        abstract: "Lists the backups on the nodes, and with --verify reads each whole. Changes nothing.",
        discussion: """
            Looks into `backup_dir` of each host (inventory or -e; /var/backups/pawl without it), and where the runs of \
            this state directory put backups. Exits with 4 when one is damaged or a host cannot be asked.
            """
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Option(name: .long, help: "Look into this directory of each node alone.") var dir: String?
    @Flag(name: .long, help: "Read every backup whole and compare it with its manifest.") var verify = false

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            var store: (any RunStore)?
            do throws(JournalError) {
                store = try await session.store(state, for: .reading)
            } catch {
                // Without a journal there are backups all the same.
                if error.code != .notFound { throw error }
            }
            let survey = try await BackupSurvey(
                .init(
                    inventory: inventory.sources,
                    limit: inventory.limit,
                    extraVariables: variables.extraVars,
                    directory: dir,
                    verifies: verify
                ),
                store: store,
                connector: session.connector
            )
            let findings = await survey.findings { ExitReason.say($0) }
            switch session.output {
            case .json: for finding in findings { Terminal.write(try BackupsScreen.line(finding)) }
            case .text: Terminal.write(BackupsScreen.text(findings, width: Terminal.width))
            }
            if findings.contains(where: \.isBad) { throw ExitReason.refused }
        }
    }
}

/// Backups as rows and as JSON.
enum BackupsScreen {
    static func text(_ findings: [BackupSurvey.Finding], width: Int?) -> String {
        let table = Table(
            columns: [
                .init("host"), .init("state"), .init("created"), .init("run"), .init("size"), .init("files"),
                .init("kept for"), .init("path", flexible: false),
            ],
            rows: findings.map { finding in
                [
                    finding.host, finding.state.rawValue, finding.created ?? "-", finding.run ?? "-",
                    finding.bytes.map { Int64($0).formatted(.byteCount(style: .binary)) } ?? "-",
                    finding.files.map(String.init) ?? "-", finding.neededBy.map { "open run \($0)" } ?? "-",
                    finding.path ?? "-",
                ]
            }
        )
        let problems = findings.compactMap { finding in finding.problem.map { "\(finding.host): \($0)\n" } }.joined()
        let count = findings.count { [.complete, .sound, .damaged].contains($0.state) }
        let bad = findings.count(where: \.isBad)
        return table.render(width: width) + "\n" + (problems.isEmpty ? "" : "\n" + problems)
            + "\(count) backups" + (bad == 0 ? "" : ", \(bad) findings to look after") + "\n"
    }

    static func line(_ finding: BackupSurvey.Finding) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(finding), as: UTF8.self) + "\n"
    }
}
