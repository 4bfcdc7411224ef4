// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal
import Reports

/// `pawl resume`: goes on with a run that did not end.
struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Goes on with a halted, interrupted or killed run, looking at the nodes first.",
        discussion: """
            What was attempted comes from the journal; what is true is observed anew on the nodes. A step whose end \
            nobody saw is found to be done, or not begun, or it is taken back before it is done again.

            With -i the run is taken from the nodes themselves, which carry it: for a machine or a state directory \
            that has no journal of it. Where journal and nodes disagree, nothing is done (exit 6).
            """
    )

    @OptionGroup var nodes: NodeOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var grace: GraceOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The run's id or its beginning; without it, the newest run that is open.") var name: String?

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            let store = try await session.store(state, for: .writing)
            let controller = session.controller(store, state, grace: grace.duration)
            let open = try await open(with: controller)
            let signals = await SignalSource.install()
            let view = session.view(of: open.plan, done: open.doneSteps)
            let conclusion = try await view.run {
                try await controller.resume(open, observer: view, signals: signals.signals)
            }
            throw ExitCode(conclusion.exitCode)
        }
    }

    private func open(with controller: RunController) async throws -> OpenRun {
        if nodes.inventory.isEmpty { return try await controller.open(name) }
        return try await controller.open(
            name,
            from: nodes.sources,
            limit: nodes.limit,
            keepingPlaybooksIn: state.directory.appending(path: "playbooks")
        )
    }
}
