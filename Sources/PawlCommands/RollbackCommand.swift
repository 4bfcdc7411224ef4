// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal
import Remote
import Reports
import Rollout

/// `pawl rollback`: takes members back to what they were before a run.
struct RollbackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback",
        abstract: "Takes one member or the whole cluster back to its state before a run.",
        discussion: """
            A run of its own, one member at a time: it is journaled, halts at the first doubt, and `pawl resume` goes on \
            with it. Each member goes back in the way that its state allows: the whole backup when etcd was not started \
            since, else its db alone. What was written to v2 since stays. What was written to v3 since would be lost, so \
            it is refused unless --lose-v3-writes gives it up.
            """
    )

    @OptionGroup var state: StateOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Option(name: [.customShort("l"), .long], help: "Only the members whose hosts match this pattern.")
    var limit: String?
    @Flag(name: .long, help: "Do not ask before the first change.") var yes = false
    @Flag(name: .long, help: "Give up what was written to v3 since the migration; what is lost is named.")
    var loseV3Writes = false
    @Option(name: .long, help: "The playbook of the rollback (default: rollback_etcd.yaml beside the run's own).")
    var playbook: String?
    @Argument(help: "The run's id or its beginning; without it, the newest run that changed members.") var name: String?

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            guard yes || Terminal.isInteractive else {
                throw ValidationError("Without a terminal nobody can be asked: add --yes to change the cluster.")
            }
            let store = try await session.store(state, for: .writing)
            let rollback = try await RollbackPlanner(store: store, connector: session.connector).plan(
                .init(
                    run: name,
                    limit: limit,
                    extraVariables: variables.extraVars,
                    losesV3Writes: loseV3Writes,
                    playbook: playbook
                )
            )
            guard !rollback.plan.hosts.isEmpty else {
                ExitReason.say(RollbackScreen.members(of: rollback, width: nil))
                ExitReason.say("nothing to take back: every member is as it was before run \(rollback.origin.id)")
                if !rollback.closed.isEmpty { ExitReason.say(RollbackScreen.closed(of: rollback)) }
                await rollback.hosts.closeAll()
                return
            }
            if !yes {
                Terminal.write(RollbackScreen.members(of: rollback, width: Terminal.width) + "\n")
                Terminal.write(PlanScreen.render(rollback.plan, width: Terminal.width))
                guard Confirmation.ask("Take these members back?") else {
                    await rollback.hosts.closeAll()
                    throw ExitReason.refused
                }
            }
            let signals = await SignalSource.install()
            let view = session.view(of: rollback.plan)
            let conclusion = try await view.run {
                try await session.controller(store, state).run(
                    rollback.plan,
                    of: rollback.play,
                    request: rollback.request,
                    over: rollback.hosts,
                    superseding: .run(rollback.origin.id),
                    observer: view,
                    signals: signals.signals
                )
            }
            throw ExitCode(conclusion.exitCode)
        }
    }
}

/// What a rollback found of the members.
enum RollbackScreen {
    /// Who opens ports where there is nothing to take back.
    static func closed(of rollback: Rollback) -> String {
        let playbook = rollback.request.playbook.replacing("rollback_etcd.yaml", with: "thaw_etcd.yaml")
        let words = rollback.request.inventory.arguments + ["--supersede", playbook]
        return
            "the client ports of \(rollback.closed.joined(separator: ", ")) were closed by that run, and nothing is at "
            + "work that opens them; `pawl resume \(rollback.origin.id)` goes on with it, and this gives it up and opens "
            + "them: pawl run \(ShellQuoting.line(words))"
    }

    static func members(of rollback: Rollback, width: Int?) -> String {
        let table = Table(
            columns: [.init("host"), .init("taken back"), .init("found")],
            rows: rollback.members.map { [$0.host, $0.isWanted ? "yes" : "no", $0.found] }
        )
        return "Run \(rollback.origin.id) of \(rollback.origin.playbookPath)\n" + table.render(width: width)
    }
}
