// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Fleet

/// `pawl ssh-config`: how a host is reached, in the form of `ssh -G`.
struct SSHConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ssh-config",
        abstract:
            "Shows how a host is reached, as ssh -G does: the inventory's word first, then the SSH configuration.",
        discussion: """
            With an inventory the host is one of that inventory, and its variables (ansible_host, ansible_user, \
            ansible_ssh_common_args, ...) are as the command line of ssh. Without one it is what ssh would be asked to \
            connect to, as [user@]host or ssh://[user@]host[:port]. Nothing is contacted, but commands of Match exec are run.
            """
    )

    @Option(name: [.customShort("i"), .long], help: "An inventory, YAML or INI. May be given several times.")
    var inventory: [String] = []
    @OptionGroup var vault: VaultOptions
    @OptionGroup var ssh: SSHConfigOptions
    @Argument(help: "A host of the inventory, or what ssh would be asked for.") var host: String

    func run() async throws {
        try await ExitReason.reporting {
            let settings = try SSHConfig(ssh.source).settings(for: try connection())
            Terminal.write(settings.lines.map { $0 + "\n" }.joined())
        }
    }

    private func connection() throws -> ConnectionSettings {
        guard inventory.isEmpty else {
            let loaded = try Inventory.load(InventorySources(inventory, vault))
            for warning in loaded.warnings { ExitReason.say(warning.description) }
            guard let found = loaded.host(host) else {
                let question =
                    NearNames.question(host, among: loaded.hosts.map(\.name)) ?? "`pawl inventory --graph` lists them"
                throw DiagnosticsError([
                    Diagnostic(at: nil, "the inventory has no host `\(host)`", remedy: question)
                ])
            }
            return try ConnectionSettings(host: try loaded.opened(found))
        }
        return try ConnectionSettings(asked: host)
    }
}
