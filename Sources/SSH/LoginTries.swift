// SPDX-License-Identifier: Apache-2.0

import Remote

/// What was tried to get in, and what helps against what came of it.
struct LoginTries {
    /// What is to be done so that the next try gets further.
    enum Cure: Hashable {
        /// The key on record is not the server's.
        case record
        /// The key's file is to be written in a cipher that libssh2 reads.
        case cipher(file: String)
        /// The key's file cannot be read, or is in another form.
        case file(String)
        /// The passphrase is missing or wrong.
        case passphrase
        /// Another type of key is needed.
        case keyType
        /// The password is to be changed first.
        case passwordChange
        /// The server asks for what pawl cannot know.
        case question
        /// The server must know the key or the password.
        case admission
    }

    /// Whom and what the remedies name.
    struct Login {
        var user: String
        var address: String
        var recordName: String
        var recordFile: String
    }

    private(set) var words: [String] = []
    private(set) var cures: [Cure] = []
    /// How often the server said no.
    private(set) var refusals = 0
    /// What the server is looking at.
    var current: String?

    var text: String { words.joined(separator: "; ") }

    /// Notes what came of one way.
    mutating func note(_ word: String, _ cure: Cure? = nil) {
        words.append(word)
        if let cure, !cures.contains(cure) { cures.append(cure) }
    }

    /// Notes what the server did not take.
    mutating func note(refused word: String, _ cure: Cure = .admission) {
        refusals += 1
        note(word, cure)
    }

    /// What helps where nothing was taken.
    func remedy(_ login: Login) -> String {
        let special = cures.filter { $0 != .admission }.map { Self.text($0, login) }
        let isAll = special.isEmpty || cures.contains(.admission)
        return (special + (isAll ? [Self.text(.admission, login)] : [])).joined(separator: "; or ")
    }

    /// What helps where the server hung up.
    ///
    /// It does so when it has let the key or the password pass and the account not (PAM's account management), and after
    /// so many tries.
    var remedyAgainstHangUp: String {
        let account =
            "look at the server's log: the account may be expired or locked (chage -l, passwd -S), or logins may be closed "
            + "(/etc/nologin, as while the node boots; access.conf); and libssh2 takes no Banner of more than 32 KiB"
        let many = "name the one right key for this host, as the server counts each key tried (MaxAuthTries)"
        return refusals > 0 ? "\(many); else \(account)" : account
    }

    private static func text(_ cure: Cure, _ login: Login) -> String {
        switch cure {
        case .record:
            "compare the server's host key on the node's console with what it shows, then take the old one off the record: "
                + "ssh-keygen -R '\(login.recordName)' -f \(ShellQuoting.quote(login.recordFile))"
        case .cipher(let file):
            "have the key written in a cipher that libssh2 reads: ssh-keygen -p -Z aes256-ctr -f "
                + "\(ShellQuoting.quote(file)), or load it into the agent (ssh-add)"
        case .file(let file): "make \(file) a private key in the form of OpenSSH or PEM that you may read"
        case .passphrase:
            "give the right passphrase of the key (--key-passphrase-file), or load the key into the agent (ssh-add)"
        case .keyType: "use an ed25519 or ecdsa key, or libssh2 1.11 or later"
        case .passwordChange:
            "change the password by logging in by hand: ssh \(login.user)@\(login.address)"
        case .question:
            "let this login in by a key alone (AuthenticationMethods in the node's sshd_config), or connect as one of whom "
                + "no more than a password is asked"
        case .admission:
            "put the public key into ~\(login.user)/.ssh/authorized_keys on the node, or name the right key and user "
                + "in the inventory (ansible_ssh_private_key_file, ansible_user) or in ~/.ssh/config, or give the password "
                + "(-k, --connection-password-file); `pawl ssh-config` shows what is read"
                + (login.user == "root" ? "; the node's sshd_config may keep root out (PermitRootLogin)" : "")
        }
    }
}
