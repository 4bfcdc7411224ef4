// SPDX-License-Identifier: Apache-2.0

/// Why a server and the libssh2 that is loaded have no algorithm in common, and what to do about it.
struct AlgorithmMismatch {
    var server: AlgorithmProposal
    /// What the library has.
    var library: AlgorithmProposal
    /// What the SSH configuration allows, for the kinds of which it says something.
    var allowed: AlgorithmProposal
    /// The version of the library, like `1.10.0`.
    var version: String

    /// What releases of libssh2 have brought, with the first of them (release notes of 1.11.0 and 1.11.1).
    private static let brought: [(release: String, names: Set<String>)] = [
        (
            "1.11.0",
            [
                "rsa-sha2-512", "rsa-sha2-256", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com",
                "hmac-sha1-etm@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com",
            ]
        ),
        ("1.11.1", ["chacha20-poly1305@openssh.com"]),
    ]

    /// What is fit to be named to somebody who sets up a server, the best first; libssh2 has much that is not.
    private static let sound: [AlgorithmKind: [String]] = [
        .keyExchange: [
            "curve25519-sha256", "ecdh-sha2-nistp521", "ecdh-sha2-nistp384", "ecdh-sha2-nistp256",
            "diffie-hellman-group18-sha512", "diffie-hellman-group16-sha512", "diffie-hellman-group-exchange-sha256",
        ],
        .hostKey: [
            "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
            "rsa-sha2-256",
        ],
        .cipher: [
            "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr",
            "aes192-ctr", "aes128-ctr",
        ],
        .mac: [
            "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512", "hmac-sha2-256",
        ],
    ]

    /// The kinds in which there is nothing in common.
    var kinds: [AlgorithmKind] {
        AlgorithmKind.allCases.filter { isBarred($0) || common($0).isEmpty }
    }

    /// What is the matter, in one line.
    var message: String {
        kinds.map { kind in
            let offer = server[kind].isEmpty ? "nothing" : server[kind].joined(separator: ",")
            return "no \(kind.title) algorithm in common: the server offers \(offer); "
                + (isBarred(kind)
                    ? "the SSH configuration allows \(allowed[kind].joined(separator: ",")) only"
                    : "libssh2 \(version) has \(worthNaming(kind).joined(separator: ","))")
        }
        .joined(separator: ". And ")
    }

    /// What to do now, in one line.
    var remedy: String {
        let barred = kinds.filter(isBarred)
        let words = barred.map {
            "allow \(common($0).joined(separator: ",")) in \($0.keyword) of the SSH configuration"
        }
        let lacking = kinds.filter { !isBarred($0) }
        guard !lacking.isEmpty else { return words.joined(separator: "; ") }
        let lines = lacking.map(serverSetting).joined(separator: "; ")
        guard let library = neededLibrary(for: lacking) else {
            return (words + ["no libssh2 has what it offers: \(lines)"]).joined(separator: "; ")
        }
        return (words + ["\(library), or \(lines)"]).joined(separator: "; ")
    }

    /// Whether the configuration, and not the library, leaves nothing of what the server offers.
    private func isBarred(_ kind: AlgorithmKind) -> Bool {
        !allowed[kind].isEmpty && !common(kind).isEmpty && Set(common(kind)).isDisjoint(with: allowed[kind])
    }

    private func common(_ kind: AlgorithmKind) -> [String] { server[kind].filter(library[kind].contains) }

    private func worthNaming(_ kind: AlgorithmKind) -> [String] {
        let names = (Self.sound[kind] ?? []).filter(library[kind].contains)
        return names.isEmpty ? library[kind] : names
    }

    /// The first libssh2 that has something of each list, where there is one.
    private func neededLibrary(for kinds: [AlgorithmKind]) -> String? {
        var had: Set<String> = []
        for (release, names) in Self.brought {
            had.formUnion(names)
            guard kinds.allSatisfy({ !had.isDisjoint(with: server[$0]) }) else { continue }
            let gained = kinds.flatMap { server[$0].filter(had.contains) }
            return "use libssh2 \(release) or later, which has \(gained.joined(separator: ","))"
        }
        return nil
    }

    /// What to set up on the node; sshd takes the first line of a keyword, so a new one must come in the place of the old.
    private func serverSetting(_ kind: AlgorithmKind) -> String {
        let names = worthNaming(kind)
        if kind == .hostKey {
            return
                "give the node another host key: `ssh-keygen -A`, and `HostKey /etc/ssh/ssh_host_ed25519_key` in its "
                + "sshd_config, with ssh-ed25519 among HostKeyAlgorithms if that is there"
        }
        let line = "\(kind.keyword) \((server[kind] + names.prefix(2)).joined(separator: ","))"
        return "set `\(line)` in the node's sshd_config, in the place of its \(kind.keyword), and reload sshd"
    }
}
