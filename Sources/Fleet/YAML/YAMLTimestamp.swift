// SPDX-License-Identifier: Apache-2.0

/// A plain scalar that PyYAML takes for a date or a time, as text in the form in which Ansible prints it.
enum YAMLTimestamp {
    /// The year, month, day, and then hour, minute, second, fraction and zone where there is a time.
    private typealias Parts = [Substring?]

    /// `datetime.isoformat()` of the scalar, or `nil` where it is no timestamp.
    static func text(of scalar: String) -> String? {
        guard let parts = parts(of: scalar) else { return nil }
        guard parts.count > 3 else { return scalar }
        let numbers = parts[..<6].map { padded($0 ?? "") }
        let date = numbers[..<3].joined(separator: "-")
        return date + "T" + numbers[3...].joined(separator: ":") + fraction(parts[6]) + zone(parts[7])
    }

    /// Whether it is written as a timestamp and none on any calendar, at which Python fails.
    static func isImpossible(_ scalar: String) -> Bool {
        guard let parts = parts(of: scalar) else { return false }
        let numbers = parts.prefix(6).map { $0.flatMap { Int($0) } ?? 0 }
        let (year, month, day) = (numbers[0], numbers[1], numbers[2])
        guard year > 0, (1...12).contains(month), (1...days(of: month, in: year)).contains(day) else { return true }
        guard parts.count > 3 else { return false }
        let offset = (parts[7] ?? "").split { "+-:".contains($0) }.map { Int($0) ?? 0 }
        let minutes = (offset.first ?? 0) * 60 + offset.dropFirst().reduce(0, +)
        return numbers[3] > 23 || numbers[4] > 59 || numbers[5] > 59 || minutes >= 24 * 60
    }

    private static func days(of month: Int, in year: Int) -> Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    private static func parts(of scalar: String) -> Parts? {
        guard scalar.utf8.count >= 8, scalar.utf8.dropFirst(4).first == UInt8(ascii: "-") else { return nil }
        if let date = scalar.wholeMatch(of: /([0-9]{4})-([0-9]{2})-([0-9]{2})/) { return [date.1, date.2, date.3] }
        let pattern =
            /([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(\.[0-9]*)?(?:[ \t]*(Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?/
        guard let match = scalar.wholeMatch(of: pattern) else { return nil }
        return [match.1, match.2, match.3, match.4, match.5, match.6, match.7, match.8]
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
