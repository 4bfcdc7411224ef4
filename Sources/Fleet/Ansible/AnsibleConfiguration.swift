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
        vaultIDs = Self.vaultIDs(file, environment)
    }

    /// Whether commands run as another user where neither a playbook nor a variable says it.
    ///
    /// Not as a variable of each host, which would win over a playbook's `become: false`.
    var becomes: Bool { values[Setting.become]?.value.ansibleBool == true }

    /// The host with these values where none of its own variables means the same.
    func complete(_ host: InventoryHost) -> InventoryHost {
        var result = host
        for setting in Setting.all where setting.variable != Setting.become {
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

    /// What the environment has in the place of the file's is among the options of the command line.
    ///
    /// Names of the list begin where the process is, as Ansible has it: its setting is no path.
    private static func vaultIDs(_ file: AnsibleConfigurationFile, _ environment: [String: String]) -> [String] {
        func said(_ key: String, unless name: String) -> String? {
            environment[name].map(\.isEmpty) == false ? nil : file["defaults", key]?.value.text
        }
        let listed = said("vault_identity_list", unless: "ANSIBLE_VAULT_IDENTITY_LIST")?.split(separator: ",") ?? []
        let single = said("vault_password_file", unless: "ANSIBLE_VAULT_PASSWORD_FILE")
        return listed.map { INILine.trimmed($0) }
            + (single.map { ["default@" + file.path($0, environment)] } ?? [])
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
