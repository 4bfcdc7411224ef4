// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Fleet
import Foundation
import Testing

@testable import PawlCommands

@Suite struct CommandLineTests {
    private func parse<Command: ParsableCommand>(_ line: String, as type: Command.Type) throws -> Command {
        let words = line.split(separator: " ").map(String.init)
        return try #require(try PawlCommand.parseAsRoot(words) as? Command)
    }

    private func exitCode(of line: String) -> Int32? {
        do {
            var command = try PawlCommand.parseAsRoot(line.split(separator: " ").map(String.init))
            // Help is a command of its own, which ends by throwing.
            if command is any AsyncParsableCommand { return nil }
            try command.run()
            return nil
        } catch {
            return PawlCommand.exitCode(for: error).rawValue
        }
    }

    @Test func `run takes several inventories and variables, in their order`() throws {
        let command = try parse(
            "run -i a.ini --inventory b.yaml -l n1 -e x=1 --extra-vars y=2 --state /s --format json -v --yes"
                + " --plan plan.json play.yaml",
            as: RunCommand.self
        )
        #expect(command.inventory.inventory == ["a.ini", "b.yaml"])
        #expect(command.inventory.limit == "n1")
        #expect(command.variables.extraVars == ["x=1", "y=2"])
        #expect(command.state.directory.path == "/s")
        #expect(command.output.format == .json)
        #expect(command.output.verbose)
        #expect(command.yes)
        #expect(command.plan == "plan.json")
        #expect(command.playbook == "play.yaml")
    }

    @Test func `run takes clusters one after the other or side by side`() throws {
        let command = try parse("run -i a --each a,b --each etcd_* --parallel 3 --keep-going p", as: RunCommand.self)
        #expect(command.each == ["a,b", "etcd_*"] && command.parallel == 3 && command.keepGoing)
        for words in ["--parallel 2", "--keep-going", "--each a -l b", "--each a --plan f", "--each a --parallel 0"] {
            #expect(exitCode(of: "run -i a \(words) p") == 64, "\(words)")
        }
    }

    @Test func `the worst of several clusters is the exit code of all`() {
        func worst(_ codes: [Int32?]) -> Int32 {
            ClusterEnding.worst(codes.map { ClusterEnding(group: "g", result: "r", exitCode: $0) })
        }
        #expect(worst([0, 0]) == 0)
        #expect(worst([0, 4, 3]) == 3)
        #expect(worst([1, 3]) == 1)
        #expect(worst([4, nil]) == 4)
        #expect(worst([4, 0]) == 3 && worst([0, 5]) == 5, "refused is what changed nothing")
        #expect(worst([0, nil]) == 130)
        #expect(worst([nil, nil]) == 130)
        #expect(worst([130, 0]) == 130)
    }

    @Test func `what is left out is asked, shown as text and not limited`() throws {
        let command = try parse("run -i a.ini play.yaml", as: RunCommand.self)
        #expect(!command.yes)
        #expect(command.plan == nil)
        #expect(command.inventory.limit == nil)
        #expect(command.output.format == .text)
        #expect(!command.output.verbose)
        #expect(command.state.state == nil)
        #expect(!command.supersede)
        #expect(command.grace.duration == .seconds(600))
    }

    @Test func `the grace time is a duration as in a playbook`() throws {
        func grace(_ text: String) throws -> Duration {
            try parse("run -i a play.yaml --grace \(text)", as: RunCommand.self).grace.duration
        }
        #expect(try grace("1h30m") == .seconds(5_400))
        #expect(try grace("0") == .zero)
        #expect(try grace("500ms") == .milliseconds(500))
        #expect(try parse("run -i a play.yaml --supersede", as: RunCommand.self).supersede)
    }

    @Test func `plan, verify and check take an inventory`() throws {
        #expect(try parse("plan -i a --out p.json play.yaml", as: PlanCommand.self).out == "p.json")
        let verify = try parse("verify -i a", as: VerifyCommand.self)
        #expect(verify.playbook == "playbooks/migrate_etcd_v2_to_v3.yaml")
        #expect(try parse("check -i a -l web", as: CheckCommand.self).inventory.limit == "web")
    }

    @Test func `exec takes a command line, and whom it runs as only together with -b`() throws {
        let command = try parse("exec -i a -l web -b --become-user etcd --timeout 2m -f 9 uptime", as: ExecCommand.self)
        #expect(command.command == "uptime" && command.become && command.becomeUser == "etcd")
        #expect(command.timeout == .seconds(120) && command.forks.forks == 9)
        #expect(try parse("exec -i a uptime", as: ExecCommand.self).forks.forks == 64)
        for line in ["exec -i a --become-user etcd id", "exec -i a", "exec -i a --forks 0 id", "exec -i a id now"] {
            #expect(exitCode(of: line) == 64, "\(line)")
        }
    }

