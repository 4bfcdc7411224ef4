// SPDX-License-Identifier: Apache-2.0

import Foundation

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
        /// Variables of the environment any of which, set, leaves the file without a say.
        private var yields: [String] = []
        /// Whether it is true or false.
        private var isFlag: Bool { variable == Self.become || variable == "ansible_host_key_checking" }
        /// Whether it is the name of a file: relative to where it is said, and with variables of the environment.
        let isPath: Bool

        func value(in file: AnsibleConfigurationFile, _ environment: [String: String]) -> Located? {
            for name in self.environment.reversed() {
                guard let text = environment[name] else { continue }
                // Set and empty, it says that there is nothing, whatever the file has; for a flag that is no answer.
                if text.isEmpty, isFlag { continue }
                if text.isEmpty { return nil }
                let here = FileManager.default.currentDirectoryPath
                let value = isPath ? AnsibleConfigurationFile.path(text, in: here, environment) : text
                return Located(value: .string(value), location: SourceLocation(file: "$\(name)", line: 1, column: 1))
            }
            guard !yields.contains(where: { environment[$0] != nil }) else { return nil }
            guard var found = keys.reversed().lazy.compactMap({ file[$0.section, $0.key] }).first else { return nil }
            if isPath, !found.value.isTemplate { found.value = .string(file.path(found.value.text, environment)) }
            return found
        }

        func isOpen(in variables: [String: Value]) -> Bool {
            !([variable] + others).contains { variables[$0] != nil && variables[$0] != .null }
        }

        /// The variable that says whether another user is become.
        static let become = "ansible_become"

        static let all = connection + becoming + BecomeSettings.Method.allCases.flatMap(own)

        private static let connection = [
            Setting("ansible_user", ["ansible_ssh_user"], [("defaults", "remote_user")], ["ANSIBLE_REMOTE_USER"]),
            Setting("ansible_port", ["ansible_ssh_port"], [("defaults", "remote_port")], ["ANSIBLE_REMOTE_PORT"]),
            Setting(
                "ansible_private_key_file",
                ["ansible_ssh_private_key_file"],
                [("defaults", "private_key_file")],
                ["ANSIBLE_PRIVATE_KEY_FILE"],
                isPath: true
            ),
            Setting(
                "ansible_host_key_checking",
                ["ansible_ssh_host_key_checking"],
                [("defaults", "host_key_checking"), ("ssh_connection", "host_key_checking")],
                ["ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"]
            ),
            // That of [ssh_connection] and ANSIBLE_SSH_TIMEOUT have no say: Ansible's command line always has one (2.19).
            Setting("ansible_ssh_timeout", [], [("defaults", "timeout")], ["ANSIBLE_TIMEOUT"]),
            Setting("ansible_ssh_args", [], [("ssh_connection", "ssh_args")], ["ANSIBLE_SSH_ARGS"]),
            Setting(
                "ansible_ssh_common_args",
                [],
                [("ssh_connection", "ssh_common_args")],
                ["ANSIBLE_SSH_COMMON_ARGS"]
            ),
            Setting("ansible_ssh_extra_args", [], [("ssh_connection", "ssh_extra_args")], ["ANSIBLE_SSH_EXTRA_ARGS"]),
        ]

        private static let becoming = [
            Setting(become, [], [("privilege_escalation", "become")], ["ANSIBLE_BECOME"]),
            Setting(
                "ansible_become_method",
                [],
                [("privilege_escalation", "become_method")],
                ["ANSIBLE_BECOME_METHOD"]
            ),
            ofBecome("user"), ofBecome("exe"), ofBecome("flags"),
        ]

        private static func ofBecome(_ name: String) -> Setting {
            Setting(
                "ansible_become_\(name)",
                BecomeSettings.Method.allCases.map { "ansible_\($0)_\(name)" },
                [("privilege_escalation", "become_\(name)")],
                ["ANSIBLE_BECOME_\(name.uppercased())"]
            )
        }

        /// What the section of a method says wins over what is said for all, and over no variable.
        private static func own(_ method: BecomeSettings.Method) -> [Setting] {
            [("user", "user"), ("exe", "executable"), ("flags", "flags")].map { name, key in
                var setting = Setting(
                    "ansible_\(method)_\(name)",
                    ["ansible_become_\(name)"],
                    [("\(method)_become_plugin", key)],
                    ["ANSIBLE_\(method)_\(name)".uppercased()]
                )
                setting.yields = ["ANSIBLE_BECOME_\(name.uppercased())"]
                return setting
            }
        }

        private init(
            _ variable: String,
            _ others: [String],
            _ keys: [(section: String, key: String)],
            _ environment: [String],
            isPath: Bool = false
        ) {
            self.variable = variable
            self.others = others
            self.keys = keys
            self.environment = environment
            self.isPath = isPath
        }
    }
}
