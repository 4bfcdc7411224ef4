// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal
import Reports
import Rollout

/// `pawl run`: survey, plan, ask, perform.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Performs a playbook over an inventory, one node at a time.",
        discussion: """
            Reads inventory and playbook, looks at the members, shows the plan, asks once, and performs it. Any \
            failure halts the run, puts the failing member back where that is provably safe, and says how to go on.
            """
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var grace: GraceOptions
    @OptionGroup var ssh: SSHConfigOptions
    @OptionGroup var output: OutputOptions
    @Flag(name: .long, help: "Do not ask before the first change.") var yes = false
    @Flag(name: .long, help: "Give up the run that the nodes are in the middle of, and begin this one.")
    var supersede = false
    @Option(name: .long, help: "Perform this plan file (pawl plan --out), and refuse if the inputs no longer match.")
    var plan: String?
    @Argument(help: "The playbook.") var playbook: String

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, ssh)
            let request = RunRequest(playbook, inventory, variables)
            var play = try PlayLoader.load(request)
            for warning in play.warnings { ExitReason.say(warning.description) }
            guard yes || Terminal.isInteractive else {
                throw ValidationError("Without a terminal nobody can be asked: add --yes to change the cluster.")
            }
            var hosts = HostDirectory(play, connector: session.connector)
            let survey = try await survey(&play, request, &hosts)
            let made = Planner.plan(play, survey)
            if let plan { try PlanFile.demand(made, matches: plan) }
            if !yes {
                Terminal.write(PlanScreen.render(made, width: Terminal.width))
                guard Confirmation.ask("Perform this plan?") else {
                    await hosts.closeAll()
                    throw ExitReason.refused
                }
            }
            let store = try await session.store(state, for: .writing)
            let signals = await SignalSource.install()
            let view = session.view(of: made)
            let conclusion = try await view.run {
                try await session.controller(store, state, grace: grace.duration).run(
                    made,
                    of: play,
                    request: request,
                    over: hosts,
                    locks: survey.locks,
                    superseding: supersede ? .everything : .nothing,
                    observer: view,
                    signals: signals.signals
                )
            }
            if conclusion.exitCode != 0 { throw ExitCode(conclusion.exitCode) }
        }
    }

    /// A member that does not answer may be one that another run has stopped, which is the better thing to say.
    private func survey(
        _ play: inout Play,
        _ request: RunRequest,
        _ hosts: inout HostDirectory
    ) async throws -> Survey {
        do {
            (play, hosts) = try await Discovery.complete(play, request, over: hosts)
            return try await Surveyor.survey(play, hosts.readOnly(), lockedNextFor: request)
        } catch let error as RunControllerError {
            if !supersede, error.code != .locked {
                try await RunController.demandFreeNodes(of: play, request, over: hosts)
            }
            throw error
        }
    }
}
