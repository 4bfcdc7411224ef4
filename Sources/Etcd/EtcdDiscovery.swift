// SPDX-License-Identifier: Apache-2.0

/// What a running etcd tells of itself: the variables that an inventory need not say.
///
/// The data dir and the WAL dir are those that the process has open, and the flags, the environment and the
/// configuration file must not say otherwise. Nothing is guessed: what is not found stays with the playbook's defaults.
package struct EtcdDiscovery: Sendable, Hashable {
    /// The variables that may be discovered.
    package static let names: Set<String> = [
        "etcd_service", "etcd_data_dir", "etcd_wal_dir", "etcd_user", "etcd_endpoint", "etcd_cacert", "etcd_cert",
        "etcd_key",
    ]
    /// What a fresh installation has, for a play that is looked through before anybody has looked at the nodes.
    package static let assumed: [String: String] = [
        "etcd_service": "etcd", "etcd_data_dir": "/var/lib/etcd/default", "etcd_wal_dir": "", "etcd_user": "etcd",
        "etcd_endpoint": "http://127.0.0.1:2379", "etcd_cacert": "", "etcd_cert": "", "etcd_key": "",
    ]

    /// The process that was chosen; `nil` when no etcd runs.
    package var process: Int?
    /// The variables, of those in ``names`` that were found.
    package var variables: [String: String]
}

/// Why it is not clear what runs on a node.
package struct DiscoveryError: Error, Sendable, Hashable {
    package var message: String
    package var remedy: String
}

extension EtcdDiscovery {
    /// Chooses among the etcd processes of a node, and reads its variables.
    ///
    /// - Parameters:
    ///   - report: what ``DiscoveryScript`` told.
    ///   - said: what the inventory says of the host, by which the right one of several processes is known.
    /// - Returns: what was found; nothing where no etcd runs.
    /// - Throws: ``DiscoveryError`` when several processes may be meant, or the one contradicts itself.
    static func read(_ report: NodeReport, said: [String: String]) throws(DiscoveryError) -> EtcdDiscovery {
        let all = processes(report)
        var chosen = all
        let filters: [(EtcdProcess) -> Bool] = [
            { $0["serves"] == "yes" }, { $0["is_data_dir"] == "yes" }, { $0.unit == said["etcd_service"] },
        ]
        for isMeant in filters where chosen.count > 1 {
            let fitting = chosen.filter(isMeant)
            if !fitting.isEmpty { chosen = fitting }
        }
        guard chosen.count <= 1 else {
            let list = chosen.map { "process \($0["process"] ?? "?") with \($0.dataDir ?? "no data dir open")" }
            throw DiscoveryError(
                message: "\(chosen.count) etcd processes run here: \(list.joined(separator: "; "))",
                remedy: "say in the inventory which is meant: set etcd_endpoint or etcd_data_dir of this host"
            )
        }
        guard let process = chosen.first else { return EtcdDiscovery(process: nil, variables: [:]) }
        if let complaint = process.contradiction {
            throw DiscoveryError(
                message: "etcd (process \(process["process"] ?? "?")) \(complaint)",
                remedy:
                    "find out which is right; setting etcd_data_dir and etcd_wal_dir of this host in the inventory says it"
            )
        }
        return EtcdDiscovery(process: process["process"].flatMap { Int($0) }, variables: process.variables)
    }

    private static func processes(_ report: NodeReport) -> [EtcdProcess] {
        var found: [EtcdProcess] = []
        for (name, value) in report.pairs {
            if name == "process" { found.append(EtcdProcess()) }
            guard let last = found.indices.last else { continue }
            found[last].note(name, value)
        }
        return found
    }
}

/// One etcd process, as the script told of it.
private struct EtcdProcess {
    private var told: [String: String] = [:]
    private var flags: [String: String] = [:]
    private var environment: [String: String] = [:]
    private var file: [String: String] = [:]
    /// The flag whose value is the next word of the command line.
    private var pending: String?

    subscript(_ name: String) -> String? { told[name].flatMap { $0.isEmpty ? nil : $0 } }

    mutating func note(_ name: String, _ value: String) {
        switch name {
        case "arg": noteArgument(value)
        case "env":
            let parts = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = parts[0].dropFirst("ETCD_".count).lowercased().replacing("_", with: "-")
            environment[key] = parts.count > 1 ? String(parts[1]) : ""
        case "config":
            let parts = value.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let text = (parts.count > 1 ? parts[1] : "").drop { $0 == " " }
            file[String(parts[0])] = Self.unquoted(String(text))
        default: told[name] = value
        }
    }

