// SPDX-License-Identifier: Apache-2.0

import Actions
import ArgumentParser
import Playbooks

/// `pawl actions`: the reference of what a playbook may write.
struct ActionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "actions",
        abstract: "Prints the reference of the actions and their parameters, in Markdown."
    )

    func run() async throws {
        try await ExitReason.reporting {
            Terminal.write(ActionReference.markdown(for: ActionRegistry.schemas))
        }
    }
}
