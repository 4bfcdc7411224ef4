// SPDX-License-Identifier: Apache-2.0

import Foundation

extension SSHConfig {
    /// How a host of the inventory is reached.
    ///
    /// What the inventory says is as the command line of `ssh`, and so wins over the files.
    ///
    /// - Parameter host: what the inventory says.
    /// - Returns: the settings without tokens.
    /// - Throws: what is wrong in the files for this host, and what is not supported.
    package func settings(for host: ConnectionSettings) throws(DiagnosticsError) -> SSHConfigSettings {
        if let named = host.configuration, named != source {
            return try SSHConfig(named, disk: disk, context: context).resolved(host)
        }
        return try resolved(host)
    }

    private func resolved(_ asked: ConnectionSettings) throws(DiagnosticsError) -> SSHConfigSettings {
        let destination = asked.address
        var evaluation = SSHConfigEvaluation(destination, context: context)
        evaluation.take(asked.options)
        // Before a file is read: a line of it may run a command with these names in it.
        evaluation.refuseNamesOfShells(destination, at: asked.addressLocation)
        if !evaluation.problems.isEmpty { throw DiagnosticsError(evaluation.problems) }
        for file in files { evaluation.take(file) }
        if let name = evaluation["hostname"] {
            do throws(SSHConfigTokens.Problem) {
                evaluation.host = try SSHConfigTokens(["h": destination]).expand(name.text)
            } catch {
                evaluation.refuse(name, "HostName: \(error.message)", "write %% for a percent sign")
            }
        }
        let family = evaluation["addressfamily"].flatMap {
            SSHConfigSettings.AddressFamily(rawValue: $0.text.lowercased())
        }
        evaluation.host =
            Self.canonicalAddress(evaluation.host, family ?? .any) ?? evaluation.host.lowercased()
        if evaluation.wantsSecondReading {
            evaluation.setHostName(evaluation.host)
            evaluation.isSecondReading = true
            for file in files { evaluation.take(file) }
        }
        var settings = SSHConfigSettings()
        settings.take(evaluation)
        settings.expand(&evaluation, source: source)
        if !evaluation.problems.isEmpty { throw DiagnosticsError(evaluation.problems) }
        return settings
    }

    /// An address in its usual form, as `127.1` → `127.0.0.1`; `nil` for a name, and for an address of another family.
    static func canonicalAddress(_ text: String, _ family: SSHConfigSettings.AddressFamily = .any) -> String? {
        var hints = addrinfo()
        switch family {
        case .any: hints.ai_family = AF_UNSPEC
        case .inet: hints.ai_family = AF_INET
        case .inet6: hints.ai_family = AF_INET6
        }
        hints.ai_flags = AI_NUMERICHOST
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(text, nil, &hints, &list) == 0, let info = list?.pointee else { return nil }
        defer { freeaddrinfo(list) }
        var bytes = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let status = getnameinfo(info.ai_addr, info.ai_addrlen, &bytes, socklen_t(bytes.count), nil, 0, NI_NUMERICHOST)
        guard status == 0 else { return nil }
        let usual = String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        // As ssh, which leaves the case of one that is in its usual form already.
        return usual.lowercased() == text.lowercased() ? text : usual
    }
}

