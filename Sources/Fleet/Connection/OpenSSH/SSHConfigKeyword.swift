// SPDX-License-Identifier: Apache-2.0

/// What is known of a keyword of ssh_config(5): the form of its value, and what it means here.
struct SSHConfigKeyword: Hashable, Sendable {
    /// How a value is written.
    enum Form: Hashable, Sendable {
        case flag
        case choice([String])
        case time
        /// A whole number, no less than the one given.
        case number(from: Int32)
        case port
        /// One word.
        case text
        /// Words; `none` stands alone.
        case files
        case algorithms
        /// The rest of the line.
        case command
        case jump
        /// Words that are not looked at.
        case anything
    }

    /// What is done with it.
    enum Use: Hashable, Sendable {
        case used
        /// Of no consequence for what is done here.
        case ignored
        /// Left out, the host would be reached in another way than its operator meant; only these values are harmless.
        case refused(unless: [String], because: String)
    }

    /// In lower case.
    var name: String
    /// As the manual writes it.
    var title: String
    var form: Form
    var use: Use

    static func named(_ name: String) -> SSHConfigKeyword? { all[aliases[name] ?? name] }

    static let titles: [String] = all.values.filter { $0.use != .ignored }.map(\.title).sorted()

    private static let aliases = [
        "identityfile2": "identityfile", "keepalive": "tcpkeepalive", "smartcarddevice": "pkcs11provider",
        "challengeresponseauthentication": "kbdinteractiveauthentication",
        "skeyauthentication": "kbdinteractiveauthentication", "tisauthentication": "kbdinteractiveauthentication",
        "dsaauthentication": "pubkeyauthentication", "hostbasedkeytypes": "hostbasedacceptedalgorithms",
        "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
        // Debian's and Ubuntu's.
        "protocolkeepalives": "serveraliveinterval", "setuptimeout": "serveraliveinterval",
    ]

    private static let all: [String: SSHConfigKeyword] = {
        var table: [String: SSHConfigKeyword] = [:]
        func add(_ titles: String, _ form: Form, _ use: Use) {
            for title in titles.split(separator: " ") {
                let name = title.lowercased()
                table[name] = SSHConfigKeyword(name: name, title: String(title), form: form, use: use)
            }
        }
        addUsed(add)
        addRefused(add)
        addIgnored(add)
        return table
    }()

    private static func addUsed(_ add: (String, Form, Use) -> Void) {
        add("Host Match Include", .anything, .used)
        add("HostName User HostKeyAlias IdentityFile CertificateFile IdentityAgent IgnoreUnknown", .text, .used)
        add("Port", .port, .used)
        add("UserKnownHostsFile GlobalKnownHostsFile", .files, .used)
        add("StrictHostKeyChecking", .choice(["yes", "no", "true", "false", "ask", "off", "accept-new"]), .used)
        add("HashKnownHosts IdentitiesOnly PasswordAuthentication KbdInteractiveAuthentication", .flag, .used)
        add("PubkeyAuthentication", .choice(["yes", "no", "true", "false", "unbound", "host-bound"]), .used)
        add("PreferredAuthentications", .text, .used)
        add("ConnectTimeout ServerAliveInterval", .time, .used)
        add("ServerAliveCountMax", .number(from: 0), .used)
        add("AddressFamily", .choice(["any", "inet", "inet6"]), .used)
        add("Ciphers MACs KexAlgorithms HostKeyAlgorithms", .algorithms, .used)
        add("ProxyCommand", .command, .used)
        add("ProxyJump", .jump, .used)
    }

