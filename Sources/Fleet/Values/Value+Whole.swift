// SPDX-License-Identifier: Apache-2.0

extension Value {
    /// Python reads and writes no longer ones, so that Ansible fails at them.
    private static let mostDigits = 4300

    /// A whole number of any size.
    ///
    /// - Parameters:
    ///   - digits: at least one, without a sign.
    ///   - radix: what they count in, up to 16.
    ///   - isNegative: whether a minus stands before them.
    /// - Returns: `nil` for what is not made of such digits, and for what no person writes.
    static func whole(_ digits: String, radix: Int, isNegative: Bool = false) -> Value? {
        if let number = Int((isNegative ? "-" : "") + digits, radix: radix) { return .int(number) }
        guard !digits.isEmpty, digits.utf8.count <= mostDigits, digits.utf8.first.map(isSign) == false else {
            return nil
        }
        // Nine decimal digits in each, the lowest first.
        var limbs: [Int] = []
        for character in digits {
            guard var carry = character.hexDigitValue, carry < radix else { return nil }
            for index in limbs.indices {
                let sum = limbs[index] * radix + carry
                limbs[index] = sum % 1_000_000_000
                carry = sum / 1_000_000_000
            }
            if carry > 0 { limbs.append(carry) }
        }
        let groups = limbs.reversed().enumerated().map { index, limb in
            let text = String(limb)
            return index == 0 ? text : String(repeating: "0", count: 9 - text.utf8.count) + text
        }
        return .digits((isNegative ? "-" : "") + groups.joined())
    }

    private static func isSign(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") }
}