extension SSHConfigSettings {
    /// What needs no tokens.
    fileprivate mutating func take(_ evaluation: SSHConfigEvaluation) {
        host = evaluation.originalHost
        hostName = evaluation.host
        user = evaluation.user
        port = evaluation.port
        func flag(_ keyword: String) -> Bool {
            evaluation[keyword].map { ["yes", "true"].contains($0.text.lowercased()) } ?? false
        }
        func time(_ keyword: String) -> Duration? {
            evaluation[keyword].flatMap { SSHConfigTime.seconds($0.text) }.map { .seconds($0) }
        }
        func names(_ list: SSHAlgorithmList) -> [String]? {
            evaluation[list.rawValue].map { list.names($0.text) }
        }
        addressFamily = evaluation["addressfamily"].flatMap { AddressFamily(rawValue: $0.text.lowercased()) } ?? .any
        connectTimeout = time("connecttimeout")
        serverAliveInterval = time("serveraliveinterval").flatMap { $0 > .zero ? $0 : nil }
        serverAliveCountMax = evaluation["serveralivecountmax"].flatMap { Int($0.text) } ?? 3
        identitiesOnly = flag("identitiesonly")
        hashKnownHosts = flag("hashknownhosts")
        takeAuthentications(evaluation)
        hostKeyAlias = evaluation["hostkeyalias"]?.text.lowercased()
        ciphers = names(.ciphers)
        macs = names(.macs)
        kexAlgorithms = names(.kexAlgorithms)
        hostKeyAlgorithms = names(.hostKeyAlgorithms)
        let list = evaluation[SSHAlgorithmList.hostKeyAlgorithms.rawValue]?.text.first
        prefersRecordedHostKeys = list.map { "+-".contains($0) } ?? true
        switch evaluation["stricthostkeychecking"]?.text.lowercased() {
        case "yes", "true": (hostKeyPolicy, printed.strictHostKeyChecking) = (.strict, "true")
        case "accept-new": (hostKeyPolicy, printed.strictHostKeyChecking) = (.acceptNew, "accept-new")
        case "no", "off", "false": (hostKeyPolicy, printed.strictHostKeyChecking) = (.off, "false")
        // Nobody is asked here, so `ask` accepts known keys only.
        default: hostKeyPolicy = .strict
        }
    }

    /// What `PreferredAuthentications` lists, or all, without what is switched off.
    private mutating func takeAuthentications(_ evaluation: SSHConfigEvaluation) {
        func isOn(_ keyword: String) -> Bool {
            !["no", "false"].contains(evaluation[keyword]?.text.lowercased() ?? "yes")
        }
        switch evaluation["pubkeyauthentication"]?.text.lowercased() {
        case "no", "false": printed.pubkeyAuthentication = "false"
        case "unbound": printed.pubkeyAuthentication = "unbound"
        case "host-bound": printed.pubkeyAuthentication = "host-bound"
        default: break
        }
        printed.passwordAuthentication = isOn("passwordauthentication")
        printed.kbdInteractiveAuthentication = isOn("kbdinteractiveauthentication")
        printed.preferredAuthentications = evaluation["preferredauthentications"]?.text
        let off = [
            "publickey": !isOn("pubkeyauthentication"), "password": !printed.passwordAuthentication,
            "keyboard-interactive": !printed.kbdInteractiveAuthentication,
        ]
        let listed = printed.preferredAuthentications.map { $0.split(separator: ",").map(String.init) }
        authentications = (listed ?? Self.usualAuthentications).filter { off[$0] == false }
    }

    /// What names files and commands.
    fileprivate mutating func expand(_ evaluation: inout SSHConfigEvaluation, source: SSHConfig.Source) {
        var expansion = SSHConfigExpansion(evaluation, self)
        expansion.checkAlgorithms(self)
        printed.identityFiles = evaluation.identityFiles.map(\.text)
        if !evaluation.identityFiles.isEmpty {
            identityFiles = expansion.files(evaluation.identityFiles, "IdentityFile")
        }
        printed.certificateFiles = evaluation.certificateFiles.map(\.text)
        certificateFiles = expansion.files(evaluation.certificateFiles, "CertificateFile")
        agent = expansion.agent(evaluation["identityagent"], printed: &printed.identityAgent)
        userKnownHostsFiles = expansion.knownHosts(
            evaluation["userknownhostsfile"],
            or: ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"],
            "UserKnownHostsFile",
            hasTokens: true
        )
        globalKnownHostsFiles = expansion.knownHosts(
            evaluation["globalknownhostsfile"],
            or: ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
            "GlobalKnownHostsFile",
            hasTokens: false
        )
        let named = evaluation["globalknownhostsfile"]?.words ?? globalKnownHostsFiles
        printed.globalKnownHostsFiles = named.first?.lowercased() == "none" ? [] : named
        printed.jump = evaluation.jump
        if let jump = evaluation.jump {
            proxyCommand = expansion.command(of: jump, source)
        } else if let given = evaluation["proxycommand"], given.rest.lowercased() != "none" {
            printed.proxyCommand = given.rest
            proxyCommand = expansion.proxyCommand(given)
        }
        evaluation = expansion.evaluation
    }
}
