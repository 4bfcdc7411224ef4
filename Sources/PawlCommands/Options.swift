// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Foundation

/// Which hosts: `-i`, `--limit`.
struct InventoryOptions: ParsableArguments {
    @Option(name: [.customShort("i"), .long], help: "An inventory file, YAML or INI. May be given several times.")
    var inventory: [String] = []

    @Option(name: [.customShort("l"), .long], help: "Only the hosts that also match this pattern.")
    var limit: String?

    mutating func validate() throws {
        guard !inventory.isEmpty else {
            throw ValidationError("Say which inventory: -i inventories/prod.yaml")
        }
    }
}

/// Values from the command line: `-e`.
struct VariableOptions: ParsableArguments {
    @Option(
        name: [.customShort("e"), .long],
        help:
            "A variable as name=value, a JSON object, or @FILE. Wins over every other source. May be given several times."
    )
    var extraVars: [String] = []
}

extension RunRequest {
    /// What the options of a command name.
    init(_ playbook: String, _ inventory: InventoryOptions, _ variables: VariableOptions) {
        self.init(
            playbook: playbook,
            inventory: inventory.inventory,
            limit: inventory.limit,
            extraVariables: variables.extraVars
        )
    }
}

/// Where runs are recorded: `--state`.
struct StateOptions: ParsableArguments {
    @Option(name: .long, help: "The directory of the journal (default: $XDG_STATE_HOME/pawl or ~/.local/state/pawl).")
    var state: String?

    var directory: URL {
        if let state { return URL(filePath: (state as NSString).expandingTildeInPath) }
        let environment = ProcessInfo.processInfo.environment
        if let base = environment["XDG_STATE_HOME"], !base.isEmpty {
            return URL(filePath: base).appending(path: "pawl")
        }
        return FileManager.default.homeDirectoryForCurrentUser.appending(path: ".local/state/pawl")
    }
}

/// How things are shown: `--format`, `-v`.
struct OutputOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Option(name: .long, help: "text for people, json for programs: one object on each line.")
    var format: Format = .text

    @Flag(name: [.short, .long], help: "Show the remote commands.")
    var verbose = false
}
