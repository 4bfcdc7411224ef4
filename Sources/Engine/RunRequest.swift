// SPDX-License-Identifier: Apache-2.0

/// What the user asked for: the files and the command line that a run is made from.
///
/// Kept in the journal, so that a resumed run reads the same files again.
package struct RunRequest: Sendable, Hashable, Codable {
    package var playbook: String
    package var inventory: [String]
    package var limit: String?
    /// The arguments of `-e`, in order.
    package var extraVariables: [String]

    package init(playbook: String, inventory: [String], limit: String? = nil, extraVariables: [String] = []) {
        self.playbook = playbook
        self.inventory = inventory
        self.limit = limit
        self.extraVariables = extraVariables
    }
}
