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

    static let names = plainNames.union(becomeNames).union(SecretVariables.all)

    /// Those that say more of how another user is become, each with the method that it is for.
    private static let becomeNames = Set(
        BecomeSettings.Method.allCases.flatMap { method in
            ["user", "exe", "flags"].flatMap { ["ansible_become_\($0)", "ansible_\(method)_\($0)"] }
        }
    )

    private static let plainNames: Set<String> = [
        "ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user",
        "ansible_private_key_file", "ansible_ssh_private_key_file", "ansible_become", "ansible_become_user",
        "ansible_become_method", "ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args",
        "ansible_host_key_checking", "ansible_ssh_host_key_checking", "ansible_connection", "ansible_ssh_timeout",
    ]

    private func location(_ name: String) -> SourceLocation {
        host.variableLocations[name] ?? host.location
    }

    /// Where the last of the names that is set was set; the host's own place where none is.
    func place(_ names: String...) -> SourceLocation {
        names.last { values[$0] != nil && values[$0] != .null }.map(location) ?? host.location
    }

    private mutating func refuse(_ name: String, _ summary: String, _ remedy: String) {
        problems.append(Diagnostic(at: location(name), "\(summary), for \(host.name)", remedy: remedy))
    }

    /// Those that an empty text does not leave open: Ansible fails with it.
    private static let neverEmpty: Set<String> = [
        "ansible_host", "ansible_ssh_host", "ansible_connection", "ansible_ssh_timeout",
    ]

    /// The last of the names that is set, as text.
    mutating func text(_ names: String...) -> String? {
        guard let (name, value) = lastValue(names) else { return nil }
        switch value {
        case .string("") where !Self.neverEmpty.contains(name): return nil
        case .string(let text) where !text.isEmpty: return text
        case .int, .digits: return value.text
        default:
            refuse(name, "\(name) is \(value.kindDescription)", "give a text, or leave it out")
            return nil
        }
    }

    mutating func port(_ names: String...) -> Int? {
        guard let (name, value) = lastValue(names) else { return nil }
        if let port = VariableRules.port(value) { return port }
        refuse(name, "\(name) is \(value.kindDescription), not a port", "give a whole number from 1 to 65535")
        return nil
    }

    mutating func boolean(_ names: String...) -> Bool? {
        guard let (name, value) = lastValue(names) else { return nil }
        if let truth = value.ansibleBool { return truth }
        refuse(name, "\(name) is \(value.kindDescription), not a boolean", "give true or false")
        return nil
    }

    /// The last of the names that is set, with its value; `ansible_port:` with nothing behind it sets nothing.
    private func lastValue(_ names: [String]) -> (name: String, value: Value)? {
        for name in names.reversed() {
            if let value = values[name], value != .null { return (name, value) }
        }
        return nil
    }

    /// By what other users are become, also where `ansible_become` does not ask for it: the playbook may.
    mutating func becomeMethod() -> BecomeSettings.Method {
        guard let name = text("ansible_become_method") else { return .sudo }
        if let method = BecomeSettings.Method(ansible: name) { return method }
        guard isBecomeWanted != false else { return .sudo }
        let known = BecomeSettings.Method.allCases.map(\.rawValue).joined(separator: ", ")
        refuse("ansible_become_method", "the become method `\(name)` is not supported", "use one of \(known)")
        return .sudo
    }

    /// Whether `ansible_become` asks for it, or forbids it; `nil` where it is not set.
    var isBecomeWanted: Bool? { values["ansible_become"]?.ansibleBool }

    /// Whom to become, where that is asked for.
    mutating func becomeUser(_ method: BecomeSettings.Method) -> String {
        _ = boolean("ansible_become")
        return text("ansible_become_user", "ansible_\(method)_user") ?? "root"
    }

    /// The program of the method, where it is named; what it is to be told besides is refused where it means anything.
    mutating func becomeProgram(_ method: BecomeSettings.Method) -> String? {
        let flags = ["ansible_become_flags", "ansible_\(method)_flags"]
        // What Ansible gives to sudo unless told otherwise, and what pawl gives it in any case.
        let harmless: Set<String> = method == .sudo ? ["-H", "-S", "-n"] : []
        if let given = text(flags[0], flags[1]) {
            let odd = given.split(whereSeparator: \.isWhitespace).map(String.init).filter { !harmless.contains($0) }
            if !odd.isEmpty {
                let name = lastSet(flags[0], flags[1])
                refuse(
                    name,
                    "\(name): `\(odd.joined(separator: " "))` is not supported",
                    "leave it out; what \(method) is to do with the environment can be said in its own configuration"
                )
            }
        }
        let names = ["ansible_become_exe", "ansible_\(method)_exe"]
        guard let program = text(names[0], names[1]) else { return nil }
        guard program.wholeMatch(of: /[A-Za-z0-9_.\/+][A-Za-z0-9_.\/+-]*/) != nil else {
            let name = lastSet(names[0], names[1])
            refuse(name, "\(name) is not the path of a program: `\(program)`", "give a path without spaces and options")
            return nil
        }
        return program
    }

    /// The secret of the last of the names that is set.
    mutating func secret(
        _ names: [String],
        _ open: (String) throws(DiagnosticsError) -> Secret?
    ) -> Secret? {
        guard let name = names.last(where: { values[$0] != nil && values[$0] != .null }) else { return nil }
        do throws(DiagnosticsError) {
            guard let text = try open(name)?.reveal() else { return nil }
            // What was piped into `ansible-vault encrypt_string` ends with the line break of `echo`; Ansible, which sends
            // one behind each password, does not mind.
            let line = text.reversed().drop(while: \.isNewline).reversed()
            guard !line.contains(where: \.isNewline) else {
                refuse(name, "\(name) holds a line break", "a password is one line")
                return nil
            }
            return line.isEmpty ? nil : Secret(String(line))
        } catch {
            problems += error.diagnostics
            return nil
        }
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
            ("ConnectTimeout", "ansible_ssh_timeout", "ansible_ssh_timeout"),
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