    @Test func `vault passwords are named on the command line and in the environment, as Ansible has it`() throws {
        let check = try parse(
            "check -i a --vault-password-file p --vault-id prod@q --vault-pass-file r",
            as: CheckCommand.self
        )
        #expect(check.inventory.vault.identities(environment: [:]) == ["prod@q", "default@p", "default@r"])
        let environment = ["ANSIBLE_VAULT_PASSWORD_FILE": "f", "ANSIBLE_VAULT_IDENTITY_LIST": "x@1, y@2,"]
        #expect(
            check.inventory.vault.identities(environment: environment)
                == ["x@1", "y@2", "prod@q", "default@p", "default@r", "default@f"]
        )
        #expect(check.inventory.vault.identities(environment: ["ANSIBLE_VAULT_PASSWORD_FILE": ""]).count == 3)
        let status = try parse("status -i a --vault-id prod@q", as: StatusCommand.self)
        #expect(status.nodes.sources.vaultIDs.contains("prod@q"))
        #expect(status.nodes.words.contains("--vault-id prod@q"))
    }

    @Test func `resume and status name a run or take the newest`() throws {
        #expect(try parse("resume", as: ResumeCommand.self).name == nil)
        #expect(try parse("resume 2026 --state /s", as: ResumeCommand.self).name == "2026")
        #expect(try parse("status 2026", as: StatusCommand.self).name == "2026")
        let elsewhere = try parse("resume -i a.ini -i b.ini -l n1 2026 --grace 90s", as: ResumeCommand.self)
        #expect(elsewhere.nodes.inventory == ["a.ini", "b.ini"])
        #expect(elsewhere.nodes.limit == "n1")
        #expect(elsewhere.name == "2026")
        #expect(elsewhere.grace.duration == .seconds(90))
        #expect(try parse("status -i a.ini", as: StatusCommand.self).nodes.inventory == ["a.ini"])
        #expect(try parse("runs --format json", as: RunsCommand.self).output.format == .json)
    }

    @Test func `the inventory is shown in exactly one form`() throws {
        #expect(try parse("inventory -i a --list", as: InventoryCommand.self).list)
        #expect(try parse("inventory -i a --graph", as: InventoryCommand.self).graph)
        #expect(try parse("inventory -i a --host n1", as: InventoryCommand.self).host == "n1")
        #expect(exitCode(of: "inventory -i a") == 64)
        #expect(exitCode(of: "inventory -i a --list --graph") == 64)
    }

    @Test func `a lab has its size, kind and place`() throws {
        let up = try parse("lab up --dir /d --nodes 5 --kind plain", as: LabCommand.Up.self)
        #expect(up.place.dir == "/d")
        #expect(up.nodes == 5)
        #expect(up.kind == .plain)
        #expect(try parse("lab seed --dir /d --keys 7 --value-size 9", as: LabCommand.Seed.self).keys == 7)
        #expect(try parse("lab down --dir /d", as: LabCommand.Down.self).place.dir == "/d")
    }

    @Test func `the state directory follows the environment when it is not given`() throws {
        let directory = try parse("runs", as: RunsCommand.self).state.directory.path
        let base = ProcessInfo.processInfo.environment["XDG_STATE_HOME"].flatMap { $0.isEmpty ? nil : $0 }
        #expect(directory.hasSuffix("/pawl"))
        #expect(directory.hasPrefix(base ?? FileManager.default.homeDirectoryForCurrentUser.path))
    }

    @Test(arguments: [
        "run play.yaml", "run -i a", "plan -i a", "run -i a play.yaml --what", "run -i a play.yaml --format xml",
        "check", "verify", "resume a b", "run -i a play.yaml --grace soon", "resume -l n1", "status -l n1", "lab up",
        "lab up --dir /d --kind vm", "nonsense", "inventory --list",
    ])
    func `wrong usage ends with 64`(line: String) {
        #expect(exitCode(of: line) == 64)
    }

    @Test(arguments: ["--help", "run --help", "--version", "lab up --help"])
    func `asking for help or the version is no error`(line: String) {
        #expect(exitCode(of: line) == 0)
    }

    @Test func `the help of every command says what it is for and what it takes`() throws {
        let expected: [(any ParsableCommand.Type, [String])] = [
            (CheckCommand.self, ["Changes nothing", "--inventory", "--limit", "--format"]),
            (ExecCommand.self, ["equal answers", "--become-user", "--timeout", "--forks", "in doubt", "<command>"]),
            (RehearseCommand.self, ["Touches no service", "--scratch", "--no-ttl", "--timeout", "--limit"]),
            (PlanCommand.self, ["Changes nothing", "--out", "leader goes last", "<playbook>"]),
            (
                RunCommand.self,
                [
                    "one node at a time", "--each", "--parallel", "--keep-going", "--yes", "--plan", "--state",
                    "--extra-vars", "@FILE", "--supersede",
                ]
            ),
            (ResumeCommand.self, ["looking at the nodes first", "--state", "<name>", "from the nodes", "--grace"]),
            (RollbackCommand.self, ["before a run", "--limit", "--yes", "--lose-v3-writes", "<name>"]),
            (BackupsCommand.self, ["Changes nothing", "--verify", "--dir", "backup_dir"]),
            (StatusCommand.self, ["what to do next", "Reads the journal only"]),
            (RunsCommand.self, ["newest first", "--state"]),
            (JournalCommand.self, ["export"]),
            (UnlockCommand.self, ["gone for good", "--reason", "--limit", "--yes", "--no-become"]),
            (VerifyCommand.self, ["Changes nothing", "hashkv"]),
            (InventoryCommand.self, ["--list", "--graph", "--host", "ansible-inventory"]),
            (SSHConfigCommand.self, ["as ssh -G does", "Nothing is contacted", "--ssh-config", "PAWL_SSH_CONFIG"]),
            (ActionsCommand.self, ["Markdown"]),
            (LabCommand.self, ["throw-away", "up", "seed", "down"]),
        ]
        #expect(expected.count == PawlCommand.configuration.subcommands.count)
        for (command, texts) in expected {
            // The help is wrapped to a width; what it says is compared without its line breaks.
            let help = PawlCommand.helpMessage(for: command).split(whereSeparator: \.isWhitespace).joined(
                separator: " "
            )
            for text in texts { #expect(help.contains(text), "\(command): \(text)") }
        }
    }

    @Test func `the help of the program lists the exit codes`() {
        let help = PawlCommand.helpMessage().split(whereSeparator: \.isWhitespace).joined(separator: " ")
        for text in ["0 done and verified", "3 halted", "4 refused", "5 locked", "6 drift", "64", "65", "130"] {
            #expect(help.contains(text))
        }
    }
}
