// SPDX-License-Identifier: Apache-2.0

/// Reads the connection variables of one host one by one, keeping what is wrong with them.
///
/// Where Ansible knows a setting by two names, the one that names `ssh` wins, as in its SSH plugin.
struct ConnectionVariables {
    private(set) var problems: [Diagnostic] = []
    private let host: InventoryHost
    private var values: [String: Value] = [:]

    /// Resolves the templates of all connection variables at once.
    init(host: InventoryHost, resolve: (String) throws(DiagnosticsError) -> String) {
        self.host = host
        for (name, value) in host.variables where name.hasPrefix("ansible_") {
            guard value.isTemplate, let text = value.asString, Self.names.contains(name) else {
                values[name] = value
                continue
            }
            do {
                let resolved = try resolve(text)
                let location = host.variableLocations[name] ?? host.location
                if Value.string(resolved).isTemplate {
                    problems.append(
                        Diagnostic(
                            at: location,
                            "\(name) of \(host.name) holds a template that is not resolved: `\(resolved)`",
                            remedy: "use `{{ name }}` with a variable of the host"
                        )
                    )
                    continue
                }
                let variable = Located(value: .string(resolved), location: location)
                if let problem = VariableRules.problem(with: name, variable) { problems.append(problem) }
                values[name] = variable.value
            } catch {
                problems += error.diagnostics
            }
        }
        // The variables come from a dictionary; problems are told in the order of the files.
        problems.sort { ($0.location?.line ?? 0, $0.summary) < ($1.location?.line ?? 0, $1.summary) }
    }

    static let names: Set<String> = [
        "ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user",
        "ansible_private_key_file", "ansible_ssh_private_key_file", "ansible_become", "ansible_become_user",
        "ansible_become_method", "ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args",
        "ansible_host_key_checking", "ansible_ssh_host_key_checking", "ansible_connection",
    ]

    private func location(_ name: String) -> SourceLocation {
        host.variableLocations[name] ?? host.location
    }

    private mutating func refuse(_ name: String, _ summary: String, _ remedy: String) {
        problems.append(Diagnostic(at: location(name), "\(summary), for \(host.name)", remedy: remedy))
    }

    /// The last of the names that is set, as text.
    mutating func text(_ names: String...) -> String? {
        guard let name = names.last(where: { values[$0] != nil && values[$0] != .null }), let value = values[name]
        else {
            return nil
        }
        switch value {
        case .string(let text) where !text.isEmpty: return text
        case .int(let number): return String(number)
        default:
            refuse(name, "\(name) is \(value.kindDescription)", "give a text, or leave it out")
            return nil
        }
    }

    mutating func port(_ names: String...) -> Int? {
        guard let name = names.last(where: { values[$0] != nil }), let value = values[name] else { return nil }
        if let port = VariableRules.port(value) { return port }
        refuse(name, "\(name) is \(value.kindDescription), not a port", "give a whole number from 1 to 65535")
        return nil
    }

    mutating func boolean(_ names: String...) -> Bool? {
        guard let name = names.last(where: { values[$0] != nil }), let value = values[name] else { return nil }
        if let truth = value.ansibleBool { return truth }
        refuse(name, "\(name) is \(value.kindDescription), not a boolean", "give true or false")
        return nil
    }

    /// Whom to become, where `ansible_become` asks for it.
    mutating func becomeUser() -> String? {
        let isWanted = boolean("ansible_become") ?? false
        let user = text("ansible_become_user") ?? "root"
        let method = text("ansible_become_method") ?? "sudo"
        guard isWanted else { return nil }
        if method != "sudo", method != "ansible.builtin.sudo" {
            refuse("ansible_become_method", "the become method `\(method)` is not supported", "use sudo")
        }
        return user
    }

    mutating func refuseOtherTransports() {
        let connection = text("ansible_connection") ?? "ssh"
        guard !["ssh", "ansible.builtin.ssh", "smart"].contains(connection) else { return }
        refuse(
            "ansible_connection",
            "the connection `\(connection)` is not supported",
            "remove ansible_connection; hosts are reached over SSH only"
        )
    }

    /// What the variables say that have a keyword of ssh_config(5), in the order of Ansible's SSH plugin.
    mutating func options() -> [SSHConfigDirective] {
        var options: [SSHConfigDirective?] = []
        if boolean("ansible_host_key_checking", "ansible_ssh_host_key_checking") == false {
            let name = lastSet("ansible_host_key_checking", "ansible_ssh_host_key_checking")
            options.append(SSHConfigDirective("StrictHostKeyChecking", "no", at: location(name)))
        }
        if let port = port("ansible_port", "ansible_ssh_port") {
            let name = lastSet("ansible_port", "ansible_ssh_port")
            options.append(SSHConfigDirective("Port", String(port), at: location(name)))
        }
        let texts = [
            ("IdentityFile", "ansible_private_key_file", "ansible_ssh_private_key_file"),
            ("User", "ansible_user", "ansible_ssh_user"),
        ]
        for (keyword, short, long) in texts {
            guard let value = text(short, long) else { continue }
            options.append(SSHConfigDirective(keyword, value, at: location(lastSet(short, long))))
        }
        return options.compactMap(\.self)
    }

    private func lastSet(_ names: String...) -> String {
        names.last { values[$0] != nil && values[$0] != .null } ?? names[0]
    }

    /// Reads a variable that holds options as for `ssh`.
    mutating func read(_ name: String, into options: inout SSHOptions) {
        guard let value = values[name], value != .null, value != .string("") else { return }
        guard let line = value.asString else {
            refuse(name, "\(name) is \(value.kindDescription), not a text", "write the options as for `ssh`")
            return
        }
        for (problem, remedy) in options.read(line, at: location(name)) { refuse(name, "\(name): \(problem)", remedy) }
    }
}
