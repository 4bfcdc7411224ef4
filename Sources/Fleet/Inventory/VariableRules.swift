// SPDX-License-Identifier: Apache-2.0

/// What must hold of the variables that say how a host is reached, wherever they are set.
enum VariableRules {
    /// What is wrong with a variable; a template is looked at when it is resolved, an encrypted value when it is opened.
    static func problem(with name: String, _ variable: Located) -> Diagnostic? {
        guard !variable.value.isTemplate, variable.value.sealedText == nil else { return nil }
        let value = variable.value
        if name.isEmpty {
            return Diagnostic(at: variable.location, "a variable without a name", remedy: "write `name=value`")
        }
        // To Ansible it is as if it were not set.
        guard value != .null else { return nil }
        switch name {
        case "ansible_port", "ansible_ssh_port":
            guard port(value) == nil else { return nil }
            return Diagnostic(
                at: variable.location,
                "\(name) is \(value.kindDescription), not a port",
                remedy: "give a whole number from 1 to 65535"
            )
        case "ansible_host", "ansible_ssh_host":
            let isName = value.asString.map { !$0.isEmpty && !$0.contains(where: \.isWhitespace) } ?? false
            guard !isName else { return nil }
            return Diagnostic(
                at: variable.location,
                "\(name) is \(value.kindDescription), not an address",
                remedy: "give a host name or an address, or leave \(name) out to use the host's name"
            )
        case "ansible_ssh_timeout":
            guard seconds(value) == nil else { return nil }
            return Diagnostic(
                at: variable.location,
                "\(name) is \(value.kindDescription), not a time in seconds",
                remedy: "give a whole number of seconds"
            )
        case "ansible_become":
            guard value.ansibleBool == nil else { return nil }
            return Diagnostic(
                at: variable.location,
                "\(name) is \(value.kindDescription), not a boolean",
                remedy: "give true or false"
            )
        default:
            return nil
        }
    }

    /// The port that a value stands for.
    static func port(_ value: Value) -> Int? { whole(value).flatMap { (1...65535).contains($0) ? $0 : nil } }

    private static func seconds(_ value: Value) -> Int? { whole(value).flatMap { $0 >= 0 ? $0 : nil } }

    private static func whole(_ value: Value) -> Int? {
        switch value {
        case .int(let number): number
        case .string(let text) where text.utf8.allSatisfy(YAMLScalar.isDigit): Int(text)
        default: nil
        }
    }
}
