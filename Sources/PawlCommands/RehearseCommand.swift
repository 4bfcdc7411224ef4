// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation

/// `pawl rehearse`: the migration on copies, thrown away afterwards.
struct RehearseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rehearse",
        abstract:
            "Migrates copies of all members, tells what a run would lose and how long it takes. Touches no service.",
        discussion: """
            On one member after the other, while they serve and also while clients write: WAL and snapshots are copied, the \
            copy is cut at one raft index for all members and migrated, etcd is started on it without any network, and all of \
            it is removed again, also when the rehearsal is interrupted. The members' results must be equal, also those \
            of a transformer.

            Exits with 0 when a run would migrate everything, with 4 when it would be refused or lose something, with 5 \
            while a run is at work on the cluster.
            """
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Option(name: .long, help: "Where the copies go on each node (default: beside the data directory).")
    var scratch: String?
    @Flag(name: .customLong("no-ttl"), help: "As a run with migrate_no_ttl: leave out keys that expire.")
    var noTTL = false
    @Option(
        name: .long,
        help: "What every key goes through, as in a run with migrate_transformer (default: that variable)."
    )
    var transformer: String?
    @Option(
        name: .long,
        help: "How long the rehearsal may take on one member, as 90s or 15m (default: 30m).",
        transform: GraceOptions.duration
    )
    var timeout: Duration?

    mutating func validate() throws {
        guard timeout.map({ $0 >= .seconds(10) }) ?? true else { throw ValidationError("--timeout is at least 10s") }
        guard scratch?.hasPrefix("/") ?? true else {
            throw ValidationError("--scratch is the absolute path of a directory on the nodes")
        }
        guard transformer.map({ $0.isEmpty || $0.hasPrefix("/") }) ?? true else {
            throw ValidationError("--transformer is the absolute path of a program on the nodes")
        }
    }

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            let survey = try RehearsalSurvey(
                .init(
                    inventory: inventory.sources,
                    limit: inventory.limit,
                    extraVariables: variables.extraVars,
                    scratch: scratch,
                    noTTL: noTTL,
                    transformer: transformer,
                    timeout: timeout ?? .seconds(1800)
                ),
                connector: session.connector
            )
            let report = try await survey.rehearse { ExitReason.say($0) }
            switch session.output {
            case .json: Terminal.write(try RehearsalScreen.line(report))
            case .text: Terminal.write(RehearsalScreen.text(report, width: Terminal.width))
            }
            if !report.isClean { throw ExitReason.refused }
        }
    }
}
