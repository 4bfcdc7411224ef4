// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Foundation
import Journal

/// `pawl journal`: the journal as other programs read it.
struct JournalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "The journal as other programs read it.",
        subcommands: [Export.self]
    )

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "export",
            abstract: "Prints everything that is known of a run, as JSON Lines.",
            discussion: "The run with its plan, then each intent and outcome, then each fact, in their order."
        )

        @OptionGroup var state: StateOptions
        @Option(name: .long, help: "Write to this file (0600) instead of stdout.") var out: String?
        @Argument(help: "The run's id or its beginning; without it, the newest run.") var name: String?

        func run() async throws {
            try await ExitReason.reporting {
                let store = try await SQLiteRunStore.open(state.directory, for: .reading)
                let newest = name == nil ? try await store.runs().first?.id : nil
                guard let run = name ?? newest else {
                    throw RunControllerError(.unknownRun, "there is no run in \(state.directory.path)")
                }
                let text = try await JournalExport(run, from: store).lines()
                guard let out else { return Terminal.write(String(decoding: text, as: UTF8.self)) }
                try write(text, to: out)
            }
        }

        /// A plan may name paths and hosts that are nobody else's business.
        private func write(_ text: Data, to path: String) throws {
            let file = URL(filePath: path)
            try text.write(to: file, options: .atomic)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        }
    }
}
