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
        // As of a variable of a CI run that is not set.
        guard !text.isEmpty else { return [:] }
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

    /// Read as an inventory is, for the same text to mean the same in both.
    private static func mapping(_ text: String, file: String) throws(DiagnosticsError) -> [String: Value] {
        var variables: [String: Value] = [:]
        var diagnostics: [Diagnostic] = []
        for entry in try VariablesText.read(text, file: file) {
            if let problem = VariableName.problem(entry.name) {
                diagnostics.append(Diagnostic(at: entry.location, problem.summary, remedy: problem.remedy))
            }
            if entry.value.isSealed {
                diagnostics.append(
                    Diagnostic(
                        at: entry.location,
                        "\(entry.name): a value of -e that is encrypted by Ansible Vault is not supported",
                        remedy: "what -e sets stands readable in the records of a run; put it into group_vars"
                    )
                )
            }
            for problem in entry.value.templateProblems {
                diagnostics.append(
                    Diagnostic(at: entry.location, "\(entry.name): \(problem.summary)", remedy: problem.remedy)
                )
            }
            variables[entry.name] = entry.value
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        return variables
    }
}

extension Value {
    /// What is wrong with the templates of the texts in it.
    fileprivate var templateProblems: [(summary: String, remedy: String?)] {
        switch self {
        case .string(let text): Template.parse(text).problems.map { ($0.summary, $0.remedy) }
        case .list(let items): items.flatMap(\.templateProblems)
        case .map(let entries):
            sealedText == nil
                ? entries.sorted { $0.key < $1.key }.flatMap { $0.value.templateProblems } : []
        case .null, .bool, .int, .digits, .double: []
        }
    }
}
