// SPDX-License-Identifier: Apache-2.0

/// Where an inventory is read from, as the user named it: files, directories, programs, lists of hosts.
package struct InventorySources: Sendable, Hashable, Codable, ExpressibleByArrayLiteral {
    /// What `-i` names, in order; later ones override.
    package var paths: [String]
    /// What opens that which Ansible Vault encrypted in them: `FILE` or `LABEL@FILE`, as `--vault-id` takes it.
    ///
    /// The names of files and programs and no secrets, so that a run can be gone on with by the same.
    package var vaultIDs: [String]
    /// The `ansible.cfg` that says of how hosts are reached what the inventory does not; nil for none.
    package var ansibleConfiguration: String?

    package init(_ paths: [String] = [], vaultIDs: [String] = [], ansibleConfiguration: String? = nil) {
        self.paths = paths
        self.vaultIDs = vaultIDs
        self.ansibleConfiguration = ansibleConfiguration
    }

    package init(arrayLiteral paths: String...) {
        self.init(paths)
    }

    /// The words of a command line that name the same sources.
    package var arguments: [String] {
        paths.flatMap { ["-i", $0] } + vaultIDs.flatMap { ["--vault-id", $0] }
    }
}
