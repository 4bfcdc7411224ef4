// SPDX-License-Identifier: Apache-2.0

/// What the inventory says of how one host is reached and as whom, read from its variables as Ansible reads them.
///
/// It is as a command line of `ssh`: what it leaves open, the SSH configuration may say (``SSHConfig``).
package struct ConnectionSettings: Hashable, Sendable {
    /// The name in the inventory.
    package var name: String
    /// What `ssh` would be asked to connect to: an alias of the SSH configuration, a host name or an address.
    package var address: String
    /// Where the address was said; `nil` where no file did.
    var addressLocation: SourceLocation?
    /// In the order in which `ssh` would read them.
    var options: [SSHConfigDirective]
    /// The files that are read in the place of the usual ones, from `-F`.
    var configuration: SSHConfig.Source?
    /// Whom commands run as; `nil` for the login user.
    package var becomeUser: String?
    /// By what they come to run as somebody else, also where the playbook says that they do.
    package var become = BecomeSettings()
    /// The login user's password.
    package var password: Secret?
    /// What opens the private keys.
    package var keyPassphrase: Secret?

    /// A host that no inventory says anything of.
    ///
    /// - Parameters:
    ///   - destination: what `ssh` would be asked to connect to.
    ///   - user: whom to log in as; `nil` for whom the configuration says.
    package init(destination: String, user: String? = nil) {
        name = destination
        address = destination
        options = [user.flatMap { SSHConfigDirective("User", $0, at: nil) }].compactMap(\.self)
    }

    /// A host that no inventory says anything of, as `ssh` is asked for it: `[user@]host` or `ssh://[user@]host[:port]`.
    ///
    /// - Throws: what is wrong with a URI.
    package init(asked text: String) throws(DiagnosticsError) {
        guard text.hasPrefix("ssh://") else {
            let at = text.lastIndex(of: "@").flatMap { $0 > text.startIndex ? $0 : nil }
            let host = at.map { String(text[text.index(after: $0)...]) }
            self.init(destination: host ?? text, user: at.map { String(text[..<$0]) })
            return
        }
        guard let place = SSHJump(uri: text) else {
            throw DiagnosticsError([
                Diagnostic(at: nil, "`\(text)` is no place that ssh goes to", remedy: "write ssh://user@host:port")
            ])
        }
        self.init(destination: place.host, user: place.user)
        options += [place.port.flatMap { SSHConfigDirective("Port", String($0), at: nil) }].compactMap(\.self)
    }

    /// Reads the settings from a host's variables.
    ///
    /// - Parameters:
    ///   - host: The host with its merged variables.
    ///   - resolve: Puts values in the place of the templates of a text. It is asked for texts that hold `{{` only, and
    ///     what it leaves unresolved is an error.
    ///   - secret: Opens the variable of a password; without it passwords are left alone.
    /// - Throws: ``DiagnosticsError`` with everything that is wrong, at the places where the variables were set.
    package init(
        host: InventoryHost,
        resolve: (String) throws(DiagnosticsError) -> String = { text throws(DiagnosticsError) in text },
        secret: (String) throws(DiagnosticsError) -> Secret? = { _ throws(DiagnosticsError) in nil }
    ) throws(DiagnosticsError) {
        var reader = ConnectionVariables(host: host, resolve: resolve)
        reader.refuseOtherTransports()
        name = host.name
        address = reader.text("ansible_host", "ansible_ssh_host") ?? host.name
        addressLocation = reader.place("ansible_host", "ansible_ssh_host")
        // The order of Ansible's SSH plugin. The first value counts, so what stands first wins.
        var line = SSHOptions()
        reader.read("ansible_ssh_args", into: &line)
        line.add(reader.options())
        reader.read("ansible_ssh_common_args", into: &line)
        reader.read("ansible_ssh_extra_args", into: &line)
        options = line.directives
        configuration = line.configuration.map { SSHConfig.Source(SourceFile.expanded($0)) }
        let method = reader.becomeMethod()
        become = BecomeSettings(
            method: method,
            user: reader.becomeUser(method),
            program: reader.becomeProgram(method),
            password: reader.secret(SecretVariables.become(method), secret)
        )
        becomeUser = reader.isBecomeWanted == true ? become.user : nil
        password = reader.secret(SecretVariables.login, secret)
        keyPassphrase = reader.secret(SecretVariables.keyPassphrase, secret)
        if !reader.problems.isEmpty { throw DiagnosticsError(reader.problems) }
    }
}
