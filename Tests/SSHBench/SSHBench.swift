// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Remote
import SSH

/// What pawl's own SSH costs without the rest of pawl: serial commands, and files up and down.
///
/// See scripts/bench-ssh.
@main
struct SSHBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ssh-bench",
        subcommands: [Steps.self, Put.self, Get.self]
    )
}

/// How the hosts are reached.
struct Way: ParsableArguments {
    @Option(name: .long, help: "The private key.") var key: String
    @Option(name: .long, help: "The file of known hosts.") var knownHosts: String
    @Option(name: .long, help: "Whom to log in as.") var user: String = NSUserName()

    /// The host behind `ADDRESS:PORT`.
    func host(_ address: String) throws -> SSHHost {
        let parts = address.split(separator: ":").map(String.init)
        guard parts.count == 2, let port = Int(parts[1]) else { throw ValidationError("\(address) is no ADDRESS:PORT") }
        return try SSHHost(
            SSHEndpoint(
                name: address,
                address: parts[0],
                port: port,
                user: user,
                privateKeyFiles: [key],
                useAgent: false,
                knownHostsFiles: [knownHosts]
            )
        )
    }
}

/// Commands one after the other on each host, and host after host.
struct Steps: AsyncParsableCommand {
    @OptionGroup var way: Way
    @Option(name: .long, help: "How many commands a host.") var count = 6
    @Argument(help: "ADDRESS:PORT of each host.") var hosts: [String]

    func run() async throws {
        for address in hosts {
            let host = try way.host(address)
            for _ in 0..<count {
                let result = try await host.run(RemoteCommand("step", script: "true", effect: .readOnly))
                guard result.exitCode == 0 else { throw ExitCode.failure }
            }
            await host.close()
        }
    }
}

/// A file up to the host: beside its path first, on the disk, proven by SHA-256, and renamed.
struct Put: AsyncParsableCommand {
    @OptionGroup var way: Way
    @Argument(help: "ADDRESS:PORT.") var host: String
    @Argument(help: "The file here.") var file: String
    @Argument(help: "The path there.") var path: String

    func run() async throws {
        let host = try way.host(host)
        try await host.upload(URL(filePath: file), to: path, mode: 0o600, timeout: .seconds(600))
        await host.close()
    }
}

/// A file down from the host, proven by SHA-256.
struct Get: AsyncParsableCommand {
    @OptionGroup var way: Way
    @Argument(help: "ADDRESS:PORT.") var host: String
    @Argument(help: "The path there.") var path: String
    @Argument(help: "The file here.") var file: String

    func run() async throws {
        let host = try way.host(host)
        try await host.download(path, to: URL(filePath: file), timeout: .seconds(600))
        await host.close()
    }
}
