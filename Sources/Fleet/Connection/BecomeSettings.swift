// SPDX-License-Identifier: Apache-2.0

/// By what commands are run as another user on a host, in Ansible's words.
package struct BecomeSettings: Hashable, Sendable {
    /// The program's kind; each asks in its own way, and for another password.
    package enum Method: String, Sendable, CaseIterable {
        /// Asks for the password of the login user.
        case sudo
        /// Asks for the password of the user that is become.
        case su
        /// Asks for the password of the login user.
        case doas

        /// Reads a method as an inventory names it, with or without the collection that it is in.
        package init?(ansible name: String) {
            let plain = name.replacing(/^(ansible\.builtin|ansible\.legacy|community\.general)\./, with: "")
            guard let method = Method(rawValue: plain) else { return nil }
            // sudo and su are Ansible's own, doas is of its community.
            guard plain == name || name.hasPrefix("community.") == (method == .doas) else { return nil }
            self = method
        }
    }

    package var method: Method
    /// Who is become where a playbook, or nobody, says that somebody is.
    package var user: String
    /// The program, where it is not found by the method's name.
    package var program: String?
    /// What the program is told when it asks; `nil` where nobody gave a password.
    package var password: Secret?

    package init(method: Method = .sudo, user: String = "root", program: String? = nil, password: Secret? = nil) {
        self.method = method
        self.user = user
        self.program = program
        self.password = password
    }
}
