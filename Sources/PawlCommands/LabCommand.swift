// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Lab

/// `pawl lab`: a cluster to try things on.
struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "A throw-away etcd cluster on this machine: real sshd and real etcd on each node.",
        discussion: """
            As root the nodes are booted by systemd-nspawn, each with its own systemd and address; without root they \
            are processes on 127.0.0.x. The inventory is DIR/inventory.yaml.
            """,
        subcommands: [Up.self, Seed.self, Down.self]
    )

    /// Where the lab is: `--dir`.
    struct Place: ParsableArguments {
        @Option(name: .long, help: "The directory of the lab.") var dir: String
    }

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "up",
            abstract: "Brings the cluster up and waits until it is healthy."
        )

        enum Kind: String, ExpressibleByArgument, CaseIterable {
            case auto
            case booted
            case plain
        }

        @OptionGroup var place: Place
        @Option(name: .long, help: "How many members, 1 to 7.") var nodes = 3
        @Option(name: .long, help: "booted (root), plain (no root), or auto.") var kind: Kind = .auto
        @Option(name: .long, help: "The first three parts of an address, as 10.213.7; default: a free one.")
        var network: String?
        @Flag(name: .long, help: "Clients and peers speak https, and show certificates.") var tls = false
        @Option(name: .long, help: "A directory with another etcd and etcdctl than those in the PATH.")
        var etcdDir: String?

        func run() async throws {
            try await ExitReason.reporting {
                let options = LabOptions(
                    nodes: nodes,
                    kind: LabOptions.Kind(rawValue: kind.rawValue) ?? .auto,
                    network: network,
                    tls: tls,
                    etcdDirectory: etcdDir
                )
                let state = try await Lab.up(options, dir: place.dir)
                if let notice = state.notice { ExitReason.say(notice) }
                for node in state.nodes {
                    Terminal.write("\(node.name)  \(node.address):\(node.sshPort)  \(node.clientURL)\n")
                }
                Terminal.write("inventory: \(state.inventory)\n")
            }
        }
    }

    struct Seed: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "seed",
            abstract: "Writes keys through the v2 API of the first member."
        )

        @OptionGroup var place: Place
        @Option(name: .long, help: "How many keys below /bench.") var keys = 300
        @Option(name: .long, help: "The size of their values in bytes.") var valueSize = 200
        @Flag(
            name: .long,
            inversion: .prefixedNo,
            help: "Also /foo, and keys of every kind: deep, empty, UTF-8, large, in-order."
        )
        var kinds = true

        func run() async throws {
            try await ExitReason.reporting {
                let state = try LabState.load(place.dir)
                let seed = LabSeed(keys: keys, valueSize: valueSize, kinds: kinds)
                let written = try await seed.write(to: state)
                Terminal.write("\(written.values) keys written through \(state.nodes.first?.clientURL ?? "")\n")
            }
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "down",
            abstract: "Ends the nodes and removes the lab."
        )

        @OptionGroup var place: Place

        func run() async throws {
            try await ExitReason.reporting { try await Lab.down(dir: place.dir) }
        }
    }
}
