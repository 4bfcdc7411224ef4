// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Remote
import Reports
import SSH

/// `pawl exec`: one command line on many hosts.
struct ExecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Runs one command line on all hosts at once, and shows equal answers together.",
        discussion: """
            pawl exec -i inventories/prod.yaml 'systemctl is-active etcd'
            pawl exec -i inventories/prod.yaml -l etcd -b 'du -sk /var/lib/etcd'

            The command line goes to /bin/sh of each node as it is, as the login user, or with -b as another. It may change \
            the node, and is sent to each host once: where nobody saw its end, it is in doubt. There is no plan, no lock and no \
            journal; what must be proven belongs into a playbook.

            Exits with 0 when it ended with 0 on every host, with 3 when it did not and was begun on at least one, with 4 \
            when it was begun on none, with 130 when it was interrupted.
            """
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var forks: ForksOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Flag(
        name: [.customShort("b"), .long],
        help: "Run it as another user by sudo, where the inventory does not forbid it."
    )
    var become = false
    @Option(
        name: .long,
        help:
            "Whom -b runs it as (default: whom ansible.cfg names, or root). The inventory's ansible_become_user wins, as in Ansible."
    )
    var becomeUser: String?
    @Option(
        name: .long,
        help: "How long it may take on one host, as 90s or 15m (default: 5m); after that it is in doubt there.",
        transform: GraceOptions.duration
    )
    var timeout: Duration?
    @Argument(help: "The command line, in quotes.") var command: String

    mutating func validate() throws {
        guard timeout.map({ $0 >= .seconds(1) }) ?? true else { throw ValidationError("--timeout is at least 1s") }
        guard !command.allSatisfy(\.isWhitespace) else { throw ValidationError("There is no command to run.") }
        guard becomeUser == nil || become else { throw ValidationError("--become-user goes with --become (-b).") }
    }

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            let work = try FleetCommand(
                .init(
                    inventory: inventory.sources,
                    limit: inventory.limit,
                    extraVariables: variables.extraVars,
                    commandLine: command,
                    become: become ? becomeUser.map { .user($0) } ?? .asSaid : .no,
                    timeout: timeout ?? .seconds(300)
                ),
                connector: session.connector
            )
            let format = session.output
            let loops = try SSHEventLoopGroup.shared.get()
            let fanOut = forks.fanOut(over: work.hosts.count)
            let outcome = try await InterruptibleWork.run(
                saying: "no further host is begun; where the command runs it is given up, and in doubt"
            ) { await Self.perform(work, fanOut, format, on: loops) }
            if format == .text { Terminal.write(outcome.result.text(style: Terminal.traits.style)) }
            if outcome.wasInterrupted { throw ExitReason.interrupted }
            if !outcome.result.isGood { throw outcome.result.hasBegun ? ExitReason.halted : ExitReason.refused }
        }
    }

    private static func perform(
        _ work: FleetCommand,
        _ fanOut: FanOut,
        _ format: OutputOptions.Format,
        on loops: SSHEventLoopGroup
    ) async -> FleetReport {
        var report = FleetReport(hosts: work.hosts)
        let progress = Terminal.progress(over: work.hosts.count, beside: format)
        let waiter = LoopWaiter(loops)
        await progress.run {
            await work.run(fanOut) { place, answer in
                if format == .json, let line = try? FleetReport.line(answer) {
                    let code = await waiter.write(Array(line.utf8), to: STDOUT_FILENO)
                    if let code { StandardStream.output.note(lost: code) }
                }
                await progress.note(ending(answer.outcome))
                report.add(answer, at: place)
            }
        }
        return report
    }

    private static func ending(_ outcome: FleetCommand.Outcome) -> FleetProgress.Ending {
        switch outcome {
        case .ended(let reply): reply.exitCode == 0 ? .good : .failed
        case .failed, .notBegun: .notReached
        }
    }
}
