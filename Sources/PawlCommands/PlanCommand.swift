// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Rollout

/// `pawl plan`: says what would be done, changing nothing.
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Shows which step would be done on which host in which order. Changes nothing.",
        discussion: "The members are looked at, read-only, to learn who leads: the leader goes last."
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Option(name: .long, help: "Write the plan to this file, for pawl run --plan.") var out: String?
    @Argument(help: "The playbook.") var playbook: String

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            let request = RunRequest(playbook, inventory, variables)
            let loaded = try PlayLoader.load(request)
            for warning in loaded.warnings { ExitReason.say(warning.description) }
            let ways = HostDirectory(loaded, connector: session.connector)
            let (play, hosts) = try await Discovery.complete(loaded, request, over: ways)
            let survey = try await Surveyor.survey(play, hosts.readOnly())
            let opinion = await WayAdvisor.look(play, hosts.readOnly())
            await hosts.closeAll()
            let plan = Planner.plan(play, survey)
            let screen = opinion.map { WayScreen(opinion: $0, play: play, request: request) }
            if let out { try PlanFile.write(plan, to: out) }
            switch session.output {
            case .text:
                Terminal.write(PlanScreen.render(plan, width: Terminal.width))
                if let screen { Terminal.write("\n" + screen.text) }
            case .json: Terminal.write(try PlanFile.text(plan, beside: screen))
            }
        }
    }
}
