// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import RealNodes

/// What etcd.io tells to do: on one node after the other stop etcd, `etcdctl migrate` as its user, start it again.
///
/// It goes on as an operator does who looks at exit codes and at `endpoint health`, and at nothing else.
struct BareProcedure: Sendable {
    typealias Hook = @Sendable (LabNode) async throws -> Void

    var dataDirectory = "/var/lib/etcd/default"
    /// Further words for `etcdctl migrate`.
    var flags = ""
    /// What happens meanwhile, by the member at hand.
    var afterStop: Hook = { _ in }
    var afterMigration: Hook = { _ in }
    /// Before the next member.
    var afterStart: Hook = { _ in }

    /// With something that happens between the first member and the second, to which the last member is given.
    static func afterFirst(of site: Site, _ trap: @escaping Hook) -> BareProcedure {
        let (first, last) = (site.nodes[0], site.nodes[2])
        return BareProcedure(afterStart: { node in if node == first { try await trap(last) } })
    }

    /// How the procedure went.
    struct Course: Sendable {
        var stopped: String?
        /// What each `etcdctl migrate` said last on stdout.
        var closingLines: [String] = []

        var words: String { stopped ?? "rc 0 on all members" }
    }

    /// Does it on all members, or up to the first that shows an error.
    func perform(on site: Site) async throws -> Course {
        var course = Course()
        for node in site.nodes {
            let stop = try await node.run("systemctl stop etcd")
            guard stop.exitCode == 0 else {
                let why = Self.short(Self.lastLine(stop.standardError))
                course.stopped = "the stop ends with \(stop.exitCode) on \(node.name) (\(why))"
                return course
            }
            try await afterStop(node)
            let migrate =
                "runuser -u etcd -- env ETCDCTL_API=3 timeout 12 /usr/bin/etcdctl migrate --data-dir \(dataDirectory) \(flags)"
            let result = try await node.run("cd / && \(migrate)")
            course.closingLines.append(Self.lastLine(result.standardOutput))
            guard result.exitCode == 0 else {
                course.stopped = Self.stop(on: node, result)
                return course
            }
            try await afterMigration(node)
            guard try await node.run("timeout 30 systemctl start etcd").exitCode == 0 else {
                let log = try await node.run(
                    "journalctl -q -u etcd -o cat -n 60 | grep -aE 'panic|fatal|recover|cannot' | head -n 1"
                )
                let why = Self.short(Self.lastLine(log.standardOutput))
                course.stopped = "rc 0, but etcd of \(node.name) does not start (\(why))"
                return course
            }
            guard try await isHealthy(node, site) else {
                course.stopped = "rc 0, but \(node.name) is not healthy afterwards"
                return course
            }
            try await afterStart(node)
        }
        return course
    }

    private func isHealthy(_ node: LabNode, _ site: Site) async throws -> Bool {
        try await eventually(within: 10, every: .milliseconds(200)) {
            try await site.etcdctl(node, "endpoint health").exitCode == 0
        }
    }

    private static func stop(on node: LabNode, _ result: LabOutput) -> String {
        let lines = (result.standardError + "\n" + result.standardOutput).split(separator: "\n").map(String.init)
        let telling = lines.first { line in
            ["rror:", "panic:", "waiting for", "cannot commit"].contains { line.contains($0) }
        }
        let code = result.exitCode == 124 ? "no end of etcdctl" : "rc \(result.exitCode)"
        let said = telling.map { " (\(short($0)))" } ?? ""
        return "\(code) on \(node.name)\(said), which is left stopped"
    }

    static func lastLine(_ text: String) -> String { text.split(separator: "\n").last.map(String.init) ?? "" }

    static func short(_ text: String, _ length: Int = 110) -> String {
        text.count > length ? text.prefix(length) + "…" : text
    }
}

extension Site {
    /// Expects the bare procedure to leave a cluster that is not migrated, and says what became of it.
    func expectTrap(in procedure: BareProcedure, _ finding: inout Finding) async throws {
        let course = try await procedure.perform(on: self)
        let look = try await ClusterLook.take(of: self)
        finding.bare = "\(course.words); \(look.words)"
        finding.expect(!look.isMigrated, "the trap did not show")
    }
}
