// SPDX-License-Identifier: Apache-2.0

import Remote

/// One read-only call of etcdctl.
///
/// All flags exist since etcdctl 3.0, unless said otherwise.
package enum EtcdctlCommand: Sendable, Hashable {
    case version
    /// Its own version, and its commands.
    case help
    case migrateHelp
    case endpointStatus
    /// Since 3.3 (etcd #8351). Without a revision: the member's own newest.
    case hashKV(revision: Int64?)
    case memberList
    /// Goes through raft: it costs one log entry, and needs a quorum.
    case alarmList
    /// Since 3.3.
    case leaseList
    /// The users of v3, whether they must log in or not.
    case userList
    /// The number of keys and the revision, from the member's own store without asking the quorum; no value is printed.
    /// `--count-only` came with 3.5, so one key's name is fetched.
    case count
    /// All keys with their values, from the member's own store; as they were at a revision where one is given.
    case dump(revision: Int64?)
    /// One key from the member's own store; its name is no secret.
    case get(key: String)
    /// Of a db file that no etcd has open.
    case snapshotStatus(path: String)
    /// The member's own db into a file on its node, with 32 bytes of checksum behind it.
    case snapshotSave(path: String)

    var words: [String] {
        switch self {
        case .version: ["version"]
        case .help: ["--help"]
        case .migrateHelp: ["migrate", "--help"]
        case .endpointStatus: ["endpoint", "status", "-w", "json"]
        case .hashKV(nil): ["endpoint", "hashkv", "-w", "json"]
        case .hashKV(let revision?): ["endpoint", "hashkv", "--rev", String(revision), "-w", "json"]
        case .memberList: ["member", "list", "-w", "json"]
        case .alarmList: ["alarm", "list"]
        case .leaseList: ["lease", "list"]
        case .userList: ["user", "list"]
        case .count: ["get", "", "--from-key", "--keys-only", "--limit", "1", "--consistency=s", "-w", "json"]
        case .dump(let revision):
            ["get", "", "--from-key", "--consistency=s", "-w", "json"]
                + (revision.map { ["--rev", String($0)] } ?? [])
        case .get(let key): ["get", key, "--consistency=s", "-w", "json"]
        case .snapshotStatus(let path): ["snapshot", "status", path, "-w", "json"]
        case .snapshotSave(let path): ["snapshot", "save", path]
        }
    }

    /// Whether it needs no user where the v3 API's authentication is on: programs' own, and what etcd tells everybody.
    ///
    /// Each login is an entry in the log, and needs a quorum.
    var isOpen: Bool {
        switch self {
        case .endpointStatus: true
        default: isLocal
        }
    }

    var isLocal: Bool {
        switch self {
        case .version, .help, .migrateHelp, .snapshotStatus: true
        default: false
        }
    }
}

extension EtcdSettings {
    /// What every script begins with: the v3 API (etcdctl up to 3.3 defaults to v2), the bytes' own order, and nothing
    /// from the node's environment that would send a question elsewhere, as a proxy or another endpoint.
    package static let scriptPrelude = """
        unset ETCDCTL_ENDPOINTS ETCDCTL_CACERT ETCDCTL_CERT ETCDCTL_KEY ETCDCTL_WRITE_OUT ETCDCTL_DEBUG ETCDCTL_HEX
        unset ETCDCTL_USER ETCDCTL_PASSWORD
        unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
        ETCDCTL_API=3 LC_ALL=C NO_PROXY='*' no_proxy='*'
        export ETCDCTL_API LC_ALL NO_PROXY no_proxy
        umask 077

        """

    /// The shell command line of an etcdctl call on the node.
    package func commandLine(_ command: EtcdctlCommand, seconds: Int = 5) -> String {
        commandLine(words: command.words, isLocal: command.isLocal, isOpen: command.isOpen, seconds: seconds)
    }

    /// The shell command line of etcdctl with these words.
    func commandLine(
        words command: [String],
        isLocal: Bool = false,
        isOpen: Bool = false,
        seconds: Int
    ) -> String {
        var words = ["timeout", String(seconds + 2), etcdctl]
        if !isLocal {
            words += ["--endpoints", endpoint, "--dial-timeout", "3s", "--command-timeout", "\(seconds)s"]
            if let caCertificate { words += ["--cacert", caCertificate] }
            if let certificate { words += ["--cert", certificate] }
            if let key { words += ["--key", key] }
        }
        return (isOpen ? "" : login?.environment ?? "") + ShellQuoting.line(words + command)
    }

    /// The words that every curl transfer needs: no curlrc, no proxy, the node's own certificates, and HTTP/1.1, whose
    /// headers all versions of etcd write alike.
    func curlWords(seconds: Int) -> [String] {
        var words = ["-sS", "--http1.1", "--noproxy", "*", "--connect-timeout", "3", "--max-time", String(seconds)]
        if let caCertificate { words += ["--cacert", caCertificate] }
        if let certificate { words += ["--cert", certificate] }
        if let key { words += ["--key", key] }
        return words
    }

    /// A question for the member's health, which puts an entry into its log.
    package var healthLine: String {
        ShellQuoting.line(["curl", "-q"] + curlWords(seconds: 2) + [baseURL + "/health"])
    }

    /// The client URL without a slash at its end.
    var baseURL: String {
        endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
    }
}
