// SPDX-License-Identifier: Apache-2.0

extension Value {
    /// The text, where the value is one.
    package var asString: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The truth value, where the value is one; ``ansibleBool`` also reads words.
    package var asBool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The whole number, where the value is one.
    package var asInt: Int? {
        if case .int(let value) = self { value } else { nil }
    }

    /// The number, where the value is one, whole or not.
    package var asDouble: Double? {
        switch self {
        case .double(let value): value
        case .int(let value): Double(value)
        case .digits(let value): Double(value)
        default: nil
        }
    }

    /// The elements, where the value is a list.
    package var asList: [Value]? {
        if case .list(let value) = self { value } else { nil }
    }

    /// The entries, where the value is a mapping.
    package var asMap: [String: Value]? {
        if case .map(let value) = self { value } else { nil }
    }

    /// The truth value as Ansible reads it from a variable: booleans, their words, 1 and 0.
    ///
    /// The words are those of `ansible.module_utils.parsing.convert_bool`.
    package var ansibleBool: Bool? {
        switch self {
        case .bool(let value): value
        case .int(1), .double(1): true
        case .int(0), .double(0): false
        case .string(let word):
            switch word.lowercased() {
            case "y", "yes", "on", "1", "true", "t": true
            case "n", "no", "off", "0", "false", "f": false
            default: nil
            }
        default: nil
        }
    }

    /// Whether a person would call it a template: it is a text that holds `{{` or `{%`.
    package var isTemplate: Bool {
        asString.map { $0.contains("{{") || $0.contains("{%") } ?? false
    }

    /// What the value is, in a message: `a list`, `the number 5`.
    package var kindDescription: String {
        switch self {
        case .null: "nothing"
        case .bool(let value): "the boolean \(value)"
        case .int(let value): "the number \(value)"
        case .digits(let value): "the number \(value)"
        case .double(let value): "the number \(PythonText.repr(value))"
        case .string(let value): value.isEmpty ? "an empty text" : "the text `\(value)`"
        case .list: "a list"
        case .map: sealedText == nil ? "a mapping" : "encrypted by Ansible Vault"
        }
    }
}
