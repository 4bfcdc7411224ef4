// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What Python's `json` reads, which Ansible tries before YAML.
enum JSONForm {
    /// Whether the text is JSON, with what Python allows beyond: `NaN`, `Infinity` and numbers too large for a double.
    static func isValid(_ text: String) -> Bool {
        if isStrict(text) { return true }
        guard text.contains("NaN") || text.contains("Infinity") || text.contains(tooLarge) else { return false }
        // Within a text of the document it does no harm either: nothing but the form is asked for.
        return isStrict(text.replacing(/-?\b(?:NaN|Infinity)\b/, with: "0").replacing(tooLarge, with: "0"))
    }

    /// Whether a scalar without quotes is a number in JSON and none in YAML.
    static func isNumber(_ text: String) -> Bool {
        switch text {
        case "NaN", "Infinity", "-Infinity": true
        default: text.contains { $0 == "e" || $0 == "E" } && Double(text) != nil
        }
    }

    /// A number whose exponent has three digits.
    private static var tooLarge: Regex<Substring> { /\b[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]{3,}\b/ }

    private static func isStrict(_ text: String) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)) != nil
    }
}
