// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import SSH

/// The program: its name, its version, its commands.
package struct PawlCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "pawl",
        abstract:
            "Rolls a change through a cluster one node at a time, proving each step, and halts at the first doubt.",
        discussion: """
            pawl check -i inventories/prod.yaml
            pawl plan  -i inventories/prod.yaml playbooks/migrate_etcd_v2_to_v3.yaml
            pawl run   -i inventories/prod.yaml playbooks/migrate_etcd_v2_to_v3.yaml

            Exit codes: 0 done and verified, 1 unexpected error, 3 halted (at least one node was changed), 4 refused \
            (nothing was changed), 5 locked by another controller, 6 drift, 64 wrong usage, 65 inventory or playbook \
            invalid, 74 the result could not be written to stdout, 130 interrupted at a safe point.
            """,
        version: version,
        subcommands: [
            CheckCommand.self, ExecCommand.self, RehearseCommand.self, PlanCommand.self, RunCommand.self,
            ResumeCommand.self,
            RollbackCommand.self,
            StatusCommand.self, RunsCommand.self, BackupsCommand.self, JournalCommand.self, UnlockCommand.self,
            VerifyCommand.self, InventoryCommand.self, SSHConfigCommand.self, ActionsCommand.self, LabCommand.self,
        ]
    )

    static let version = "0.1.0"

    package init() {}

    /// Reads the command line and runs the command; ends the process with its exit code.
    ///
    /// The main thread, which would only wait, serves the sessions meanwhile.
    package static func start() -> Never {
        StandardStream.openClosed()
        SSHEventLoopGroup.willBeServedByMainThread()
        // The one task that belongs to no other: the program.
        Task.detached {
            await main()
            Foundation.exit(0)
        }
        SSHEventLoopGroup.serve()
    }
}
