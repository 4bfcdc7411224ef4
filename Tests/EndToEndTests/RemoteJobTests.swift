// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import TestSupport
import Testing

extension EndToEnd {
    /// A long command on a node that is cut off, goes silent, or goes down while it is at work.
    @Suite(.serialized)
    struct RemoteJobTests {
        /// A line that says when it begins and when it ends, and takes as long as the test wants it to.
        private static let playbook = """
            name: A long piece of work
            hosts: etcd
            become: true
            order: inventory
            on_failure: halt
            steps:
              - name: Work
                command:
                  run: >-
                    echo begun >>/var/tmp/work; n=0;
                    until [ -e /var/tmp/go ]; do n=$((n + 1)); echo "round $n"; sleep 0.2; done;
                    echo ended >>/var/tmp/work; echo all done
                  redo: never
                  success: { stdout: all done }
                timeout: 4m

            """

        private struct Work: Sendable {
            let cluster: ClusterFixture
            let node: LabNode
            let arguments: [String]

            init(_ cluster: ClusterFixture) async throws {
                self.cluster = cluster
                node = cluster.nodes[0]
                let path = "\(cluster.directory)/work.yaml"
                try RemoteJobTests.playbook.write(toFile: path, atomically: true, encoding: .utf8)
                arguments = cluster.runArguments(path, ClusterFixture.json)
                try await node.check("rm -f /var/tmp/work /var/tmp/go")
            }

            func waitForBegin(_ pawl: RunningPawl) async throws {
                try await pawl.wait(for: "what the line prints") {
                    $0.event == "step_progress" && $0.message?.hasPrefix("round") == true
                }
            }

            func waitForLoss(_ pawl: RunningPawl) async throws {
                try await pawl.wait(for: "the loss of the connection") {
                    $0.event == "step_progress" && $0.message?.contains("connecting again") == true
                }
            }

            func letItEnd() async throws { try await node.check("touch /var/tmp/go") }

            /// It ran once and to its end, and nothing of it is left.
            func expectDoneOnce(
                _ output: ClusterFixture.Output,
                sourceLocation: SourceLocation = #_sourceLocation
            )
                async throws
            {
                #expect(output.exitCode == 0, "\(output.all)", sourceLocation: sourceLocation)
                let log = try await node.check("cat /var/tmp/work")
                #expect(log == "begun\nended\n", sourceLocation: sourceLocation)
                let left = try await node.check("ls /var/lib/pawl/jobs 2>/dev/null || true")
                #expect(left == "", sourceLocation: sourceLocation)
            }
        }

