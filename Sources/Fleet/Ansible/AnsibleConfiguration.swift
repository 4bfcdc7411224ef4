// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What Ansible's configuration says of how hosts are reached, for those whose variables do not say it: `ansible.cfg` and
/// the environment, which wins.
///
/// Names and precedence are those of Ansible's `config/base.yml` and of its plugins `ssh`, `sudo`, `su` and `doas`.
package struct AnsibleConfiguration: Sendable, Hashable {
    /// What opens what Ansible Vault encrypted, as `--vault-id` takes it.
    let vaultIDs: [String]
    /// By the variable that means the same.
    private let values: [String: Located]

    /// Nothing is said.
    static let none = AnsibleConfiguration(vaultIDs: [], values: [:])

    private init(vaultIDs: [String], values: [String: Located]) {
        self.vaultIDs = vaultIDs
        self.values = values
    }

    /// Reads a file and the environment.
    ///
    /// - Parameters:
    ///   - path: the file; nil for the environment alone.
    ///   - environment: of the process.
    /// - Throws: ``DiagnosticsError`` with each line that is none, and each value that means nothing.
    init(
        _ path: String?,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(DiagnosticsError) {
        let file = try path.map(AnsibleConfigurationFile.init(_:)) ?? AnsibleConfigurationFile()
        var values: [String: Located] = [:]
        var problems: [Diagnostic] = []
        for setting in Setting.all {
            guard let found = setting.value(in: file, environment) else { continue }
            if let problem = Self.problem(with: found, of: setting) { problems.append(problem) }
            values[setting.variable] = found
        }
        if !problems.isEmpty { throw DiagnosticsError(problems) }
        self.values = values
        vaultIDs = Self.vaultIDs(file)
    }

    /// The host with these values where none of its own variables means the same.
    func complete(_ host: InventoryHost) -> InventoryHost {
        var result = host
        for setting in Setting.all {
            guard let value = values[setting.variable], setting.isOpen(in: host.variables) else { continue }
            result.variables[setting.variable] = value.value
            result.variableLocations[setting.variable] = value.location
        }
        return result
    }

    private static func problem(with found: Located, of setting: Setting) -> Diagnostic? {
        guard !found.value.isTemplate else {
            return Diagnostic(
                at: found.location,
                "`\(found.value.text)` holds a template, which is not filled in here",
                remedy: "write what it comes to, or set \(setting.variable) in the inventory"
            )
        }
        return VariableRules.problem(with: setting.variable, found)
    }

    /// Where the environment names any, `VaultOptions` has them.
    private static func vaultIDs(_ file: AnsibleConfigurationFile) -> [String] {
        let listed = file["defaults", "vault_identity_list"]?.value.text.split(separator: ",") ?? []
        let single = file["defaults", "vault_password_file"]?.value.text
        return listed.map { file.identity(INILine.trimmed($0)) }
            + (single.map { [file.identity("default@\($0)")] } ?? [])
    }

    // MARK: - Where it is

    /// The file that Ansible would read: of `ANSIBLE_CONFIG`, here, at home, or the system's.
    ///
    /// One in a directory in which anybody may write is not read, as Ansible does not.
    ///
    /// - Parameters:
    ///   - environment: of the process.
    ///   - directory: where the process is.
    ///   - system: the last to be looked for.
    /// - Returns: its absolute path; nil where there is none, also where `ANSIBLE_CONFIG` names `/dev/null`.
    package static func file(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        directory: String = FileManager.default.currentDirectoryPath,
        system: String = "/etc/ansible/ansible.cfg"
    ) -> String? {
        var places: [String] = []
        if let named = environment["ANSIBLE_CONFIG"], !named.isEmpty {
            let path = URL(filePath: SourceFile.expanded(named), relativeTo: URL(filePath: directory + "/")).path
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
            places.append(isDirectory.boolValue ? path + "/ansible.cfg" : path)
        }
        if !isOpenToAll(directory) { places.append(directory + "/ansible.cfg") }
        if let home = environment["HOME"] { places.append(home + "/.ansible.cfg") }
        return (places + [system]).first { FileManager.default.isReadableFile(atPath: $0) }
            .flatMap { $0 == "/dev/null" ? nil : $0 }
    }

    private static func isOpenToAll(_ directory: String) -> Bool {
        var status = stat()
        return stat(directory, &status) != 0 || status.st_mode & S_IWOTH != 0
    }
}

extension AnsibleConfiguration {
    /// One thing that can be said, with all the places where it can be.
    struct Setting: Sendable {
        /// The variable of the inventory that means the same, and under which the value is kept.
        let variable: String
        /// Variables any of which, set, leaves the configuration without a say.
        let others: [String]
        /// The section and key in the file; the last that is there counts.
        let keys: [(section: String, key: String)]
        /// The last that is set counts.
        let environment: [String]

        func value(in file: AnsibleConfigurationFile, _ environment: [String: String]) -> Located? {
            for name in self.environment.reversed() {
                guard let text = environment[name], !text.isEmpty else { continue }
                return Located(value: .string(text), location: SourceLocation(file: "$\(name)", line: 1, column: 1))
            }
            return keys.reversed().lazy.compactMap { file[$0.section, $0.key] }.first
        }

        func isOpen(in variables: [String: Value]) -> Bool {
            !([variable] + others).contains { variables[$0] != nil && variables[$0] != .null }
        }

        static let all = connection + become + BecomeSettings.Method.allCases.flatMap(own)

        private static let connection = [
            Setting("ansible_user", ["ansible_ssh_user"], [("defaults", "remote_user")], ["ANSIBLE_REMOTE_USER"]),
            Setting("ansible_port", ["ansible_ssh_port"], [("defaults", "remote_port")], ["ANSIBLE_REMOTE_PORT"]),
            Setting(
                "ansible_private_key_file",
                ["ansible_ssh_private_key_file"],
                [("defaults", "private_key_file")],
                ["ANSIBLE_PRIVATE_KEY_FILE"]
            ),
            Setting(
                "ansible_host_key_checking",
                ["ansible_ssh_host_key_checking"],
                [("defaults", "host_key_checking"), ("ssh_connection", "host_key_checking")],
                ["ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"]
            ),
            Setting(
                "ansible_ssh_timeout",
                [],
                [("defaults", "timeout"), ("ssh_connection", "timeout")],
                ["ANSIBLE_TIMEOUT", "ANSIBLE_SSH_TIMEOUT"]
            ),
            Setting("ansible_ssh_args", [], [("ssh_connection", "ssh_args")], ["ANSIBLE_SSH_ARGS"]),
            Setting(
                "ansible_ssh_common_args",
                [],
                [("ssh_connection", "ssh_common_args")],
                ["ANSIBLE_SSH_COMMON_ARGS"]
            ),
            Setting("ansible_ssh_extra_args", [], [("ssh_connection", "ssh_extra_args")], ["ANSIBLE_SSH_EXTRA_ARGS"]),
        ]

        private static let become = [
            Setting("ansible_become", [], [("privilege_escalation", "become")], ["ANSIBLE_BECOME"]),
            Setting(
                "ansible_become_method",
                [],
                [("privilege_escalation", "become_method")],
                ["ANSIBLE_BECOME_METHOD"]
            ),
            ofBecome("user", "user"), ofBecome("exe", "exe"), ofBecome("flags", "flags"),
        ]

        private static func ofBecome(_ name: String, _ key: String) -> Setting {
            Setting(
                "ansible_become_\(name)",
                BecomeSettings.Method.allCases.map { "ansible_\($0)_\(name)" },
                [("privilege_escalation", "become_\(key)")],
                ["ANSIBLE_BECOME_\(name.uppercased())"]
            )
        }

        /// What the section of a method says wins over what is said for all, and over no variable.
        private static func own(_ method: BecomeSettings.Method) -> [Setting] {
            [("user", "user"), ("exe", "executable"), ("flags", "flags")].map { name, key in
                Setting(
                    "ansible_\(method)_\(name)",
                    ["ansible_become_\(name)"],
                    [("\(method)_become_plugin", key)],
                    ["ANSIBLE_\(method)_\(name)".uppercased()]
                )
            }
        }

        private init(
            _ variable: String,
            _ others: [String],
            _ keys: [(section: String, key: String)],
            _ environment: [String]
        ) {
            self.variable = variable
            self.others = others
            self.keys = keys
            self.environment = environment
        }
    }
}
