// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Playbooks
import Remote

/// Which hosts: `-i`, `--limit`.
struct InventoryOptions: ParsableArguments {
    @Option(
        name: [.customShort("i"), .long],
        help: """
            An inventory: a file in YAML or INI, a directory of such, a program that prints one, or hosts with commas \
            between them. May be given several times.
            """
    )
    var inventory: [String] = []

    @OptionGroup var vault: VaultOptions

    @Option(name: [.customShort("l"), .long], help: "Only the hosts that also match this pattern.")
    var limit: String?

    mutating func validate() throws {
        guard !inventory.isEmpty else {
            throw ValidationError("Say which inventory: -i inventories/prod.yaml")
        }
    }

    var sources: InventorySources { InventorySources(inventory, vault) }
}

extension InventorySources {
    /// What the command line names, with the settings of Ansible that it would have here.
    init(_ paths: [String], _ vault: VaultOptions) {
        self.init(paths, vaultIDs: vault.identities(), ansibleConfiguration: AnsibleConfiguration.file())
    }
}

/// What opens an inventory that Ansible Vault encrypted: `--vault-password-file`, `--vault-id`.
struct VaultOptions: ParsableArguments {
    @Option(
        name: [.long, .customLong("vault-pass-file")],
        help: """
            A file with the password of Ansible Vault, or a program that prints it \
            (default: $ANSIBLE_VAULT_PASSWORD_FILE). May be given several times.
            """
    )
    var vaultPasswordFile: [String] = []

    @Option(
        name: .long,
        help: "The same as LABEL@FILE, for what was encrypted with --vault-id LABEL. May be given several times."
    )
    var vaultId: [String] = []

    /// All of them as `LABEL@FILE`, with those that Ansible takes from the environment.
    func identities(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> [String] {
        func set(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let listed = set("ANSIBLE_VAULT_IDENTITY_LIST").map { list in
            list.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
        let files = vaultPasswordFile + [set("ANSIBLE_VAULT_PASSWORD_FILE")].compactMap(\.self)
        return (listed ?? []) + vaultId + files.map { "default@\($0)" }
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

    @OptionGroup var vault: VaultOptions

    mutating func validate() throws {
        guard !inventory.isEmpty || limit == nil else {
            throw ValidationError("--limit goes with an inventory: -i inventories/prod.yaml")
        }
    }

    var sources: InventorySources { InventorySources(inventory, vault) }

    /// The options as words of a command line.
    var words: String {
        ShellQuoting.line(sources.arguments + (limit.map { ["--limit", $0] } ?? []))
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
            inventory: inventory.sources,
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

/// What else says how hosts are reached: `--ssh-config`.
struct SSHConfigOptions: ParsableArguments {
    /// Holds what the option has as its value, for whoever does not give the option.
    static let variable = "PAWL_SSH_CONFIG"

    @Option(
        name: .customLong("ssh-config"),
        help: """
            The SSH configuration to read in the place of ~/.ssh/config and /etc/ssh/ssh_config, or none (default: \
            $PAWL_SSH_CONFIG).
            """
    )
    var file: String?

    /// As it would be repeated on a command line, with a space in front; empty where it was not given.
    var words: String { file.map { " --ssh-config \(ShellQuoting.quote($0))" } ?? "" }

    var source: SSHConfig.Source {
        if let file { return SSHConfig.Source((file as NSString).expandingTildeInPath) }
        let named = ProcessInfo.processInfo.environment[Self.variable] ?? ""
        return named.isEmpty ? .usual : SSHConfig.Source(named)
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
