// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Reports

/// `pawl verify`: the playbook's postflight by itself.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Runs the postflight of a playbook by itself: is every member right? Changes nothing.",
        discussion: """
            For the migration: hashkv equal on all members, and the v2 and v3 stores equal key by key at the revision \
            that the migration left. The latter holds until that revision is compacted.
            """
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The playbook.") var playbook = "playbooks/migrate_etcd_v2_to_v3.yaml"

    func run() async throws {
        try await ExitReason.reporting {
            let session = try Session(output, connection)
            let request = RunRequest(playbook, inventory, variables)
            let loaded = try PlayLoader.load(request)
            let ways = HostDirectory(loaded, connector: session.connector)
            let (play, complete) = try await Discovery.complete(loaded, request, over: ways)
            let hosts = complete.readOnly()
            let verification = Verification(play, request)
            let signals = await SignalSource.install()
            let view = session.view(of: verification.plan)
            let conclusion = try await view.run {
                try await verification.run(over: hosts, observer: view, signals: signals.signals)
            }
            if conclusion.exitCode != 0 { throw ExitCode(conclusion.exitCode) }
        }
    }
}
