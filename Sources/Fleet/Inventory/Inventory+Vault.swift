// SPDX-License-Identifier: Apache-2.0

extension Inventory {
    /// The host with those connection variables opened that Ansible Vault encrypted one by one, and with what Ansible's
    /// configuration says where it has none.
    ///
    /// For ``ConnectionSettings`` and nothing else: everywhere else encrypted values stay encrypted. Passwords stay so
    /// here, too; ``secret(_:of:)`` opens them.
    ///
    /// - Throws: ``DiagnosticsError`` where a password is missing or another.
    package func opened(_ host: InventoryHost) throws(DiagnosticsError) -> InventoryHost {
        var result = configuration.complete(host)
        var problems: [Diagnostic] = []
        for name in host.variables.keys.sorted() where name.hasPrefix("ansible_") && !Self.isPassword(name) {
            guard let text = host.variables[name]?.sealedText else { continue }
            let location = host.variableLocations[name] ?? host.location
            do throws(DiagnosticsError) {
                let variable = Located(
                    value: .string(try keyring.open(variable: name, text, at: location).reveal()),
                    location: location
                )
                if let problem = VariableRules.problem(with: name, variable) { problems.append(problem.redacted) }
                result.variables[name] = variable.value
            } catch {
                problems += error.diagnostics
            }
        }
        if !problems.isEmpty { throw DiagnosticsError(problems) }
        return result
    }

    /// The text of a variable that is a secret, whether it was encrypted by itself or not.
    ///
    /// - Returns: `nil` where the host has no such variable.
    /// - Throws: ``DiagnosticsError`` where a password is missing or another, and for what is no text.
    package func secret(_ name: String, of host: InventoryHost) throws(DiagnosticsError) -> Secret? {
        guard let value = host.variables[name], value != .null else { return nil }
        let location = host.variableLocations[name] ?? host.location
        if let text = value.sealedText { return try keyring.open(variable: name, text, at: location) }
        switch value {
        case .string, .int, .digits: return Secret(value.text)
        default:
            throw DiagnosticsError([
                Diagnostic(at: location, "\(name) of \(host.name) is not a text", remedy: "give it in quotes")
            ])
        }
    }

    private static func isPassword(_ name: String) -> Bool {
        ["pass", "password", "passphrase"].contains { name.hasSuffix($0) }
    }
}
