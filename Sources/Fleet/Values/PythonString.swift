// SPDX-License-Identifier: Apache-2.0

/// A string literal of Python, with its prefixes, quotes of one or three, and escapes.
enum PythonString {
    /// The string at the start of the text and how many scalars it takes; `nil` where there is none or it is broken.
    static func read(_ text: ArraySlice<Unicode.Scalar>) -> (String, Int)? {
        let scalars = Array(text)
        let prefix = String(String.UnicodeScalarView(scalars.prefix { $0 != "'" && $0 != "\"" }.prefix(3))).lowercased()
        guard ["", "r", "u", "b", "br", "rb"].contains(prefix) else { return nil }
        var position = prefix.unicodeScalars.count
        guard position < scalars.count, scalars[position] == "'" || scalars[position] == "\"" else { return nil }
        let quote = scalars[position]
        let isTriple = position + 2 < scalars.count && scalars[position + 1] == quote && scalars[position + 2] == quote
        let width = isTriple ? 3 : 1
        position += width
        var result = String.UnicodeScalarView()
        while position < scalars.count {
            if scalars[position] == quote, closes(scalars, at: position, quote: quote, width: width) {
                return (String(result), position + width)
            }
            if scalars[position] == "\\" {
                guard position + 1 < scalars.count else { return nil }
                if prefix.contains("r") {
                    result.append(contentsOf: scalars[position...(position + 1)])
                    position += 2
                } else {
                    guard let length = unescape(scalars[(position + 1)...], into: &result) else { return nil }
                    position += 1 + length
                }
            } else if scalars[position].isASCII || !prefix.contains("b") {
                result.append(scalars[position])
                position += 1
            } else {
                return nil
            }
        }
        return nil
    }

    /// Whether what begins there is a literal of bytes, which does not stand beside one of text.
    static func isBytes(_ text: ArraySlice<Unicode.Scalar>) -> Bool {
        text.prefix(2).prefix { $0 != "'" && $0 != "\"" }.contains { $0 == "b" || $0 == "B" }
    }

    private static func closes(_ scalars: [Unicode.Scalar], at position: Int, quote: Unicode.Scalar, width: Int) -> Bool
    {
        width == 1 || (position + 2 < scalars.count && scalars[position + 1] == quote && scalars[position + 2] == quote)
    }

    /// Appends what the escape stands for.
    ///
    /// - Returns: how many scalars after the backslash it takes. `\N{…}` is not read: the value then stays a text.
    private static func unescape(
        _ text: ArraySlice<Unicode.Scalar>,
        into result: inout String.UnicodeScalarView
    ) -> Int? {
        guard let letter = text.first else { return nil }
        let simple: [Unicode.Scalar: Unicode.Scalar] = [
            "\\": "\\", "'": "'", "\"": "\"", "a": "\u{07}", "b": "\u{08}", "f": "\u{0C}", "n": "\n", "r": "\r",
            "t": "\t", "v": "\u{0B}",
        ]
        if let scalar = simple[letter] {
            result.append(scalar)
            return 1
        }
        switch letter {
        case "N": return nil
        case "x": return code(text.dropFirst(), digits: 2, into: &result)
        case "u": return code(text.dropFirst(), digits: 4, into: &result)
        case "U": return code(text.dropFirst(), digits: 8, into: &result)
        case "0"..."7":
            let digits = text.prefix(3).prefix { ("0"..."7").contains($0) }
            guard let value = UInt32(String(String.UnicodeScalarView(digits)), radix: 8),
                let scalar = Unicode.Scalar(value)
            else { return nil }
            result.append(scalar)
            return digits.count
        default:
            // Python keeps the backslash of an escape that it does not know.
            result.append("\\")
            result.append(letter)
            return 1
        }
    }

    private static func code(
        _ text: ArraySlice<Unicode.Scalar>,
        digits: Int,
        into result: inout String.UnicodeScalarView
    ) -> Int? {
        let code = text.prefix(digits)
        guard code.count == digits, code.allSatisfy({ $0.properties.isASCIIHexDigit }),
            let value = UInt32(String(String.UnicodeScalarView(code)), radix: 16), let scalar = Unicode.Scalar(value)
        else { return nil }
        result.append(scalar)
        return 1 + digits
    }
}
