// SPDX-License-Identifier: Apache-2.0

/// The variables of an inventory that hold secrets, by their names in Ansible.
///
/// Where several names say the same, the last that is set counts, as in Ansible's plugins.
package enum SecretVariables {
    /// The login user's password.
    static let login = ["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"]
    /// What opens private keys.
    static let keyPassphrase = ["ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase"]

    /// What `sudo`, `su` or `doas` is told.
    static func become(_ method: BecomeSettings.Method) -> [String] {
        ["ansible_become_password", "ansible_become_pass", "ansible_\(method)_pass"]
    }

    /// All of them.
    package static let all = Set(login + keyPassphrase + BecomeSettings.Method.allCases.flatMap(become))
}
