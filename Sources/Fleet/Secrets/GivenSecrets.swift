// SPDX-License-Identifier: Apache-2.0

/// The passwords that an operator gives for all hosts, beside the inventory.
///
/// A variable of the inventory wins over them, as in Ansible.
package struct GivenSecrets: Sendable {
    /// The variables of pawl's environment that hold them.
    package enum Variable {
        package static let login = "PAWL_PASSWORD"
        package static let become = "PAWL_BECOME_PASSWORD"
        package static let keyPassphrase = "PAWL_KEY_PASSPHRASE"
    }

    static let variables: Set<String> = [Variable.login, Variable.become, Variable.keyPassphrase]

    /// The login user's password.
    package var login: Secret?
    /// What `sudo`, `su` or `doas` is told.
    package var become: Secret?
    /// What opens private keys.
    package var keyPassphrase: Secret?

    package init() {}

    /// The settings with these where they have none of their own.
    package func completing(_ settings: ConnectionSettings) -> ConnectionSettings {
        var settings = settings
        settings.password = settings.password ?? login
        settings.become.password = settings.become.password ?? become
        settings.keyPassphrase = settings.keyPassphrase ?? keyPassphrase
        return settings
    }
}
