// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks

/// What the user asked for: the files and the command line that a run is made from.
///
/// Kept in the journal, so that a resumed run reads the same files again.
package struct RunRequest: Sendable, Hashable, Codable {
    package var playbook: String
    package var inventory: InventorySources
    package var limit: String?
    /// The arguments of `-e`, in order.
    package var extraVariables: [String]

    package init(
        playbook: String,
        inventory: InventorySources,
        limit: String? = nil,
        extraVariables: [String] = []
    ) {
        self.playbook = playbook
        self.inventory = inventory
        self.limit = limit
        self.extraVariables = extraVariables
    }
}

extension RunRequest {
    /// The same request for a machine that has none of this one's files: what `-e @FILE` names is written out.
    func portable() throws(DiagnosticsError) -> RunRequest {
        var portable = self
        portable.extraVariables = []
        portable.inventory.vaultIDs = []
        portable.inventory.ansibleConfiguration = nil
        for argument in extraVariables {
            let isFile = argument.drop(while: \.isWhitespace).hasPrefix("@")
            portable.extraVariables.append(isFile ? Value.map(try ExtraVariables.parse([argument])).json() : argument)
        }
        return portable
    }
}
