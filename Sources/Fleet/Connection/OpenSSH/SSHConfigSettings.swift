// SPDX-License-Identifier: Apache-2.0

/// How one host is reached: what `ssh` would do with the options and the configuration files, for what is done here.
package struct SSHConfigSettings: Hashable, Sendable {
    package enum AddressFamily: String, Sendable {
        case any
        case inet
        case inet6
    }

    /// What is done with a server's host key.
    package enum HostKeyPolicy: String, Sendable {
        /// Only a known key is accepted.
        case strict
        /// An unknown host's key is accepted and recorded; a changed one never is.
        case acceptNew
        /// Any key is accepted.
        case off
    }

    /// Which agent is asked for keys.
    package enum Agent: Hashable, Sendable {
        /// The one at `SSH_AUTH_SOCK`.
        case usual
        case none
        case socket(String)
    }

    /// The host as it was asked for.
    package var host = ""
    /// The name or address that is connected to.
    package var hostName = ""
    package var port = 22
    package var user = ""
    package var addressFamily = AddressFamily.any
    /// `nil` where neither the options nor a file say it.
    package var connectTimeout: Duration?
    /// `nil` where the peer is not asked for signs of life by ssh.
    package var serverAliveInterval: Duration?
    package var serverAliveCountMax = 3

    /// In the order in which they are tried; `nil` where none is named, so that the usual ones are.
    package var identityFiles: [String]?
    package var certificateFiles: [String] = []
    package var identitiesOnly = false
    package var agent = Agent.usual
    /// The ways in that may be tried, in their order, with the names of the protocol.
    package var authentications = usualAuthentications

    package var hostKeyPolicy = HostKeyPolicy.strict
    /// New keys are written to the first.
    package var userKnownHostsFiles: [String] = []
    package var globalKnownHostsFiles: [String] = []
    /// In lower case; `nil` where the host is on record under its own name.
    package var hostKeyAlias: String?
    package var hashKnownHosts = false

    /// `nil` for what libssh2 prefers, here and below.
    package var ciphers: [String]?
    package var macs: [String]?
    package var kexAlgorithms: [String]?
    package var hostKeyAlgorithms: [String]?
    /// Whether types of keys that are on record come first, as where no list is given, or one of what is added or left out.
    package var prefersRecordedHostKeys = true

    /// The command over whose stdin and stdout the host is reached, without tokens; that of `ProxyJump` too.
    package var proxyCommand: String?

    /// The settings as `ssh -G` prints them.
    var printed = Printed()

    /// What is printed in the words of the configuration.
    struct Printed: Hashable, Sendable {
        var strictHostKeyChecking = "ask"
        var pubkeyAuthentication = "true"
        var passwordAuthentication = true
        var kbdInteractiveAuthentication = true
        var preferredAuthentications: String?
        var identityFiles: [String] = []
        var certificateFiles: [String] = []
        var globalKnownHostsFiles: [String] = []
        var identityAgent: String?
        var proxyCommand: String?
        var jump: SSHJump?
    }
}

extension SSHConfigSettings {
    /// The lines of `ssh -G`, as far as they are about what is done here, in its order.
    package var lines: [String] {
        func yes(_ flag: Bool) -> String { flag ? "yes" : "no" }
        func files(_ list: [String]) -> String { list.isEmpty ? "none" : list.joined(separator: " ") }
        func names(_ list: SSHAlgorithmList, _ names: [String]?) -> String {
            "\(list.rawValue) " + (names ?? list.defaults).joined(separator: ",")
        }
        var lines = [
            "host \(host)", "user \(user)", "hostname \(hostName)", "port \(port)",
            "addressfamily \(addressFamily.rawValue)", "hashknownhosts \(yes(hashKnownHosts))",
            "identitiesonly \(yes(identitiesOnly))",
            "kbdinteractiveauthentication \(yes(printed.kbdInteractiveAuthentication))",
            "passwordauthentication \(yes(printed.passwordAuthentication))",
            "pubkeyauthentication \(printed.pubkeyAuthentication)",
            "stricthostkeychecking \(printed.strictHostKeyChecking)",
            "serveralivecountmax \(serverAliveCountMax)",
            "serveraliveinterval \(serverAliveInterval?.components.seconds ?? 0)",
            names(.ciphers, ciphers), names(.hostKeyAlgorithms, hostKeyAlgorithms),
        ]
        if let hostKeyAlias { lines.append("hostkeyalias \(hostKeyAlias)") }
        if let socket = printed.identityAgent { lines.append("identityagent \(socket)") }
        lines += [names(.kexAlgorithms, kexAlgorithms), names(.macs, macs)]
        if let preferred = printed.preferredAuthentications { lines.append("preferredauthentications \(preferred)") }
        let identities = identityFiles == nil ? Self.usualIdentityFiles : printed.identityFiles
        lines += identities.map { "identityfile \($0)" }
        lines += printed.certificateFiles.map { "certificatefile \($0)" }
        lines += [
            "globalknownhostsfile \(files(printed.globalKnownHostsFiles))",
            "userknownhostsfile \(files(userKnownHostsFiles))",
            "connecttimeout \(connectTimeout.map { String($0.components.seconds) } ?? "none")",
        ]
        if let jump = printed.jump {
            lines.append("proxyjump \(jump.text)")
        } else if let command = printed.proxyCommand {
            lines.append("proxycommand \(command)")
        }
        return lines
    }

    /// Those of OpenSSH's order that are known here.
    static let usualAuthentications = ["publickey", "keyboard-interactive", "password"]

    private static let usualIdentityFiles = [
        "id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa",
    ].map { "~/.ssh/\($0)" }
}
