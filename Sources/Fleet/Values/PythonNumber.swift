// SPDX-License-Identifier: Apache-2.0

/// A number literal of Python: `10`, `1_000`, `0x1f`, `1.5`, `.5e-3`; never `017` and never `5a`.
enum PythonNumber {
    /// The number at the start of the text and how many scalars it takes.
    ///
    /// A whole number that Python could not print is none.
    static func read(_ text: ArraySlice<Unicode.Scalar>) -> (Value, Int)? {
        let scalars = Array(text.prefix { isWordCharacter($0) || $0 == "." || $0 == "+" || $0 == "-" })
        if scalars.count > 2, scalars[0] == "0", let radix = radix(scalars[1]) {
            let digits = digits(in: scalars[2...], radix: radix, leadingUnderscore: true)
            let length = 2 + digits.length
            guard digits.length > 0, endsThere(scalars, length) else { return nil }
            return Value.whole(digits.text, radix: radix).map { ($0, length) }
        }
        let whole = digits(in: scalars[...], radix: 10)
        var position = whole.length
        var spelled = whole.text
        var isFloat = false
        if position < scalars.count, scalars[position] == "." {
            let fraction = digits(in: scalars[(position + 1)...], radix: 10)
            guard whole.length + fraction.length > 0 else { return nil }
            isFloat = true
            position += 1 + fraction.length
            spelled = (spelled.isEmpty ? "0" : spelled) + "." + (fraction.text.isEmpty ? "0" : fraction.text)
        }
        guard position > 0 else { return nil }
        if let exponent = exponent(in: scalars[position...]) {
            isFloat = true
            position += exponent.length
            spelled += exponent.text
        }
        guard endsThere(scalars, position) else { return nil }
        if isFloat { return Double(spelled).map { (.double($0), position) } }
        guard spelled.first != "0" || spelled.allSatisfy({ $0 == "0" }) else { return nil }
        return Value.whole(spelled, radix: 10).map { ($0, position) }
    }

    static func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }

    private static func radix(_ letter: Unicode.Scalar) -> Int? {
        switch letter {
        case "x", "X": 16
        case "o", "O": 8
        case "b", "B": 2
        default: nil
        }
    }

    /// Digits with single underscores between them.
    private static func digits(
        in text: ArraySlice<Unicode.Scalar>,
        radix: Int,
        leadingUnderscore: Bool = false
    ) -> (text: String, length: Int) {
        var result = ""
        var length = 0
        var position = text.startIndex
        while position < text.endIndex {
            let hasUnderscore = text[position] == "_" && (!result.isEmpty || leadingUnderscore)
            let digit = hasUnderscore ? position + 1 : position
            guard digit < text.endIndex, text[digit].isASCII,
                Character(text[digit]).hexDigitValue.map({ $0 < radix }) == true
            else { break }
            result.unicodeScalars.append(text[digit])
            position = digit + 1
            length = position - text.startIndex
        }
        return (result, length)
    }

    private static func exponent(in text: ArraySlice<Unicode.Scalar>) -> (text: String, length: Int)? {
        guard let letter = text.first, letter == "e" || letter == "E" else { return nil }
        var rest = text.dropFirst()
        var sign = ""
        if let first = rest.first, first == "+" || first == "-" {
            sign = String(first)
            rest = rest.dropFirst()
        }
        let digits = digits(in: rest, radix: 10)
        guard digits.length > 0 else { return nil }
        return ("e" + sign + digits.text, 1 + sign.count + digits.length)
    }

    private static func endsThere(_ scalars: [Unicode.Scalar], _ length: Int) -> Bool {
        length >= scalars.count || !(isWordCharacter(scalars[length]) || scalars[length] == ".")
    }
}