        @Test func `what is shown of a migration at work is for people to read`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                try await cluster.seed(LabSeed(keys: 100, kinds: false))
                let node = cluster.nodes[0]
                try await InterruptTests.slowDownMigration(on: node, seconds: 6)
                let output = try await cluster.pawl(cluster.runArguments(ClusterFixture.inPlace, ClusterFixture.json))
                #expect(output.exitCode == 0, "\(output.all)")
                let news = try output.events().filter { $0.event == "step_progress" }
                let migrating = news.filter { $0.action == "etcd_migrate" }.compactMap(\.message)
                #expect(migrating.count >= 2, "\(migrating)")
                #expect(
                    migrating.allSatisfy {
                        $0.hasPrefix("etcdctl migrate has been at work for ") && $0.hasSuffix(" MiB")
                    },
                    "\(migrating)"
                )
                #expect(Set(migrating).count == migrating.count, "each second is said once: \(migrating)")
                let pairs = news.compactMap(\.message).filter { $0.prefix { $0 != " " }.contains("=") }
                #expect(pairs.isEmpty, "\(pairs)")
            }
        }

        @Test func `a cut connection, a restarted sshd and a killed controller neither end nor repeat it`() async throws
        {
            try await ClusterFixture.with(nodes: 1) { cluster in
                let faults: [(String, @Sendable (LabNode) async throws -> Void)] = [
                    ("the connection is cut", { try await $0.cutConnections() }),
                    (
                        "sshd is restarted",
                        {
                            try await $0.check("systemctl stop ssh; sleep 1; systemctl start ssh");
                            try await $0.cutConnections()
                        }
                    ),
                ]
                for (what, fault) in faults {
                    let work = try await Work(cluster)
                    let output = try await cluster.follow(work.arguments) { pawl in
                        try await work.waitForBegin(pawl)
                        try await fault(work.node)
                        try await work.waitForLoss(pawl)
                        try await work.letItEnd()
                    }
                    try await work.expectDoneOnce(output)
                    #expect(output.stdout.contains("connecting again"), "\(what)")
                }
                let work = try await Work(cluster)
                try await cluster.expectKilled(work.arguments) { try await work.waitForBegin($0) }
                let resumed = try await cluster.follow(cluster.resumeArguments + ClusterFixture.json) { pawl in
                    try await work.waitForBegin(pawl)
                    try await work.letItEnd()
                }
                try await work.expectDoneOnce(resumed)
            }
        }

        @Test(.enabled("needs booted nodes") { geteuid() == 0 })
        func `a node that goes silent is noticed in under 30 s, and attached to when it is back`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                // Of a connection that is just made or closed, a process may be gone before it gets the signal.
                let sessions = "$(pgrep -f '^sshd: admin') || true"
                typealias Act = @Sendable (LabNode) async throws -> Void
                let faults: [(String, go: Act, back: Act)] = [
                    ("its packets are dropped", { try await $0.unplug() }, { try await $0.plug() }),
                    (
                        "sshd is stopped", { try await $0.check("kill -STOP \(sessions)") },
                        { try await $0.check("kill -CONT \(sessions)") }
                    ),
                    ("it is frozen", { try await $0.freeze() }, { try await $0.thaw() }),
                ]
                for (what, go, back) in faults {
                    let work = try await Work(cluster)
                    let output = try await cluster.follow(work.arguments) { pawl in
                        try await work.waitForBegin(pawl)
                        let silent = ContinuousClock.now
                        try await go(work.node)
                        do {
                            try await work.waitForLoss(pawl)
                        } catch {
                            try? await back(work.node)
                            throw error
                        }
                        let noticed = ContinuousClock.now - silent
                        #expect(noticed < .seconds(30), "\(what)")
                        print("\(what): noticed after \(noticed)")
                        try await back(work.node)
                        try await work.letItEnd()
                    }
                    try await work.expectDoneOnce(output)
                }
            }
        }

        @Test(.enabled("needs booted nodes") { geteuid() == 0 })
        func `it outlives a session whose processes logind kills`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                let work = try await Work(cluster)
                // The lab's nodes boot faster without it.
                try await work.node.check(
                    """
                    mkdir -p /etc/systemd/logind.conf.d
                    printf '[Login]\nKillUserProcesses=yes\n' >/etc/systemd/logind.conf.d/kill.conf
                    systemctl unmask systemd-logind; systemctl start systemd-logind
                    """
                )
                try await cluster.expectKilled(work.arguments) { pawl in
                    try await work.waitForBegin(pawl)
                    try await work.node.check("loginctl list-sessions --no-legend | grep -q admin")
                }
                try await work.node.check(
                    "while loginctl list-sessions --no-legend | grep -q admin; do sleep 0.1; done"
                )
                let resumed = try await cluster.follow(cluster.resumeArguments + ClusterFixture.json) { pawl in
                    try await work.waitForBegin(pawl)
                    try await work.letItEnd()
                }
                try await work.expectDoneOnce(resumed)
            }
        }

        @Test(.enabled("needs booted nodes") { geteuid() == 0 })
        func `a node that goes down leaves it in doubt, and it is not done again`() async throws {
            try await ClusterFixture.with(nodes: 1) { cluster in
                let work = try await Work(cluster)
                let halted = try await cluster.follow(work.arguments) { pawl in
                    try await work.waitForBegin(pawl)
                    try await work.node.powerOff()
                    try await work.waitForLoss(pawl)
                    try await work.node.boot(in: cluster.lab)
                }
                #expect(halted.exitCode == 3, "\(halted.all)")
                #expect(try halted.report().reason?.contains("node went down") == true, "\(halted.all)")
                for _ in 1...2 {
                    let resumed = try await cluster.pawl(cluster.resumeArguments + ClusterFixture.json)
                    #expect(resumed.exitCode == 3, "\(resumed.all)")
                    #expect(try resumed.report().reason?.contains("must not be done twice") == true, "\(resumed.all)")
                }
                #expect(try await work.node.check("cat /var/tmp/work") == "begun\n")
            }
        }
    }
}
