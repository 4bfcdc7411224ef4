// SPDX-License-Identifier: Apache-2.0

/// What a variable may be called.
enum VariableName {
    /// Names that the inventory sets for each host.
    ///
    /// A playbook that could change them would lie about where it runs. Ansible does not let plays or the command line
    /// change them either.
    private static let magic: Set = [
        "inventory_hostname", "inventory_hostname_short", "inventory_file", "inventory_dir", "group_names", "groups",
        "hostvars", "play_hosts", "ansible_play_hosts", "ansible_play_batch",
    ]

    /// Why a playbook or the command line may not set this name.
    static func problem(_ name: String) -> (summary: String, remedy: String?)? {
        if !Template.isName(name) {
            return ("'\(name.prefix(60))' is no name for a variable", "use letters, digits and underscores")
        }
        return magic.contains(name) ? ("'\(name)' comes from the inventory and cannot be set", nil) : nil
    }
}
