// SPDX-License-Identifier: Apache-2.0

/// How Python writes values, where operators compare our output with Ansible's byte by byte.
enum PythonText {
    /// `repr(float)`: the shortest digits that read back, with an exponent from 1e16 on and below 1e-4.
    ///
    /// The rule is `format_code 'r'` of CPython's `PyOS_double_to_string`. Swift prints the same digits but changes to
    /// an exponent elsewhere.
    static func repr(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        let sign = value.sign == .minus ? "-" : ""
        guard value != 0 else { return sign + "0.0" }
        let parts = "\(value.magnitude)".split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let whole = mantissa[0]
        let written = whole + (mantissa.count > 1 ? mantissa[1] : "")
        let leadingZeros = written.prefix { $0 == "0" }.count
        var digits = String(written.dropFirst(leadingZeros))
        while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        let point = whole.count - leadingZeros + exponent
        return sign + place(point: point, in: digits)
    }

    private static func place(point: Int, in digits: String) -> String {
        guard point > -4, point <= 16 else {
            let power = point - 1
            let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
            let magnitude = String(power.magnitude)
            let padded = magnitude.count < 2 ? "0" + magnitude : magnitude
            return digits.prefix(1) + fraction + "e" + (power < 0 ? "-" : "+") + padded
        }
        if point <= 0 { return "0." + String(repeating: "0", count: -point) + digits }
        if digits.count <= point { return digits + String(repeating: "0", count: point - digits.count) + ".0" }
        return digits.prefix(point) + "." + digits.dropFirst(point)
    }

    /// `repr(str)`, as it stands in a printed list or mapping.
    static func repr(_ text: String) -> String {
        let quote: Unicode.Scalar = text.contains("'") && !text.contains("\"") ? "\"" : "'"
        var result = String(quote)
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\": result += "\\" + String(scalar)
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isPrintable(scalar): result.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x100: result += "\\x" + hex(scalar.value, width: 2)
            case _ where scalar.value < 0x10000: result += "\\u" + hex(scalar.value, width: 4)
            default: result += "\\U" + hex(scalar.value, width: 8)
            }
        }
        return result + String(quote)
    }

    /// `str.isprintable`: all but what is of Unicode's categories Other and Separator, and the space.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if (" "..."~").contains(scalar) { return true }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }

    /// A string of `json.dumps`, with `ensure_ascii` or without.
    static func jsonString(_ text: String, isASCII: Bool) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{0C}": result += "\\f"
            case "\u{08}": result += "\\b"
            case " "..."~": result.unicodeScalars.append(scalar)
            case _ where !isASCII && scalar >= " ": result.unicodeScalars.append(scalar)
            default: for unit in UTF16.encode(scalar) ?? .init() { result += "\\u" + hex(UInt32(unit), width: 4) }
            }
        }
        return result + "\""
    }

    static func sorted(_ values: [String: Value]) -> [(key: String, value: Value)] {
        values.sorted { isBefore($0.key, $1.key) }
    }

    private static func hex(_ value: UInt32, width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Python's order of strings: by code point, not by what a reader of the language would call equal.
    static func isBefore(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}
