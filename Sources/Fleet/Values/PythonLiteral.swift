// SPDX-License-Identifier: Apache-2.0

/// Reads a text as Python's `ast.literal_eval` does, which is what gives INI variables their types.
///
/// Ansible tries it on every INI value and keeps the text where it fails (`_parse_value` of its INI plugin), so
/// `3.4` is a number, `1,2` a list, `0644` and `yes` are texts.
struct PythonLiteral {
    /// Python's own parser stops at 200 nested brackets; such a value stays a text there too.
    private static let deepest = 200

    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0

    private init(_ text: String) {
        scalars = Array(text.unicodeScalars)
    }

    /// The literal, or `nil` where the text is none.
    static func evaluate(_ text: String) -> Value? {
        var reader = PythonLiteral(text)
        guard let value = reader.items(until: nil) else { return nil }
        guard reader.position == reader.scalars.count else { return nil }
        if value.isTuple { return .list(value.values) }
        return value.values.first
    }

    /// What an INI file means by a text: a literal where it is one, otherwise the text.
    static func valueOrText(_ text: String) -> Value {
        evaluate(text) ?? .string(text)
    }

    private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private func peek(_ distance: Int) -> Unicode.Scalar? {
        position + distance < scalars.count ? scalars[position + distance] : nil
    }

    private mutating func skipSpace() {
        while let scalar = current {
            if scalar == "#" {
                position = scalars.count
            } else if scalar == " " || scalar == "\t" || scalar == "\u{0C}" {
                position += 1
            } else {
                return
            }
        }
    }

    /// Values with commas between them, up to and without the closing bracket.
    private mutating func items(until close: Unicode.Scalar?) -> (values: [Value], isTuple: Bool)? {
        var values: [Value] = []
        var hasComma = false
        while true {
            skipSpace()
            if current == close { return close == nil && values.isEmpty ? nil : (values, hasComma || values.isEmpty) }
            guard let value = value() else { return nil }
            values.append(value)
            skipSpace()
            guard current == "," else {
                return current == close ? (values, hasComma) : nil
            }
            hasComma = true
            position += 1
        }
    }

    private mutating func value() -> Value? {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.deepest, let scalar = current else { return nil }
        switch scalar {
        case "+", "-":
            position += 1
            skipSpace()
            return number().flatMap { scalar == "-" ? Self.negated($0) : $0 }
        case "[":
            return bracketed(by: "]").map { .list($0.values) }
        case "(":
            guard let inner = bracketed(by: ")") else { return nil }
            return inner.isTuple ? .list(inner.values) : inner.values.first
        case "{":
            return braces()
        case "0"..."9":
            return number()
        case ".":
            guard peek(1) == ".", peek(2) == "." else { return number() }
            position += 3
            return .string("...")
        default:
            return word() ?? strings()
        }
    }

    private mutating func bracketed(by close: Unicode.Scalar) -> (values: [Value], isTuple: Bool)? {
        position += 1
        guard let result = items(until: close) else { return nil }
        position += 1
        return result
    }

    private mutating func word() -> Value? {
        let words: [(String, Value)] = [
            ("True", .bool(true)), ("False", .bool(false)), ("None", .null), ("set()", .list([])),
        ]
        for (word, value) in words where starts(with: word) {
            guard peek(word.unicodeScalars.count).map(PythonNumber.isWordCharacter) != true else { continue }
            position += word.unicodeScalars.count
            return value
        }
        return nil
    }

    private func starts(with word: String) -> Bool {
        scalars[position...].starts(with: word.unicodeScalars)
    }

    private mutating func number() -> Value? {
        guard let (value, length) = PythonNumber.read(scalars[position...]) else { return nil }
        position += length
        return value
    }

    private static func negated(_ value: Value) -> Value? {
        switch value {
        case .int(let number): .int(-number)
        case .double(let number): .double(-number)
        case .digits(let digits): Value.whole(digits, radix: 10, isNegative: true)
        default: nil
        }
    }

    /// A mapping or a set.
    ///
    /// A set becomes a list, as in Ansible; Python orders small numbers in it.
    private mutating func braces() -> Value? {
        position += 1
        var keys: [Value] = []
        var entries: [String: Value] = [:]
        var isMap: Bool?
        while true {
            skipSpace()
            if current == "}" { break }
            guard let key = value() else { return nil }
            skipSpace()
            let hasColon = current == ":"
            guard isMap ?? hasColon == hasColon else { return nil }
            isMap = hasColon
            if hasColon {
                position += 1
                skipSpace()
                guard let name = Self.keyText(key), let value = value() else { return nil }
                entries[name] = value
                skipSpace()
            } else if Self.keyText(key) == nil {
                return nil
            } else if !keys.contains(key) {
                keys.append(key)
            }
            if current == "," { position += 1 } else if current != "}" { return nil }
        }
        position += 1
        guard isMap == false else { return .map(entries) }
        let numbers = keys.compactMap(\.asInt)
        return .list(numbers.count == keys.count ? numbers.sorted().map(Value.int) : keys)
    }

    /// A key as `json.dumps` writes it; lists and mappings are no keys.
    private static func keyText(_ key: Value) -> String? {
        switch key {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .list, .map: nil
        default: key.text
        }
    }

    /// One or more string literals side by side.
    private mutating func strings() -> Value? {
        var result: String?
        let isBytes = PythonString.isBytes(scalars[position...])
        while let (text, length) = PythonString.read(scalars[position...]) {
            guard PythonString.isBytes(scalars[position...]) == isBytes else { return nil }
            result = (result ?? "") + text
            position += length
            skipSpace()
        }
        return result.map(Value.string)
    }
}
