// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Playbooks
import Remote

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

/// Which hosts, where none need be named: `-i`, `--limit`.
struct NodeOptions: ParsableArguments {
    @Option(
        name: [.customShort("i"), .long],
        help: "Ask the nodes of this inventory what run they are in. May be given several times."
    )
    var inventory: [String] = []

    @Option(name: [.customShort("l"), .long], help: "Ask only the hosts of the inventory that match this pattern.")
    var limit: String?

    mutating func validate() throws {
        guard !inventory.isEmpty || limit == nil else {
            throw ValidationError("--limit goes with an inventory: -i inventories/prod.yaml")
        }
    }

    /// The options as words of a command line.
    var words: String {
        ShellQuoting.line(inventory.flatMap { ["-i", $0] } + (limit.map { ["--limit", $0] } ?? []))
    }
}

/// How long a signal is waited for: `--grace`.
struct GraceOptions: ParsableArguments {
    @Option(
        name: .long,
        help: """
            How long the current member may take to come to a safe point after SIGINT or SIGTERM, as 90s or 15m \
            (default: 10m). Then it is as if a second signal had come: nobody waits any more, and what runs on the \
            node is in doubt until the run is resumed.
            """,
        transform: GraceOptions.duration
    )
    var grace: Duration?

    var duration: Duration { grace ?? RunEngine.defaultGrace }

    /// Reads a duration of the command line.
    @Sendable static func duration(_ text: String) throws -> Duration {
        switch DurationText.seconds(text) {
        case .int(let seconds)?: return .seconds(seconds)
        case .double(let seconds)?: return .seconds(seconds)
        default: throw ValidationError("'\(text)' is no duration: write \(DurationText.form)")
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

    /// As it would be repeated on a command line, with a space in front; empty for the default.
    var words: String { state.map { " --state \(ShellQuoting.quote($0))" } ?? "" }

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
