// SPDX-License-Identifier: Apache-2.0

/// The one escape of JSON that YAML does not know: a character beyond U+FFFF as two halves, which Python's `json` writes.
enum JSONEscapes {
    /// The text with each pair of halves in the place of which the character stands.
    static func joined(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "\\")),
            let first = text.first(where: { !$0.isWhitespace }), first == "{" || first == "["
        else { return text }
        let scalars = Array(text.unicodeScalars)
        var result = String.UnicodeScalarView()
        var index = 0
        while index < scalars.count {
            if scalars[index] == "\\", let high = half(scalars, index, 0xD800),
                let low = half(scalars, index + 6, 0xDC00),
                let joined = Unicode.Scalar(0x10000 + (high << 10) + low)
            {
                result.append(joined)
                index += 12
                continue
            }
            result.append(scalars[index])
            // What a backslash escapes begins no escape itself.
            if scalars[index] == "\\", index + 1 < scalars.count {
                index += 1
                result.append(scalars[index])
            }
            index += 1
        }
        return String(result)
    }

    /// The ten bits of the escape at the index (`\u` and four digits), where it is a half of the kind that begins at `base`.
    private static func half(_ scalars: [Unicode.Scalar], _ index: Int, _ base: UInt32) -> UInt32? {
        guard index + 6 <= scalars.count, scalars[index] == "\\", scalars[index + 1] == "u" else { return nil }
        let digits = String(String.UnicodeScalarView(scalars[(index + 2)..<(index + 6)]))
        guard let value = UInt32(digits, radix: 16), value & 0xFC00 == base else { return nil }
        return value & 0x3FF
    }
}
