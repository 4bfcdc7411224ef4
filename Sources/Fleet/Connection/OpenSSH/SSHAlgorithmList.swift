// SPDX-License-Identifier: Apache-2.0

/// A list of algorithms of ssh_config(5), with its prefixes `+`, `-` and `^` and its wildcards.
///
/// The lists are those of OpenSSH 9.2, so that a configuration means here what it means to `ssh`; what the loaded libssh2
/// does not have of them is left out when a connection is made.
enum SSHAlgorithmList: String, CaseIterable {
    case ciphers
    case macs
    case kexAlgorithms = "kexalgorithms"
    case hostKeyAlgorithms = "hostkeyalgorithms"

    /// What a value of the keyword comes to.
    ///
    /// - Parameter text: the value; `nil` for the default.
    /// - Returns: the names in the order of preference; empty where the value leaves none.
    func names(_ text: String?) -> [String] {
        guard let text, let prefix = text.first else { return defaults }
        let value = "+-^".contains(prefix) ? String(text.dropFirst()) : text
        switch prefix {
        case "-": return defaults.filter { !SSHPattern.listMatches(value, $0) }
        case "+": return selected(defaults + Self.split(value))
        case "^": return selected(Self.split(value) + defaults)
        default: return selected(Self.split(value))
        }
    }

    /// What is wrong with a value, behind the keyword; `nil` where nothing is.
    ///
    /// Host keys are the only ones that are chosen by wildcards, which have to match one; what is taken away may be anything.
    func problem(with text: String) -> (message: String, remedy: String)? {
        if text.hasPrefix("-") { return nil }
        let patterns = Self.split(text.hasPrefix("+") || text.hasPrefix("^") ? String(text.dropFirst()) : text)
        if patterns.isEmpty { return ("names no algorithm", "name some behind `\(text)`, or leave the line out") }
        for pattern in patterns where pattern.contains("*") || pattern.contains("?") {
            guard self == .hostKeyAlgorithms else {
                return ("has a wildcard", "wildcards go with `-` only, as in -*cbc")
            }
            guard all.contains(where: { SSHPattern.matches(pattern, $0) }) else {
                return ("`\(pattern)` matches no algorithm", "`ssh -Q HostKeyAlgorithms` lists them")
            }
        }
        return nil
    }

    /// Each pattern's names; a plain name that OpenSSH 9.2 does not know may be one of a later version.
    private func selected(_ patterns: [String]) -> [String] {
        var seen: Set<String> = []
        let names = patterns.flatMap { pattern in
            pattern.contains("*") || pattern.contains("?") ? all.filter { SSHPattern.matches(pattern, $0) } : [pattern]
        }
        return names.filter { seen.insert($0).inserted }
    }

    private static func split(_ list: String) -> [String] { list.split(separator: ",").map(String.init) }

    /// What `ssh` proposes without being told.
    var defaults: [String] {
        switch self {
        case .ciphers:
            Self.split(
                "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,"
                    + "aes256-gcm@openssh.com"
            )
        case .macs:
            Self.split(
                "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,"
                    + "hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,"
                    + "hmac-sha2-256,hmac-sha2-512,hmac-sha1"
            )
        case .kexAlgorithms:
            Self.split(
                "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,"
                    + "curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
                    + "diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,"
                    + "diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"
            )
        case .hostKeyAlgorithms:
            Self.split(
                "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
                    + "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"
                    + "sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,"
                    + "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,ssh-ed25519,"
                    + "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,"
                    + "sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"
            )
        }
    }

    /// What `ssh -Q` lists, in its order, which is the order of what a wildcard matches.
    private var all: [String] {
        switch self {
        case .ciphers:
            Self.split(
                "3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,"
                    + "aes256-gcm@openssh.com,chacha20-poly1305@openssh.com"
            )
        case .macs:
            Self.split(
                "hmac-sha1,hmac-sha1-96,hmac-sha2-256,hmac-sha2-512,hmac-md5,hmac-md5-96,umac-64@openssh.com,"
                    + "umac-128@openssh.com,hmac-sha1-etm@openssh.com,hmac-sha1-96-etm@openssh.com,"
                    + "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-md5-etm@openssh.com,"
                    + "hmac-md5-96-etm@openssh.com,umac-64-etm@openssh.com,umac-128-etm@openssh.com"
            )
        case .kexAlgorithms:
            Self.split(
                "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,"
                    + "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
                    + "diffie-hellman-group-exchange-sha1,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp256,"
                    + "ecdh-sha2-nistp384,ecdh-sha2-nistp521,curve25519-sha256,curve25519-sha256@libssh.org,"
                    + "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com"
            )
        case .hostKeyAlgorithms:
            Self.split(
                "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519@openssh.com,"
                    + "sk-ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256,"
                    + "ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,"
                    + "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521,"
                    + "ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,"
                    + "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,webauthn-sk-ecdsa-sha2-nistp256@openssh.com,ssh-dss,"
                    + "ssh-dss-cert-v01@openssh.com,ssh-rsa,ssh-rsa-cert-v01@openssh.com,rsa-sha2-256,"
                    + "rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512,rsa-sha2-512-cert-v01@openssh.com"
            )
        }
    }
}
