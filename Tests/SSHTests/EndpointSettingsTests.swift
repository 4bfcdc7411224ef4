// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Testing

@testable import SSH

/// What an SSH configuration may say of a host, against a real server.
@Suite("Settings of an endpoint", .serialized, needsServer, .timeLimit(.minutes(1)))
struct EndpointSettingsTests {
    @Test func `a host is on record under its alias, without a port`() async throws {
        try await SSHServerFixture.with { server in
            try server.write("record", "cluster-1 \(server.hostKey("ed25519"))\n")
            func host(_ alias: String?) throws -> SSHHost {
                try server.host {
                    $0.knownHostsFiles = [server.path("record")]
                    $0.hostKeyAlias = alias
                }
            }
            #expect(try await Script.output(try host("cluster-1"), "echo in") == "in\n")
            let error = await Script.failure(try host("cluster-2"))
            #expect(error?.code == .hostKey)
            #expect(error?.remedy?.contains("| sed 's/^[^ ]*/cluster-2/' >>") == true)
            #expect(await Script.failure(try host(nil))?.code == .hostKey)
        }
    }

    @Test func `a new key is written to the first file, hashed where that is asked for`() async throws {
        try await SSHServerFixture.with { server in
            try server.write("second", "other.example \(server.hostKey("ecdsa"))\n")
            func host(_ policy: SSHEndpoint.HostKeyPolicy) throws -> SSHHost {
                try server.host {
                    $0.knownHostsFiles = [server.path("first"), server.path("second")]
                    $0.hostKeyPolicy = policy
                    $0.hashesNewNames = true
                }
            }
            #expect(try await Script.output(try host(.acceptNew), "echo in") == "in\n")
            #expect(server.read("first").hasPrefix("|1|"))
            #expect(!server.read("first").contains(server.address))
            #expect(server.read("second").split(separator: "\n").count == 1)
            // ssh-keygen finds it by its name, and so do we.
            let found = try await SSHServerFixture.sh("ssh-keygen -F '\(server.recordName)' -f \(server.path("first"))")
            #expect(found.contains("found: line 1"))
            #expect(try await Script.output(try host(.strict), "echo in") == "in\n")
        }
    }

    @Test func `the key is looked for in every file`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host {
                $0.knownHostsFiles = [server.path("none"), "/dev/null", server.path("known_hosts")]
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
        }
    }

    @Test(arguments: [
        ("aes256-ctr", "hmac-sha2-512", "ecdh-sha2-nistp384"), ("aes128-ctr", "hmac-sha2-256", "curve25519-sha256"),
    ])
    func `the algorithms are those that are named`(_ cipher: String, _ mac: String, _ exchange: String) async throws {
        try await SSHServerFixture.with(["LogLevel DEBUG2"]) { server in
            let host = try server.host {
                $0.algorithms.ciphers = ["no-such-cipher@example.com", cipher]
                $0.algorithms.macs = [mac]
                $0.algorithms.keyExchange = [exchange]
                $0.algorithms.hostKeys = ["ecdsa-sha2-nistp256"]
            }
            #expect(try await Script.output(host, "echo in") == "in\n")
            #expect(server.log.contains("kex: algorithm: \(exchange)"))
            #expect(server.log.contains("kex: host key algorithm: ecdsa-sha2-nistp256"))
            #expect(server.log.contains("kex: client->server cipher: \(cipher) MAC: \(mac)"))
        }
    }

    @Test func `of a list that follows the record the type on record comes first, of another the first type`()
        async throws
    {
        try await SSHServerFixture.with(hostKeys: ["ed25519", "ecdsa"]) { server in
            try server.write("record", "\(server.recordName) \(server.hostKey("ecdsa"))\n")
            func host(followsRecord: Bool) throws -> SSHHost {
                try server.host {
                    $0.knownHostsFiles = [server.path("record")]
                    $0.algorithms.hostKeys = ["ssh-ed25519", "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp256"]
                    $0.algorithms.prefersRecordedHostKeys = followsRecord
                }
            }
            #expect(try await Script.output(try host(followsRecord: true), "echo in") == "in\n")
            #expect(await Script.failure(try host(followsRecord: false))?.code == .hostKey)
        }
    }

    @Test func `algorithms that libssh2 does not have are named`() async throws {
        try await SSHServerFixture.with { server in
            let host = try server.host { $0.algorithms.ciphers = ["no-such-cipher@example.com"] }
            let error = await Script.failure(host)
            #expect(error?.code == .unreachable)
            #expect(
                error?.message.contains("Ciphers of the SSH configuration allows no-such-cipher@example.com only")
                    == true
            )
            #expect(error?.message.contains("aes256-ctr") == true)
        }
    }

    @Test func `an address of the other family is not connected to`() async throws {
        try await SSHServerFixture.with { server in
            #expect(try await Script.output(try server.host { $0.addressFamily = .inet }, "echo in") == "in\n")
            var endpoint = server.endpoint()
            endpoint.addressFamily = .inet6
            let error = await Script.failure(try SSHHost(endpoint))
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("as an address of inet6") == true)
        }
    }

    @Test func `the configuration says how long a silent host is waited for`() {
        var endpoint = SSHEndpoint(name: "n1", address: "n1", user: "u")
        #expect(SSHLimits().with(endpoint).silence == SSHLimits().silence)
        endpoint.serverAliveInterval = .seconds(15)
        endpoint.serverAliveCountMax = 4
        #expect(SSHLimits().with(endpoint).silence == .seconds(60))
        #expect(SSHLimits().with(endpoint).keepaliveInterval == .seconds(15))
        endpoint.serverAliveInterval = .seconds(1)
        endpoint.serverAliveCountMax = 0
        #expect(SSHLimits().with(endpoint).silence == .seconds(4))
    }
}
