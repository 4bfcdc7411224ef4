// SPDX-License-Identifier: Apache-2.0

/// Reads a mapping of variables: `vars`, what stands under a host, and the files of `group_vars` and `host_vars`.
enum YAMLVariables {
    static func read(_ pairs: [YAMLNode.Pair], problems: inout [Diagnostic]) -> [(name: String, variable: Located)] {
        var result: [(name: String, variable: Located)] = []
        for pair in pairs {
            guard case .string(let name)? = pair.key.scalarValue else {
                problems.append(
                    Diagnostic(
                        at: pair.key.location,
                        "the name of a variable must be a text, not \(pair.key.kindDescription)",
                        remedy: "name it by letters, digits and underscores"
                    )
                )
                continue
            }
            let variable = Located(value: pair.value.value(&problems), location: pair.key.location)
            if let problem = VariableRules.problem(with: name, variable) { problems.append(problem) }
            result.append((name, variable))
        }
        return result
    }
}
