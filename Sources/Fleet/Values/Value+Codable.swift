// SPDX-License-Identifier: Apache-2.0

/// A value is written as the plain JSON that it is, so that a journal can be read by any tool.
///
/// JSON has one kind of number, and `JSONEncoder` writes 3.0 as `3` and refuses infinity. A double that would come back
/// as another value is therefore written as `{"$double": "3.0"}`, and a whole number beyond 64 bits as
/// `{"$int": "9223372036854775808"}`.
extension Value: Codable {
    private static let doubleKey = "$double"
    private static let digitsKey = "$int"

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([Value].self) {
            self = .list(value)
        } else {
            self = Self.unwrapped(try container.decode([String: Value].self))
        }
    }

    private static func unwrapped(_ map: [String: Value]) -> Value {
        guard map.count == 1 else { return .map(map) }
        if case .string(let text)? = map[doubleKey], let double = Double(text) { return .double(double) }
        if case .string(let text)? = map[digitsKey], let number = wholeNumber(text) { return number }
        return .map(map)
    }

    private static func wholeNumber(_ text: String) -> Value? {
        let isNegative = text.hasPrefix("-")
        let number = Value.whole(isNegative ? String(text.dropFirst()) : text, radix: 10, isNegative: isNegative)
        return number == .digits(text) ? number : nil
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value) where value.isFinite && value != value.rounded(): try container.encode(value)
        case .double(let value): try container.encode([Self.doubleKey: PythonText.repr(value)])
        case .digits(let value): try container.encode([Self.digitsKey: value])
        case .string(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .map(let value): try container.encode(value)
        }
    }
}
