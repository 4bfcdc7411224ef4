// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Fleet

/// What `ansible-vault` of ansible-core 2.19 encrypted, in the cases that `scripts/diff-inventory` compares, too.
@Suite(.timeLimit(.minutes(1)))
struct VaultTests {
    private static func file(_ name: String) -> String { ListingTests.folder + "/" + name }

    private static func text(_ name: String) throws -> String {
        try String(contentsOfFile: file(name), encoding: .utf8)
    }

    private func problems(_ sources: InventorySources) -> [Diagnostic] {
        let error = #expect(throws: DiagnosticsError.self) { try Inventory.load(sources) }
        for problem in error?.diagnostics ?? [] { #expect(problem.remedy?.isEmpty == false, "\(problem)") }
        return error?.diagnostics ?? []
    }

    /// A folder with an inventory of n1, these files, and the password of the case `vault-values` in `password`.
    private func folder(_ files: [String: String]) throws -> TemporaryFolder {
        let own = ["hosts.ini": "[etcd]\nn1\n", "password": "the default password\n", "other": "another\n"]
        return try TemporaryFolder(own.merging(files) { $1 })
    }

    // MARK: - Values

    @Test func `a value that is encrypted by itself stays so, and is opened for the connection`() throws {
        let inventory = try Inventory.load(try ListingTests.sources(of: "vault-values"))
        let host = try #require(inventory.host("n1"))
        for name in ["ansible_user", "ansible_port", "ansible_become_password", "nested"] {
            #expect(host.variables[name]?.isSealed == true, "\(name)")
        }
        let opened = try inventory.opened(host)
        #expect(opened.variables["ansible_user"] == .string("deploy"))
        #expect(opened.variables["ansible_become_password"]?.isSealed == true)
        #expect(opened.variables["nested"]?.isSealed == true)
        let settings = try SSHConfig(.none).settings(for: ConnectionSettings(host: opened))
        #expect(settings.user == "deploy" && settings.port == 2222)
        #expect(try inventory.secret("ansible_become_password", of: host)?.reveal() == "hünter2\n")
        #expect(try inventory.secret("ansible_host", of: host)?.reveal() == "10.0.0.1")
        #expect(try inventory.secret("nothing", of: host) == nil)
    }

    @Test func `no text of the inventory holds what was encrypted`() throws {
        let inventory = try Inventory.load(try ListingTests.sources(of: "vault-values"))
        var dumped = ""
        dump(inventory, to: &dumped)
        dump(try inventory.secret("ansible_become_password", of: try #require(inventory.host("n1"))), to: &dumped)
        for text in [dumped, inventory.canonicalText(), try InventoryListing(inventory).list()] {
            for secret in ["hünter2", "h\\u00fcnter2", "the default password", "deploy"] {
                #expect(!text.contains(secret))
            }
        }
    }

    @Test func `without its password a value may stand, and may not be used`() throws {
        var sources = try ListingTests.sources(of: "vault-values")
        sources.vaultIDs = []
        let inventory = try Inventory.load(sources)
        let host = try #require(inventory.host("n1"))
        let error = #expect(throws: DiagnosticsError.self) { try inventory.opened(host) }
        #expect(
            error?.diagnostics.map(\.summary) == [
                "the variable ansible_port is encrypted by Ansible Vault with the password called prod, "
                    + "and no password is given",
                "the variable ansible_user is encrypted by Ansible Vault, and no password is given",
            ]
        )
        #expect(error?.diagnostics.first?.remedy?.contains("--vault-id prod@FILE") == true)
        #expect(error?.diagnostics.first?.location?.file.hasSuffix("vault-values/group_vars/etcd.yml") == true)
    }

    @Test func `a label is a hint: every password is tried`() throws {
        let password = Self.file("vault-values/vault-prod")
        let text = try Self.text("vault-values/group_vars/etcd.yml")
        let folder = try folder(["group_vars/etcd.yml": text])
        let inventory = try Inventory.load(
            InventorySources(
                [folder.file("hosts.ini")],
                vaultIDs: [folder.file("other"), "x@\(password)", folder.file("password")]
            )
        )
        #expect(try inventory.opened(try #require(inventory.host("n1"))).variables["ansible_port"] == .string("2222"))
    }

    // MARK: - Files

    @Test func `a file that is encrypted as a whole is read as what it was`() throws {
        let inventory = try Inventory.load(try ListingTests.sources(of: "vault-files"))
        let variables = try #require(inventory.host("n2")).variables
        #expect(variables["vault_become_password"] == .string("hunter2") && variables["number"] == .int(7))
    }

    @Test func `a wrong password, and none, are told with the file`() throws {
        let folder = try folder(["group_vars/etcd.yml": try Self.text("vault-files/group_vars/all/vault.yml")])
        var sources = InventorySources([folder.file("hosts.ini")])
        let missing = try #require(problems(sources).first)
        #expect(missing.location?.file == folder.file("group_vars/etcd.yml"))
        #expect(missing.summary == "the file is encrypted by Ansible Vault, and no password is given")
        #expect(missing.remedy == "name the file of its password with --vault-password-file")
        sources.vaultIDs = [folder.file("other"), "b@" + folder.file("password")]
        let wrong = try #require(problems(sources).first)
        #expect(
            wrong.summary == "the file is encrypted by Ansible Vault, and none of the given passwords opens it"
        )
        #expect(wrong.remedy?.contains("b of \(folder.file("password"))") == true)
        #expect(!wrong.description.contains("another"))
    }

    @Test(arguments: [
        ("$ANSIBLE_VAULT;1.1;AES\n3030\n", 1, "the version 1.1 of Ansible Vault with the cipher AES is not supported"),
        ("$ANSIBLE_VAULT;1.3;AES256\n3030\n", 1, "the version 1.3 of Ansible Vault"),
        ("$ANSIBLE_VAULT\n3030\n", 1, "what is marked as encrypted by Ansible Vault does not begin with"),
        ("$ANSIBLE_VAULT;1.1;AES256\n3030\n30x0\n", 3, "the line holds other characters"),
        ("$ANSIBLE_VAULT;1.1;AES256\n303\n", 2, "the line holds other characters"),
        ("$ANSIBLE_VAULT;1.1;AES256\n3030\n", 1, "what Ansible Vault encrypted is cut off"),
        ("$ANSIBLE_VAULT;1.1;AES256", 1, "what Ansible Vault encrypted is cut off"),
    ])
    func `a text that ansible-vault never wrote is told with its line`(text: String, line: Int, words: String) throws {
        let folder = try folder(["group_vars/etcd.yml": text])
        let found = problems(InventorySources([folder.file("hosts.ini")], vaultIDs: [folder.file("password")]))
        #expect(found.count == 1)
        #expect(found.first?.location?.line == line)
        #expect(found.first?.summary.hasPrefix(words) == true, "\(found)")
    }

    @Test func `one changed digit, and an end that is cut off, are refused`() throws {
        let text = try Self.text("vault-files/group_vars/all/vault.yml")
        let password = Self.file("vault-files/vault-default")
        let lines = text.split(separator: "\n")
        let last = lines[lines.count - 1]
        let changed = lines.dropLast().joined(separator: "\n") + "\n" + last.dropLast() + (last.last == "0" ? "1" : "0")
        for broken in [changed, lines.dropLast().joined(separator: "\n")] {
            let folder = try folder(["group_vars/etcd.yml": broken])
            let found = problems(InventorySources([folder.file("hosts.ini")], vaultIDs: [password]))
            #expect(found.count == 1, "\(found)")
        }
    }

    @Test func `what is wrong within an encrypted file is told without what it holds`() throws {
        let inventory = try Self.text("vault-inventory/hosts")
        let folder = try folder(["secret.yml": inventory])
        let found = problems(
            InventorySources([folder.file("secret.yml")], vaultIDs: [Self.file("vault-inventory/vault-prod-client")])
        )
        // The text is INI, and its name says YAML: it is read as what it is.
        #expect(found.isEmpty || found.allSatisfy { !$0.summary.contains("two words") })
        let problem = Diagnostic(at: nil, "ansible_port is the text `hunter2`, not a port").redacted
        #expect(problem.summary == "ansible_port is the text `<redacted>`, not a port")
    }

    // MARK: - Passwords

    @Test func `a program that prints a password is run, and one called -client is told which`() throws {
        let folder = try folder([
            "plain": "#!/bin/sh\n[ $# = 0 ] && printf 'a b \\r\\n'", "my-client.sh": "#!/bin/sh\necho \"$1=$2\"\n",
            "file": "  spaces around \n\n",
        ])
        for name in ["plain", "my-client.sh"] { try folder.makeExecutable(name) }
        func password(_ identity: String) throws -> (String, String) {
            let password = try VaultPassword(identity: identity)
            return (password.label, String(decoding: password.bytes, as: UTF8.self))
        }
        #expect(try password(folder.file("plain")) == ("default", "a b "))
        #expect(try password("prod@" + folder.file("my-client.sh")) == ("prod", "--vault-id=prod"))
        #expect(try password("@" + folder.file("file")) == ("default", "spaces around"))
    }

    @Test func `a password is never printed`() throws {
        let folder = try folder(["secret": "hunter2\n"])
        let password = try VaultPassword(identity: folder.file("secret"))
        var dumped = ""
        dump(password, to: &dumped)
        for text in ["\(password)", String(reflecting: password), dumped] { #expect(!text.contains("hunter2")) }
    }

    @Test func `every password that cannot be had is told at once`() throws {
        let folder = try folder([
            "empty": "\n", "failing": "#!/bin/sh\necho locked >&2\nexit 4\n", "text": "the password\n",
            "vaulted": "$ANSIBLE_VAULT;1.1;AES256\n30\n",
        ])
        for name in ["failing", "text"] { try folder.makeExecutable(name) }
        let identities = ["none", "empty", "failing", "text", "vaulted"].map(folder.file) + ["prod@prompt"]
        let found = problems(InventorySources([folder.file("hosts.ini")], vaultIDs: identities))
            .map { $0.summary.replacing(folder.path + "/", with: "") }
        #expect(
            found == [
                "there is no vault password file none",
                "the vault password of empty is empty",
                "the vault password program failing failed; it ended with the exit status 4: locked",
                "the vault password program text cannot be run: Exec format error",
                "the vault password file vaulted is itself encrypted by Ansible Vault, which is not supported",
                "the vault password prod@prompt is to be asked for, which is not supported",
            ]
        )
    }
}
