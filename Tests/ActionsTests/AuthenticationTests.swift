// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Remote
import TestSupport
import Testing

@testable import Actions
@testable import Etcd

/// Real clusters whose v3 API lets nobody in without a password.
@Suite(.serialized, .enabled(if: EtcdCluster.isAvailable, "etcd, etcdctl and curl are not installed"))
struct AuthenticationTests {
    private static let password = #"a "b" $c 'd' \ e:f"#

    /// Users `root` and `guest`, who may read every key, and authentication that is on.
    private func turnOn(_ cluster: EtcdCluster) async throws -> String {
        let file = "\(cluster.directory)/password"
        try Data((Self.password + "\n").utf8).write(to: URL(filePath: file))
        let lines = [
            ["user", "add", "root:\(Self.password)"], ["user", "grant-role", "root", "root"],
            ["user", "add", "guest:\(Self.password)"], ["role", "add", "reader"],
            ["role", "grant-permission", "reader", "read", "--prefix", ""], ["user", "grant-role", "guest", "reader"],
            ["auth", "enable"],
        ]
        for words in lines { try await cluster.sh("etcdctl --endpoints $url \(ShellQuoting.line(words))") }
        return file
    }

    private func login(_ user: String, _ file: String) -> [String: Value] {
        ["etcd_auth_user": .string(user), "etcd_auth_password_file": .string(file)]
    }

    private func ready() throws -> EtcdReady { try EtcdReady(Parameters([:])) }

    @Test func `preflight lets authentication pass where a user with the role root is named, and says what is wrong`()
        async throws
    {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/a", "1")])
            let file = try await turnOn(cluster)
            let facts = MemoryFacts()
            _ = try await ready().perform(cluster.context(facts, targets: cluster.targets(login("root", file))))
            #expect(facts.fact(RollbackFact.v3Users) == #"["guest","root"]"#)
            try Data("wrong".utf8).write(to: URL(filePath: file + "-wrong"))
            let cases: [([String: Value], String)] = [
                ([:], "set etcd_auth_user to a user with the role root"),
                (["etcd_auth_user": .string("root")], "set etcd_auth_user to a user with the role root"),
                (login("root", file + "-wrong"), "invalid user ID or password"),
                (login("nobody", file), "invalid user ID or password"),
                (login("root", file + "-none"), "cannot be read on the node"),
                (login("guest", file), "permission denied"),
            ]
            for (variables, expected) in cases {
                let context = cluster.context(MemoryFacts(), targets: cluster.targets(variables))
                let message = try await failure(of: ready(), context)
                let lines = message.split(separator: "\n").filter { $0.hasSuffix("[v3_auth]") }
                #expect(lines.count == 3 && lines.allSatisfy { $0.contains(expected) }, "\(message)")
                #expect(!message.contains(Self.password))
            }
        }
    }

    @Test func `a whole migration by hand is proven, and written to, as root`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put((0..<20).map { ("/k\($0)", "v") } + [("/_hidden", "h")])
            let file = try await turnOn(cluster)
            let targets = cluster.targets(login("root", file))
            let facts = MemoryFacts()
            let words: [String: Value] = ["hidden_keys": .string("copy")]
            _ = try await EtcdReady(Parameters(words)).perform(cluster.context(facts, targets: targets))
            for index in 0..<3 {
                _ = try await EtcdConsistent(Parameters([:])).perform(cluster.context(facts, targets: targets))
                try await cluster.migrate(index, facts)
            }
            let context = cluster.context(facts, targets: targets)
            _ = try await EtcdConsistent(Parameters([:])).perform(context)
            #expect(try await EtcdVerified(Parameters([:])).perform(context).values["keys"] == "20")
            let copied = try await EtcdHiddenKeys(Parameters(words)).perform(context)
            #expect(copied.values["written"] == "1")
            _ = try await EtcdCanary(Parameters([:])).perform(context)
            // And whoever has no password gets no further than a certificate would.
            let open = cluster.context(facts)
            let message = try await failure(of: EtcdHiddenKeys(Parameters(words)), open)
            #expect(message.contains("takes no certificate for a user"), "\(message)")
            let wrong = file + "-wrong"
            try Data("wrong".utf8).write(to: URL(filePath: wrong))
            let bad = cluster.context(facts, targets: cluster.targets(login("root", wrong)))
            let refused = try await failure(of: EtcdCanary(Parameters([:])), bad)
            #expect(refused.contains("invalid user ID or password"), "\(refused)")
        }
    }

    @Test func `a v3 write during the roll is named`() async throws {
        try await EtcdCluster.with { cluster in
            try await cluster.put([("/a", "1")])
            let file = try await turnOn(cluster)
            let facts = MemoryFacts()
            let context = cluster.context(facts, targets: cluster.targets(login("root", file)))
            _ = try await ready().perform(context)
            _ = try await EtcdConsistent(Parameters([:])).perform(context)
            try await cluster.migrate(0, facts)
            let user = "ETCDCTL_USER=root:\"$(cat \(ShellQuoting.quote(file)))\""
            try await cluster.sh("\(user) etcdctl --endpoints $url put /v3 x")
            let message = try await failure(of: EtcdConsistent(Parameters([:])), context)
            #expect(message.contains("n1, v3: /v3: added at index"), "\(message)")
            #expect(message.contains("n2, v3: /v3: added at index 2, new sha256:2d711642b726"), "\(message)")
        }
    }

    @Test func `a user that is named does no harm where authentication is off`() async throws {
        try await EtcdCluster.with(size: 1) { cluster in
            try await cluster.put([("/a", "1")])
            try Data("x".utf8).write(to: URL(filePath: "\(cluster.directory)/password"))
            let targets = cluster.targets(login("root", "\(cluster.directory)/password"))
            let context = cluster.context(MemoryFacts(), targets: targets)
            _ = try await ready().perform(context)
            _ = try await EtcdCanary(Parameters([:])).perform(context)
        }
    }

    @Test func `no command line of a probe has the password`() throws {
        let settings = EtcdSettings(variables: login("root", "/etc/password"))
        let line = settings.commandLine(.hashKV(revision: nil))
        #expect(line.hasPrefix(#"ETCDCTL_USER=root:"$(cat -- /etc/password)" timeout"#), "\(line)")
        #expect(!settings.commandLine(.endpointStatus).contains("ETCDCTL_USER"), "told to everybody")
    }
}
