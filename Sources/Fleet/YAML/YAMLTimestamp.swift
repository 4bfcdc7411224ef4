// SPDX-License-Identifier: Apache-2.0

/// A plain scalar that PyYAML takes for a date or a time, as text in the form in which Ansible prints it.
enum YAMLTimestamp {
    /// `datetime.isoformat()` of the scalar, or `nil` where it is no timestamp.
    static func text(of scalar: String) -> String? {
        guard scalar.utf8.count >= 8, scalar.utf8.dropFirst(4).first == UInt8(ascii: "-") else { return nil }
        if scalar.wholeMatch(of: /[0-9]{4}-[0-9]{2}-[0-9]{2}/) != nil { return scalar }
        let pattern =
            /([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(\.[0-9]*)?(?:[ \t]*(Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?/
        guard let match = scalar.wholeMatch(of: pattern) else { return nil }
        let date = "\(match.1)-\(padded(match.2))-\(padded(match.3))"
        let time = "\(padded(match.4)):\(match.5):\(match.6)"
        return date + "T" + time + fraction(match.7) + zone(match.8)
    }

    private static func padded(_ digits: Substring) -> String {
        digits.count < 2 ? "0" + digits : String(digits)
    }

    /// Microseconds, left out where they are zero.
    private static func fraction(_ text: Substring?) -> String {
        guard let digits = text?.dropFirst().prefix(6), digits.contains(where: { $0 != "0" }) else { return "" }
        return "." + digits + String(repeating: "0", count: 6 - digits.count)
    }

    private static func zone(_ text: Substring?) -> String {
        guard let text else { return "" }
        guard text != "Z" else { return "+00:00" }
        let parts = text.dropFirst().split(separator: ":")
        return "\(text.prefix(1))\(padded(parts[0])):\(parts.count > 1 ? String(parts[1]) : "00")"
    }
}
