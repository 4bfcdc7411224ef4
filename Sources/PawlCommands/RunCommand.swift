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
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Flag(name: .long, help: "Do not ask before the first change.") var yes = false
    @Flag(name: .long, help: "Give up the run that the nodes are in the middle of, and begin this one.")
    var supersede = false
    @Option(name: .long, help: "Perform this plan file (pawl plan --out), and refuse if the inputs no longer match.")
    var plan: String?
    @Option(
        name: .long,
        help: """
            Roll each of these groups as a cluster of its own: a name, a glob as 'etcd_*', or several with commas. May be \
            given several times.
            """
    )
    var each: [String] = []
    @Option(
        name: .long,
        help: """
            How many of the clusters of --each are rolled side by side (default: 1, so that what is wrong with all of them is \
            seen on the first).
            """
    )
    var parallel: Int?
    @Flag(name: .long, help: "Begin further clusters of --each also after one did not come to its end.")
    var keepGoing = false
    @Argument(help: "The playbook.") var playbook: String

    mutating func validate() throws {
        guard !each.isEmpty || (parallel == nil && !keepGoing) else {
            throw ValidationError("--parallel and --keep-going go with --each.")
        }
        guard each.isEmpty || (inventory.limit == nil && plan == nil) else {
            throw ValidationError(
                "--each says which hosts and makes several plans: it does not go with --limit or --plan."
            )
        }
        guard parallel.map({ (1...100).contains($0) }) ?? true else {
            throw ValidationError("--parallel is from 1 to 100.")
        }
    }

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            guard each.isEmpty else { return try await runEach(session) }
            let prepared = try await PreparedRun.prepare(
                RunRequest(playbook, inventory, variables),
                superseding: supersede,
                connector: session.connector
            ) { play in
                for warning in play.warnings { ExitReason.say(warning.description) }
                try demandConsent()
            }
            let made = prepared.plan
            if let plan { try PlanFile.demand(made, matches: plan) }
            if !yes {
                Terminal.write(PlanScreen.render(made, width: Terminal.width))
                guard Confirmation.ask("Perform this plan?") else {
                    await prepared.hosts.closeAll()
                    throw ExitReason.refused
                }
            }
            let store = try await session.store(state, for: .writing)
            let signals = await SignalSource.install()
            let view = session.view(of: made)
            let conclusion = try await view.run {
                try await session.controller(store, state, grace: grace.duration).run(
                    made,
                    of: prepared.play,
                    request: prepared.request,
                    over: prepared.hosts,
                    locks: prepared.locks,
                    superseding: supersede ? .everything : .nothing,
                    observer: view,
                    signals: signals.signals
                )
            }
            throw ExitCode(conclusion.exitCode)
        }
    }

    /// Without a terminal nobody can be asked.
    private func demandConsent() throws {
        guard yes || Terminal.isInteractive else {
            throw ValidationError("Without a terminal nobody can be asked: add --yes to change the cluster.")
        }
    }

    private func runEach(_ session: Session) async throws {
        try demandConsent()
        let roll = ClusterRoll(
            session: session,
            state: state,
            grace: grace.duration,
            isSuperseding: supersede,
            width: parallel ?? 1,
            keepsGoing: keepGoing,
            isAgreed: yes
        )
        let clusters = try await roll.preview(RunRequest(playbook, inventory, variables), groups: each)
        if !yes {
            for cluster in clusters {
                Terminal.write("=== \(cluster.group)\n" + PlanScreen.render(cluster.plan, width: Terminal.width) + "\n")
            }
            guard Confirmation.ask("Perform these \(clusters.count) plans?") else { throw ExitReason.refused }
        }
        let code = try await roll.perform(clusters)
        throw ExitCode(code)
    }
}