    private static func addRefused(_ add: (String, Form, Use) -> Void) {
        func refused(_ harmless: String..., because: String) -> Use { .refused(unless: harmless, because: because) }
        add(
            "CanonicalizeHostname",
            .choice(["yes", "no", "true", "false", "always"]),
            refused("no", "false", because: "names are not made canonical here; give the full name with HostName")
        )
        add(
            "KnownHostsCommand",
            .command,
            refused("none", because: "no command is asked for host keys here; put them into UserKnownHostsFile")
        )
        add(
            "RevokedHostKeys",
            .text,
            refused("none", because: "key revocation lists are not read here; mark keys with @revoked in known_hosts")
        )
        add(
            "BindAddress BindInterface",
            .text,
            refused("none", because: "connections are not bound to an address here; choose the route on the controller")
        )
        add(
            "ProxyUseFdpass",
            .flag,
            refused("no", "false", because: "a ProxyCommand is talked to over its stdin and stdout")
        )
        add("RefuseConnection", .anything, refused(because: "the configuration forbids this connection"))
    }

    private static func addIgnored(_ add: (String, Form, Use) -> Void) {
        add(
            "BatchMode CheckHostIP ClearAllForwardings EnableEscapeCommandline EnableSSHKeysign ExitOnForwardFailure "
                + "ForkAfterAuthentication ForwardX11 ForwardX11Trusted GatewayPorts GSSAPIAuthentication "
                + "GSSAPIDelegateCredentials GSSAPIKeyExchange GSSAPITrustDns GSSAPIRenewalForcesRekey "
                + "HostbasedAuthentication NoHostAuthenticationForLocalhost "
                + "PermitLocalCommand StdinNull StreamLocalBindUnlink TCPKeepAlive VisualHostKey "
                + "CanonicalizeFallbackLocal",
            .flag,
            .ignored
        )
        add("VerifyHostKeyDNS UpdateHostKeys", .choice(["yes", "no", "true", "false", "ask"]), .ignored)
        add("ControlMaster", .choice(["yes", "no", "true", "false", "ask", "auto", "autoask"]), .ignored)
        add("RequestTTY", .choice(["yes", "no", "true", "false", "force", "auto"]), .ignored)
        add("SessionType", .choice(["none", "subsystem", "default"]), .ignored)
        add("Tunnel", .choice(["yes", "no", "true", "false", "point-to-point", "ethernet"]), .ignored)
        add("Compression", .choice(["yes", "no"]), .ignored)
        add("CanonicalizeMaxDots NumberOfPasswordPrompts RequiredRSASize", .number(from: 0), .ignored)
        add("ConnectionAttempts", .number(from: 1), .ignored)
        add("ForwardX11Timeout", .time, .ignored)
        add("LocalCommand RemoteCommand", .command, .ignored)
        add(
            "ControlPath ControlPersist EscapeChar FingerprintHash ForwardAgent GSSAPIClientIdentity "
                + "GSSAPIServerIdentity GSSAPIKexAlgorithms KbdInteractiveDevices LogLevel PKCS11Provider "
                + "SecurityKeyProvider StreamLocalBindMask SyslogFacility TunnelDevice "
                + "XAuthLocation",
            .text,
            .ignored
        )
        add("HostbasedAcceptedAlgorithms PubkeyAcceptedAlgorithms CASignatureAlgorithms", .algorithms, .ignored)
        add(
            "AddKeysToAgent CanonicalDomains CanonicalizePermittedCNAMEs DynamicForward IPQoS LocalForward LogVerbose "
                + "PermitRemoteOpen RekeyLimit RemoteForward SendEnv SetEnv",
            .anything,
            .ignored
        )
        // Of later versions than 9.2.
        add("ChannelTimeout ObscureKeystrokeTiming Tag VersionAddendum WarnWeakCrypto", .anything, .ignored)
        // What ssh itself only says a word about.
        add(
            "Protocol Cipher FallBackToRsh GlobalKnownHostsFile2 RhostsAuthentication UserKnownHostsFile2 UseRoaming "
                + "UseRsh UsePrivilegedPort AFSTokenPassing KerberosAuthentication KerberosTGTPassing RSAAuthentication "
                + "RhostsRSAAuthentication CompressionLevel",
            .anything,
            .ignored
        )
    }
}
