// SPDX-License-Identifier: Apache-2.0

/// What a plain YAML scalar means to PyYAML, which follows YAML 1.1: `yes` is true, `0644` is octal, `1:30` is 90.
///
/// The rules are the implicit resolvers of PyYAML's `resolver.py` and the constructors of its `constructor.py`; Yams
/// follows YAML 1.2 in places, so its own typing is not used.
enum YAMLScalar {
    /// The value of a scalar without quotes and without a tag.
    static func value(ofPlain text: String) -> Value {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": return .bool(true)
        case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": return .bool(false)
        default: break
        }
        guard let first = text.utf8.first, isDigit(first) || "+-.".utf8.contains(first) else { return .string(text) }
        return integer(text) ?? float(text) ?? YAMLTimestamp.text(of: text).map(Value.string) ?? .string(text)
    }

    /// Why PyYAML fails at a scalar without quotes and without a tag.
    static func problem(ofPlain text: String) -> String? {
        switch text {
        case "=", "<<": "is a sign of YAML's own and no value"
        case _ where YAMLTimestamp.isImpossible(text): "is a date or a time that does not exist"
        default: nil
        }
    }

    /// A whole number; one that Python could not print stays the text that it is.
    static func integer(_ text: String) -> Value? {
        var rest = Array(text.utf8)[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        guard let (digits, radix) = integerDigits(rest) else { return nil }
        if radix == 60 { return sexagesimal(digits).map { .int(isNegative ? -$0 : $0) } }
        return Value.whole(digits, radix: radix, isNegative: isNegative) ?? .string(text)
    }

    private static func integerDigits(_ rest: ArraySlice<UInt8>) -> (digits: String, radix: Int)? {
        func digits(_ bytes: ArraySlice<UInt8>, where isAllowed: (UInt8) -> Bool) -> String? {
            guard bytes.allSatisfy({ isAllowed($0) || $0 == UInt8(ascii: "_") }) else { return nil }
            let kept = bytes.filter { $0 != UInt8(ascii: "_") }
            return kept.isEmpty ? nil : String(decoding: kept, as: UTF8.self)
        }
        guard let first = rest.first, isDigit(first) else { return nil }
        let second = rest.dropFirst().first
        if first == UInt8(ascii: "0") {
            if rest.count == 1 { return ("0", 10) }
            if second == UInt8(ascii: "b") { return digits(rest.dropFirst(2)) { $0 == 48 || $0 == 49 }.map { ($0, 2) } }
            if second == UInt8(ascii: "x") { return digits(rest.dropFirst(2), where: isHexDigit).map { ($0, 16) } }
            return digits(rest) { (48...55).contains($0) }.map { ($0, 8) }
        }
        if rest.contains(UInt8(ascii: ":")) {
            let parts = rest.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard digits(parts[0], where: isDigit) != nil, parts.dropFirst().allSatisfy(isSixtieth) else { return nil }
            return (String(decoding: rest.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self), 60)
        }
        return digits(rest, where: isDigit).map { ($0, 10) }
    }

    /// `[0-5]?[0-9]`, one place of a number of base 60.
    private static func isSixtieth(_ part: ArraySlice<UInt8>) -> Bool {
        guard let first = part.first, part.count <= 2, part.allSatisfy(isDigit) else { return false }
        return part.count == 1 || first <= UInt8(ascii: "5")
    }

    private static func sexagesimal(_ text: String) -> Int? {
        var result = 0
        for part in text.split(separator: ":") {
            guard let digit = Int(part) else { return nil }
            let (product, overflow) = result.multipliedReportingOverflow(by: 60)
            let (sum, carry) = product.addingReportingOverflow(digit)
            guard !overflow, !carry else { return nil }
            result = sum
        }
        return result
    }

    /// A number with a point.
    ///
    /// An exponent needs its sign: `1.5e3` is a text.
    static func float(_ text: String) -> Value? {
        let isNegative = text.hasPrefix("-")
        let isSigned = isNegative || text.hasPrefix("+")
        let body = isSigned ? String(text.dropFirst()) : text
        switch body {
        case ".inf", ".Inf", ".INF": return .double(isNegative ? -.infinity : .infinity)
        case ".nan", ".NaN", ".NAN": return isSigned ? nil : .double(.nan)
        default: break
        }
        let bytes = Array(body.utf8)
        guard let point = bytes.firstIndex(of: UInt8(ascii: ".")), !(isSigned && point == 0) else { return nil }
        let whole = bytes[..<point]
        let afterPoint = bytes[(point + 1)...]
        let fraction = afterPoint.prefix { isDigit($0) || $0 == UInt8(ascii: "_") }
        let exponent = afterPoint.dropFirst(fraction.count)
        if whole.contains(UInt8(ascii: ":")) {
            guard exponent.isEmpty else { return nil }
            return sexagesimalFloat(whole: whole, fraction: fraction, isNegative: isNegative)
        }
        let isWholeRight = whole.first.map(isDigit) ?? (fraction.first.map(isDigit) ?? false)
        guard isWholeRight, whole.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "_") }), isExponent(exponent) else {
            return nil
        }
        let spelled = String(decoding: "0".utf8 + whole + ".".utf8 + fraction, as: UTF8.self) + "0"
        let number = spelled.filter { $0 != "_" } + String(decoding: exponent, as: UTF8.self)
        return Double(number).map { .double(isNegative ? -$0 : $0) }
    }

    private static func sexagesimalFloat(
        whole: ArraySlice<UInt8>,
        fraction: ArraySlice<UInt8>,
        isNegative: Bool
    ) -> Value? {
        let parts = whole.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard let first = parts.first?.first, isDigit(first), parts.dropFirst().allSatisfy(isSixtieth) else {
            return nil
        }
        let text = String(decoding: whole, as: UTF8.self).filter { $0 != "_" }
        let tail = String(decoding: fraction, as: UTF8.self).filter { $0 != "_" }
        guard let seconds = sexagesimal(text), let rest = Double("0." + tail + "0") else { return nil }
        return .double((Double(seconds) + rest) * (isNegative ? -1 : 1))
    }

    private static func isExponent(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let letter = bytes.first else { return true }
        let rest = bytes.dropFirst()
        guard letter == UInt8(ascii: "e") || letter == UInt8(ascii: "E"), let sign = rest.first else { return false }
        return (sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")) && rest.count > 1
            && rest.dropFirst().allSatisfy(isDigit)
    }

    static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (65...70).contains(byte) || (97...102).contains(byte)
    }
}
