// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Fleet
import Playbooks

/// `pawl inventory`: what pawl reads in an inventory, in the form of `ansible-inventory`.
struct InventoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inventory",
        abstract: "Shows hosts, groups and variables as ansible-inventory does."
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @Flag(name: .long, help: "All hosts and groups with their variables, as JSON.") var list = false
    @Flag(name: .long, help: "The groups as a tree.") var graph = false
    @Flag(name: .long, help: "With --graph: the variables of each host and group below it.") var vars = false
    @Option(name: .long, help: "The variables of one host, as JSON.") var host: String?

    mutating func validate() throws {
        let chosen = (list ? 1 : 0) + (graph ? 1 : 0) + (host == nil ? 0 : 1)
        guard chosen == 1 else { throw ValidationError("Say one of --list, --graph, --host NAME.") }
        guard graph || !vars else { throw ValidationError("--vars goes with --graph.") }
    }

    func run() async throws {
        try await ExitReason.reporting {
            let loaded = try Inventory.load(inventory.sources)
            for warning in loaded.warnings { ExitReason.say(warning.description) }
            let extra = try ExtraVariables.parse(variables.extraVars)
            let listing = try InventoryListing(loaded.overridden(by: extra), limit: inventory.limit)
            if list { Terminal.write(listing.list() + "\n") }
            if graph { Terminal.write(try listing.graph(showingVariables: vars) + "\n") }
            if let host { Terminal.write(try listing.host(host) + "\n") }
        }
    }
}
