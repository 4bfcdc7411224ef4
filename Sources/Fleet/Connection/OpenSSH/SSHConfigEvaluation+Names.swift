// SPDX-License-Identifier: Apache-2.0

extension SSHConfigEvaluation {
    /// Refuses hosts and users of the inventory, or of whoever asks, in which a shell would see more than a name.
    ///
    /// To be asked when the options are taken and before a file is: a user whom a file names is its owner's word.
    mutating func refuseNamesOfShells(_ destination: String, at location: SourceLocation?) {
        let asked = Given(words: [destination], rest: destination, location: location)
        refuse(host: destination, asked, "host", "correct the host's name, or ansible_host")
        if let given = self["user"] { refuse(user: given.text, given) }
        guard let given = self["proxyjump"] else { return }
        for hop in SSHJump.hops(given.rest) {
            if let user = hop.user { refuse(user: user, given) }
            refuse(host: hop.host, given, "hop", "correct the hop's name")
        }
    }

    private mutating func refuse(host name: String, _ given: Given, _ what: String, _ remedy: String) {
        guard let problem = SSHNameRules.problem(withHost: name) else { return }
        refuse(given, "the \(what) `\(SSHNameRules.shown(name))` \(problem); \(Self.reason)", remedy)
    }

    private mutating func refuse(user name: String, _ given: Given) {
        guard let problem = SSHNameRules.problem(withUser: name) else { return }
        refuse(
            given,
            "the user `\(SSHNameRules.shown(name))` \(problem); \(Self.reason)",
            "correct the user's name, or name one that is right by User in ~/.ssh/config"
        )
    }

    private static let reason =
        "as ssh, pawl refuses it, because a command of the SSH configuration may give it to a shell"
}
