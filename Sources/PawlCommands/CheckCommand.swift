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
        abstract: "Looks at every host: reach, sudo, tools, versions, disk, clock. Changes nothing."
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var ssh: SSHConfigOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, ssh)
            let answers = try await HostCheck.all(
                inventory: inventory.sources,
                limit: inventory.limit,
                extraVariables: variables.extraVars,
                connector: session.connector
            )
            switch session.output {
            case .json: for answer in answers { Terminal.write(try line(answer)) }
            case .text: Terminal.write(text(answers))
            }
            if answers.contains(where: { !$0.isUsable }) { throw ExitReason.refused }
        }
    }

    private func text(_ answers: [HostCheck.Answer]) -> String {
        let rows = answers.map { answer in
            [
                answer.host, answer.isUsable ? "ok" : "FAILED", answer.user ?? "-", answer.etcd ?? "-",
                answer.etcdctl ?? "-", answer.freeSpace ?? "-",
                answer.problems.isEmpty ? "" : answer.problems[0].message,
            ]
        }
        let table = Table(
            columns: [
                .init("host"), .init("state"), .init("runs as"), .init("etcd"), .init("etcdctl"),
                .init("free for backups"), .init("what is wrong"),
            ],
            rows: rows
        )
        let more = answers.flatMap { answer in
            answer.problems.map { problem in
                "\(answer.host): \(problem.message)" + (problem.remedy.map { "\n    \($0)" } ?? "") + "\n"
            }
        }
        let bad = answers.count { !$0.isUsable }
        let verdict =
            bad == 0 ? "\(answers.count) hosts, all usable" : "\(bad) of \(answers.count) hosts are not usable"
        return table.render(width: Terminal.width) + "\n" + (more.isEmpty ? "" : "\n" + more.joined()) + verdict + "\n"
    }

    private func line(_ answer: HostCheck.Answer) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(answer), as: UTF8.self) + "\n"
    }
}
