// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import SSH
import TestSupport

/// A private sshd for one test: a loopback address, host keys and user keys of its own, in a temporary directory.
///
/// The server and what it started are ended by process id, also when the test fails; a watcher ends the server when the
/// test process dies.
struct SSHServerFixture: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let directory: String
    let address: String
    let port: Int
    let release: SSHServerRelease
    private static let shell = LocalHost(name: "fixture")

    var pid: Int32 { Int32(read("sshd.pid").trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 }
    var log: String { read("log") }
    var recordName: String { "[\(address)]:\(port)" }

    /// Why it cannot run here; nil where it can.
    static let obstacle: String? =
        ["/usr/sbin/sshd", "/usr/bin/ssh-keygen"].first { !FileManager.default.isExecutableFile(atPath: $0) }
        .map { "\($0) is not there" }

    static let isAvailable = obstacle == nil
    static let isRoot = getuid() == 0

    /// Starts a server, runs the test's part with it, and removes it whatever happened.
    ///
    /// - Parameters:
    ///   - options: lines of its sshd_config, which win over the fixture's own.
    ///   - release: whose sshd it is.
    ///   - hostKeys: types of its host keys.
    ///   - setup: a script that runs in the directory before the server starts.
    ///   - body: the test's part.
    /// - Throws: what the test throws, and when the server does not start.
    static func with(
        _ options: [String] = [],
        release: SSHServerRelease = .installed,
        hostKeys: [String] = ["ed25519", "ecdsa"],
        setup: String = "",
        _ body: (SSHServerFixture) async throws -> Void
    ) async throws {
        let server = SSHServerFixture(
            directory: FileManager.default.temporaryDirectory.path + "/pawl-sshd-\(UUID().uuidString)",
            address: DistinctNumber.network() + ".2",
            port: Int.random(in: 20_000...32_000),
            release: release
        )
        do {
            let inDirectory = options.map { $0.replacing("DIRECTORY", with: server.directory) }
            try await server.start(inDirectory, hostKeys, setup)
            try await body(server)
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }

    func path(_ name: String) -> String { directory + "/" + name }

    func read(_ name: String) -> String { (try? String(contentsOfFile: path(name), encoding: .utf8)) ?? "" }

    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
    }

    /// The public part of a host key, as `TYPE BASE64`.
    func hostKey(_ type: String) -> String {
        read("host_\(type).pub").split(separator: " ").prefix(2).joined(separator: " ")
    }

    func endpoint(_ name: String = "n1", key: String = "user_ed25519", record: String = "known_hosts") -> SSHEndpoint {
        SSHEndpoint(
            name: name,
            address: address,
            port: port,
            user: NSUserName(),
            privateKeyFiles: [path(key)],
            useAgent: false,
            knownHostsFiles: [path(record)]
        )
    }

    /// A host that gives a silent server up after some seconds.
    func host(_ change: (inout SSHEndpoint) -> Void = { _ in }) throws -> SSHHost {
        var endpoint = endpoint()
        change(&endpoint)
        var limits = SSHLimits()
        limits.silence = .seconds(4)
        return try SSHHost(endpoint, limits: limits)
    }

    @discardableResult
    static func sh(_ script: String) async throws -> String {
        let result = try await shell.run(RemoteCommand("fixture", script: script, effect: .mutating))
        if result.exitCode != 0 { throw Failure(description: "\(script): \(result.errorOutput)") }
        return result.output
    }

    /// Waits until a file is there, as a script on the node makes it.
    func awaitFile(_ name: String) async throws {
        try await Self.sh(
            "n=0; until [ -s '\(path(name))' ]; do n=$((n + 1)); [ $n -lt 500 ] || exit 1; sleep 0.02; done"
        )
    }

    private func start(_ options: [String], _ hostKeys: [String], _ setup: String) async throws {
        try FileManager.default.createDirectory(atPath: path("home"), withIntermediateDirectories: true)
        let config =
            options + hostKeys.map { "HostKey \(path("host_\($0)"))" } + [
                "ListenAddress \(address)", "Port \(port)", "PidFile \(path("sshd.pid"))",
                "AuthorizedKeysFile \(path("authorized_keys"))", "StrictModes no", "UsePAM no", "LogLevel VERBOSE",
                "PermitRootLogin prohibit-password", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
                // Nobody's own start-up files run in a session: they may take long, or wait for a lock.
                "UseDNS no", "SetEnv HOME=\(path("home"))",
            ]
            // Of these the last one counts.
            + (options.contains { $0.hasPrefix("MaxStartups") } ? [] : ["MaxStartups 200"])
        try write("sshd_config", config.joined(separator: "\n") + "\n")
        try await Self.sh(
            """
            cd '\(directory)'; umask 022; chmod 755 .
            [ $(id -u) != 0 ] || mkdir -p /run/sshd
            for type in \(hostKeys.joined(separator: " ")); do ssh-keygen -q -t $type -N '' -C '' -f host_$type || exit; done
            for type in ed25519 ecdsa; do ssh-keygen -q -t $type -N '' -C $type -f user_$type || exit; done
            ssh-keygen -q -t ed25519 -N '' -C stranger -f stranger || exit
            cat user_ed25519.pub user_ecdsa.pub >authorized_keys
            for key in host_*.pub; do printf '%s ' '\(recordName)'; cat $key; done >known_hosts
            { \(setup.isEmpty ? ":" : setup)
            } || exit
            \(release.program) -D -f "$PWD/sshd_config" -E "$PWD/log" </dev/null >/dev/null 2>&1 &
            pid=$!
            (while kill -0 \(getpid()) && kill -0 $pid; do sleep 1; done; kill -9 $pid) >/dev/null 2>&1 </dev/null &
            n=0
            until grep -q 'Server listening' log; do
            n=$((n + 1)); [ $n -lt 500 ] && kill -0 $pid || { cat log >&2; exit 1; }; sleep 0.02; done
            """
        )
    }

    /// Ends the server and everything below it in the tree of processes.
    private func remove() async {
        if pid > 1 {
            _ = try? await Self.sh(
                """
                tree() { for c in $(cat /proc/$1/task/*/children 2>/dev/null); do tree $c; done; echo $1; }
                for p in $(tree \(pid)); do kill -9 $p 2>/dev/null; done; :
                """
            )
        }
        try? FileManager.default.removeItem(atPath: directory)
    }
}