    /// `--data-dir=X`, `-data-dir=X`, `--data-dir X`; a flag without a value is a boolean one.
    private mutating func noteArgument(_ word: String) {
        guard word.hasPrefix("-") else {
            if let flag = pending { flags[flag] = word }
            pending = nil
            return
        }
        let flag = word.drop { $0 == "-" }
        let parts = flag.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        flags[String(parts[0])] = parts.count > 1 ? String(parts[1]) : "true"
        pending = parts.count > 1 ? nil : String(parts[0])
    }

    private static func unquoted(_ text: String) -> String {
        var text = text.split(separator: " #", maxSplits: 1).first.map { String($0) } ?? ""
        while text.last == " " { text.removeLast() }
        for quote in ["\"", "'"] where text.count > 1 && text.hasPrefix(quote) && text.hasSuffix(quote) {
            return String(text.dropFirst().dropLast())
        }
        return text
    }

    /// A setting as etcd takes it: of the configuration file alone where there is one, else flag before environment.
    private func setting(_ name: String) -> String? {
        let isFromFile = flags["config-file"] != nil || environment["config-file"] != nil
        let value = isFromFile ? file[name] : flags[name] ?? environment[name]
        return value.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// What the process has open, as paths of the node.
    var dataDir: String? { self["data_dir"] }

    var unit: String? {
        self["unit"].map { $0.hasSuffix(".service") ? String($0.dropLast(".service".count)) : $0 }
    }

    /// What its settings say, and its open files do not.
    var contradiction: String? {
        for (flag, answer) in [("data-dir", "agrees_data_dir"), ("wal-dir", "agrees_wal_dir")]
        where self[answer] == "no" {
            let open = self[flag == "data-dir" ? "open_data_dir" : "open_wal_dir"] ?? "nothing"
            return "was told --\(flag) \(setting(flag) ?? "?"), and has \(open) open"
        }
        return nil
    }

    var variables: [String: String] {
        var found: [String: String] = [:]
        found["etcd_service"] = unit
        found["etcd_user"] = self["user"]
        if let dataDir {
            found["etcd_data_dir"] = dataDir
            if let wal = self["wal_dir"] { found["etcd_wal_dir"] = wal == dataDir + "/member/wal" ? "" : wal }
        }
        guard let endpoint else { return found }
        found["etcd_endpoint"] = endpoint
        guard endpoint.hasPrefix("https:") else { return found }
        // In the file the names stand below a section of their own.
        for (variable, name) in [("etcd_cacert", "ca"), ("etcd_cert", "cert"), ("etcd_key", "key")] {
            found[variable] = self["file_\(name)"]
        }
        return found
    }

    /// The client URL as the node itself may use it.
    ///
    /// Over http a loopback address will do; a certificate is for the names that are advertised.
    private var endpoint: String? {
        let listened = Self.list(setting("listen-client-urls") ?? "http://localhost:2379")
        let advertised = Self.list(setting("advertise-client-urls") ?? "")
        let loopback = listened.first { ["127.0.0.1", "localhost", "[::1]"].contains(Self.host($0)) }
        guard let first = listened.first else { return nil }
        if first.hasPrefix("http:"), let loopback { return Self.plain(loopback) }
        if let same = advertised.first(where: listened.contains) { return Self.plain(same) }
        let anywhere = listened.first { ["0.0.0.0", "[::]"].contains(Self.host($0)) }
        if let anywhere {
            let port = anywhere.split(separator: ":").last ?? "2379"
            if first.hasPrefix("https:"), let name = advertised.first { return Self.plain(name) }
            return "\(anywhere.hasPrefix("https:") ? "https" : "http")://127.0.0.1:\(port)"
        }
        return Self.plain(loopback ?? first)
    }

    private static func list(_ text: String) -> [String] { text.split(separator: ",").map { String($0) } }

    private static func plain(_ url: String) -> String {
        (url.hasSuffix("/") ? String(url.dropLast()) : url).replacing("//localhost:", with: "//127.0.0.1:")
    }

    private static func host(_ url: String) -> String {
        let authority = url.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first ?? ""
        if authority.hasPrefix("[") { return authority.prefix { $0 != "]" } + "]" }
        return String(authority.prefix { $0 != ":" })
    }
}
