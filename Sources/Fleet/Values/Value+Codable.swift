// SPDX-License-Identifier: Apache-2.0

/// A value is written as the plain JSON that it is, so that a journal can be read by any tool.
///
/// JSON has one kind of number, and `JSONEncoder` writes 3.0 as `3` and refuses infinity. A double that would come back
/// as another value is therefore written as `{"$double": "3.0"}`.
extension Value: Codable {
    private static let doubleKey = "$double"

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
        guard map.count == 1, case .string(let text)? = map[doubleKey], let double = Double(text) else {
            return .map(map)
        }
        return .double(double)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value) where value.isFinite && value != value.rounded(): try container.encode(value)
        case .double(let value): try container.encode([Self.doubleKey: PythonText.repr(value)])
        case .string(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .map(let value): try container.encode(value)
        }
    }
}
