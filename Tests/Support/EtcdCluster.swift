// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// A real etcd cluster on this machine for one test: each member with a loopback address of its own, in a temporary
/// directory that is removed with it.
///
/// The members are ended by their process ids, also when the test fails; a watcher ends them when the test process
/// dies.
package struct EtcdCluster: Sendable {
    package struct Member: Sendable {
        package var name: String
        package var address: String
        package var dataDir: String
        package var clientURL: String { "http://\(address):2379" }
        package var peerURL: String { "http://\(address):2380" }
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    package let directory: String
    package let members: [Member]
    private let arguments: [String]
    private let shell = LocalHost(name: "cluster")

    /// Whether this machine can run one.
    package static let isAvailable = ["/usr/bin/etcd", "/usr/bin/etcdctl", "/usr/bin/curl"].allSatisfy {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// Starts a cluster, runs the test's part with it, and removes it whatever happened.
    package static func with(
        size: Int = 3,
        arguments: [String] = ["--enable-v2=true"],
        _ body: (EtcdCluster) async throws -> Void
    ) async throws {
        let net = DistinctNumber.network()
        // In memory where that is possible: a shared disk makes each fsync of each member slow.
        let isInMemory = FileManager.default.isWritableFile(atPath: "/dev/shm")
        let parent = isInMemory ? "/dev/shm" : FileManager.default.temporaryDirectory.path
        let directory = parent + "/pawl-etcd-\(UUID().uuidString)"
        let members = (1...size).map {
            Member(name: "n\($0)", address: "\(net).\($0)", dataDir: "\(directory)/n\($0)")
        }
        let cluster = EtcdCluster(directory: directory, members: members, arguments: arguments)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        do {
            for member in members { try await cluster.start(member) }
            for member in members { try await cluster.awaitHealthy(member) }
            try await body(cluster)
        } catch {
            await cluster.remove()
            throw error
        }
        await cluster.remove()
    }

    private init(directory: String, members: [Member], arguments: [String]) {
        self.directory = directory
        self.members = members
        self.arguments = arguments
    }

    /// Starts a member, with flags beside those of the cluster.
    package func start(_ member: Member, _ extra: [String] = []) async throws {
        try await sh(startScript(of: member, arguments: extra))
    }

    /// Starts a member in the background, notes its process id, and has a watcher end it with the test process.
    func startScript(of member: Member, arguments extra: [String]) -> String {
        let initial = members.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ",")
        let words =
            [
                "etcd", "--name", member.name, "--data-dir", member.dataDir, "--listen-client-urls", member.clientURL,
                "--advertise-client-urls", member.clientURL, "--listen-peer-urls", member.peerURL,
                "--initial-advertise-peer-urls", member.peerURL, "--initial-cluster", initial,
            ] + arguments + extra
        let files = directory + "/" + member.name
        return """
            \(ShellQuoting.line(words)) >>\(files).log 2>&1 </dev/null &
            pid=$!
            echo $pid >\(files).pid
            (while kill -0 \(getpid()) && kill -0 $pid; do sleep 1; done; kill -9 $pid) >/dev/null 2>&1 </dev/null &
            """
    }

    /// Waits until a member is healthy, and the cluster has found out its version.
    ///
    /// A new cluster speaks `3.0.0` until the leader has asked all members, within about four seconds (etcdserver,
    /// `monitorVersions`).
    package func awaitHealthy(_ member: Member) async throws {
        try await sh(
            """
            n=0
            until curl -s -m 2 \(member.clientURL)/health | grep -q true &&
            curl -s -m 2 \(member.clientURL)/version | grep -Eq '"etcdcluster":"3\\.[1-9]'; do
            n=$((n + 1)); [ $n -lt 300 ] || { tail -n 5 \(directory)/\(member.name).log >&2; exit 1; }; sleep 0.05; done
            """
        )
    }

    /// Ends a member's process with a signal and waits until it is gone.
    package func stop(_ member: Member, signal: String = "TERM") async throws {
        try await sh(
            """
            pid=$(cat \(directory)/\(member.name).pid)
            kill -\(signal) $pid
            # A zombie has let go of everything; when it is reaped is init's affair.
            while [ -d /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status 2>/dev/null; do sleep 0.02; done
            """
        )
    }

    /// What an operator does by hand on one member.
    package func migrate(_ member: Member, _ flags: String = "") async throws {
        try await stop(member)
        try await sh("ETCDCTL_API=3 etcdctl migrate --data-dir \(member.dataDir) \(flags)")
        try await start(member)
        try await awaitHealthy(member)
    }

    /// Sets v2 keys in one curl process; the values may hold anything but a line break.
    package func put(_ keys: [(String, String)], ttl: Int? = nil, on member: Member? = nil) async throws {
        let url = (member ?? members[0]).clientURL
        let blocks = keys.map { key, value in
            let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return
                "url = \"\(url)/v2/keys\(key.replacing("\"", with: "%22"))\"\nrequest = PUT\noutput = /dev/null\nfail\n"
                + "data-urlencode = \"value=\(escaped)\"\n" + (ttl.map { "data = \"ttl=\($0)\"\n" } ?? "")
        }
        try await sh("curl -sS -K -", input: Array(blocks.joined(separator: "next\n").utf8))
    }

    /// Runs a script with `$url` set to the first member's client URL.
    @discardableResult
    package func sh(_ script: String, input: [UInt8] = []) async throws -> String {
        let result = try await shell.run(
            RemoteCommand(
                "fixture",
                script: "url=\(members[0].clientURL) ETCDCTL_API=3; export ETCDCTL_API\n" + script,
                standardInput: input,
                effect: .mutating,
                timeout: .seconds(120)
            )
        )
        if result.exitCode != 0 { throw Failure(description: "\(script): \(result.errorOutput)") }
        return result.output
    }

    private func remove() async {
        for member in members { try? await stop(member, signal: "KILL") }
        try? FileManager.default.removeItem(atPath: directory)
    }
}
