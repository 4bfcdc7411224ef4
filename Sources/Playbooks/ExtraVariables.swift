// SPDX-License-Identifier: Apache-2.0

import Fleet

/// The variables of `-e` on the command line, in Ansible's forms: `name=value …`, `{ … }`, and `@FILE`.
package enum ExtraVariables {
    /// Reads the values of every `-e`, in order; a later one wins.
    ///
    /// - Throws: everything that is wrong with any of them.
    package static func parse(_ arguments: [String]) throws(DiagnosticsError) -> [String: Value] {
        var variables: [String: Value] = [:]
        var diagnostics: [Diagnostic] = []
        for argument in arguments {
            do throws(DiagnosticsError) {
                variables.merge(try parse(argument)) { _, new in new }
            } catch {
                diagnostics += error.diagnostics
            }
        }
        diagnostics += variables.keys.filter(SecretVariables.all.contains).sorted().map { name in
            Diagnostic(
                at: nil,
                "-e sets \(name), and what -e sets stands readable in the records of a run",
                remedy:
                    "give it with --connection-password-file, --become-password-file or --key-passphrase-file, or have "
                    + "it in the inventory, encrypted by Ansible Vault"
            )
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        return variables
    }

    /// Warns of names that nothing has heard of, as they are slips most of the time.
    ///
    /// `known` are the names of the inventory's variables, and of those that pawl itself reads.
    package static func warnings(
        for extra: [String: Value],
        playbook: Playbook,
        known: Set<String>
    ) -> [Diagnostic] {
        let insertedByOthers = extra.values.reduce(into: Set<String>()) { $0.formUnion($1.insertedNames) }
        let names = known.union(playbook.variableNames).union(playbook.insertedNames)
        return extra.keys.sorted()
            .filter { !names.contains($0) && !insertedByOthers.contains($0) && !$0.hasPrefix("ansible_") }
            .map { name in
                Diagnostic(
                    .warning,
                    at: nil,
                    "-e sets '\(name)', which nothing uses",
                    remedy: ClosestName.of(name, in: names).map { "did you mean '\($0)'?" }
                )
            }
    }

    private static func parse(_ argument: String) throws(DiagnosticsError) -> [String: Value] {
        let text = argument.drop(while: \.isWhitespace)
        if text.hasPrefix("@") {
            let path = String(text.dropFirst())
            guard !path.isEmpty else {
                throw DiagnosticsError([Diagnostic(at: nil, "-e @ names no file", remedy: "write -e @FILE")])
            }
            let text = try SourceText.read(path, what: "file of variables")
            guard !text.hasPrefix("$ANSIBLE_VAULT") else {
                throw DiagnosticsError([
                    Diagnostic(
                        at: SourceLocation(file: path, line: 1, column: 1),
                        "a file of -e that is encrypted by Ansible Vault is not supported",
                        remedy: "what -e sets stands readable in the records of a run; put it into group_vars"
                    )
                ])
            }
            return try mapping(text, file: path)
        }
        if text.hasPrefix("{") || text.hasPrefix("[") { return try mapping(String(text), file: "-e") }
        return try KeyValueText.parse(String(text))
    }

    private static func mapping(_ text: String, file: String) throws(DiagnosticsError) -> [String: Value] {
        var (root, diagnostics) = YAMLDocument.read(text, file: file)
        guard let root else {
            // A file of comments sets nothing, and is no mistake.
            guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
            return [:]
        }
        var variables: [String: Value] = [:]
        switch root.content {
        case .map(let entries):
            for entry in entries {
                if let problem = VariableName.problem(entry.key) {
                    diagnostics.append(Diagnostic(at: entry.keyLocation, problem.summary, remedy: problem.remedy))
                }
                _ = TemplatedNode(entry.value, diagnostics: &diagnostics)
                variables[entry.key] = entry.value.rawValue
            }
        case .scalar where root.isNull, .invalid:
            break
        case .scalar, .list:
            diagnostics.append(
                Diagnostic(at: root.location, "extra variables must be a mapping, not \(root.kindName)")
            )
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        return variables
    }
}
