// SPDX-License-Identifier: Apache-2.0

import Fleet

/// A part of a YAML file with its place, free of the parser's own types, which may not cross tasks.
struct YAMLNode: Sendable {
    enum Content: Sendable {
        case scalar(YAMLScalar)
        case list([YAMLNode])
        case map([YAMLEntry])
        /// Already reported; whoever meets it says nothing more.
        case invalid
    }

    var location: SourceLocation
    var content: Content

    var scalar: YAMLScalar? {
        if case .scalar(let scalar) = content { scalar } else { nil }
    }

    /// Nothing was written, or `null`, or `~`.
    var isNull: Bool { scalar?.value == .null }

    var isInvalid: Bool {
        if case .invalid = content { true } else { false }
    }

    /// What it is called in a message.
    var kindName: String {
        switch content {
        case .scalar(let scalar): scalar.value.kindName
        case .list: "a list"
        case .map: "a mapping"
        case .invalid: "invalid"
        }
    }
}

/// One `key: value` of a mapping.
struct YAMLEntry: Sendable {
    var key: String
    var keyLocation: SourceLocation
    var value: YAMLNode
}

/// Text of a YAML file and how it was written.
struct YAMLScalar: Sendable {
    var text: String
    /// Quoted text and block text is text whatever it looks like.
    var isText: Bool
    /// Where each `{{` and `{%` of the text stands, in order.
    var openings: [SourceLocation]

    /// The value as Ansible's YAML reader sees it, with one difference: a number that would not be printed as it was
    /// written (`0644`, `3.10`, `1_000`, `+5`) stays text, so that inserting it never changes it.
    var value: Value {
        guard !isText else { return .string(text) }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .bool(true)
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .bool(false)
        default: break
        }
        if let number = Int(text), String(number) == text { return .int(number) }
        if let number = Double(text), number.isFinite, String(number) == text { return .double(number) }
        return .string(text)
    }
}

extension Value {
    /// What a value is called in a message.
    var kindName: String {
        switch self {
        case .null: "nothing"
        case .bool: "true or false"
        case .int, .digits, .double: "a number"
        case .string: "text"
        case .list: "a list"
        case .map: sealedText == nil ? "a mapping" : "encrypted by Ansible Vault"
        }
    }

    /// The value as it is inserted into text; `nil` for what is not a scalar, and for nothing.
    var insertedText: String? {
        switch self {
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .digits(let digits): digits
        case .double(let number): String(number)
        case .string(let text): text
        case .null, .list, .map: nil
        }
    }
}
