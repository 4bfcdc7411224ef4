// SPDX-License-Identifier: Apache-2.0

extension Value {
    /// What a template prints for the value: `True`, `None`, `1.5`, a text as it is, `['a', 1]`.
    ///
    /// The entries of a mapping come in the order of their keys, since a value keeps no other.
    package var text: String {
        if case .string(let value) = self { value } else { pythonRepr }
    }

    private var pythonRepr: String {
        switch self {
        case .null: "None"
        case .bool(let value): value ? "True" : "False"
        case .int(let value): String(value)
        case .digits(let value): value
        case .double(let value): PythonText.repr(value)
        case .string(let value): PythonText.repr(value)
        case .list(let values): "[" + values.map(\.pythonRepr).joined(separator: ", ") + "]"
        case .map(let values):
            "{"
                + PythonText.sorted(values).map { PythonText.repr($0.key) + ": " + $0.value.pythonRepr }
                .joined(separator: ", ") + "}"
        }
    }

    /// The JSON that Python's `json.dumps(value, sort_keys=True)` writes, floats as its `repr`.
    ///
    /// - Parameters:
    ///   - indent: Spaces for each level, or `nil` for one line.
    ///   - ascii: Whether characters beyond ASCII are escaped (`ensure_ascii`).
    /// - Returns: the text, without a newline at its end.
    package func json(indent: Int? = nil, ascii: Bool = true) -> String {
        var writer = JSONWriter(indent: indent, isASCII: ascii)
        writer.write(self, level: 0)
        return writer.output
    }
}

/// Writes values as Python's `json` module does.
private struct JSONWriter {
    let indent: Int?
    let isASCII: Bool
    private(set) var output = ""

    mutating func write(_ value: Value, level: Int) {
        switch value {
        case .null: output += "null"
        case .bool(let flag): output += flag ? "true" : "false"
        case .int(let number): output += String(number)
        case .digits(let digits): output += digits
        case .double(let number): output += Self.number(number)
        case .string(let text): output += PythonText.jsonString(text, isASCII: isASCII)
        case .list(let values):
            write(values.map { ("", $0) }, in: ("[", "]"), level: level)
        case .map(let values):
            let items = PythonText.sorted(values)
                .map { (PythonText.jsonString($0.key, isASCII: isASCII) + ": ", $0.value) }
            write(items, in: ("{", "}"), level: level)
        }
    }

    private mutating func write(
        _ items: [(label: String, value: Value)],
        in brackets: (open: String, close: String),
        level: Int
    ) {
        output += brackets.open
        for (index, item) in items.enumerated() {
            if index > 0 { output += indent == nil ? ", " : "," }
            if let indent { output += "\n" + String(repeating: " ", count: indent * (level + 1)) }
            output += item.label
            write(item.value, level: level + 1)
        }
        if let indent, !items.isEmpty { output += "\n" + String(repeating: " ", count: indent * level) }
        output += brackets.close
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return PythonText.repr(value)
    }
}
