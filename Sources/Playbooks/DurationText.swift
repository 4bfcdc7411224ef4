// SPDX-License-Identifier: Apache-2.0

import Fleet

/// Durations as a playbook writes them: `90s`, `2m`, `1h30m`, `500ms`, or a number of seconds; and back to text.
package enum DurationText {
    /// What is said to a person who wrote something else.
    package static let form = "90s, 2m, 1h30m, 500ms, or a number of seconds"

    private static let units: [(name: String, milliseconds: Double)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
    ]
    /// Longer waits are slips of the finger; the bound also keeps the arithmetic exact.
    private static let longest = 366.0 * 86_400_000

    /// The seconds of a duration, as a whole number where they are whole.
    package static func seconds(_ text: String) -> Value? {
        milliseconds(text).map(value)
    }

    /// The seconds of a number that stands for a duration.
    package static func seconds(_ number: Double) -> Value? {
        let milliseconds = (number * 1_000).rounded()
        guard number.isFinite, milliseconds >= 0, milliseconds <= longest else { return nil }
        return value(milliseconds)
    }

    private static func value(_ milliseconds: Double) -> Value {
        let whole = Int(milliseconds)
        return whole % 1_000 == 0 ? .int(whole / 1_000) : .double(milliseconds / 1_000)
    }

    /// Reads numbers with units from the greatest to the smallest, each unit at most once.
    private static func milliseconds(_ text: String) -> Double? {
        var rest = Substring(text)
        var total = 0.0
        var nextUnit = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit = String(rest.prefix { $0.isLetter })
            rest = rest.dropFirst(unit.count)
            guard digits.first?.isNumber == true, digits.last?.isNumber == true, let number = Double(digits) else {
                return nil
            }
            if unit.isEmpty {
                guard nextUnit == 0, rest.isEmpty else { return nil }
                total = number * 1_000
                break
            }
            guard let index = units.firstIndex(where: { $0.name == unit }), index >= nextUnit else { return nil }
            nextUnit = index + 1
            total += number * units[index].milliseconds
        }
        total = total.rounded()
        return total <= longest ? total : nil
    }

    // MARK: - Writing

    /// `90s` as `1m30s`, `500ms`; for messages.
    package static func of(_ duration: Duration) -> String {
        let whole = Int(duration.components.seconds)
        let milliseconds = Int(duration.components.attoseconds / 1_000_000_000_000_000)
        if whole == 0 { return milliseconds == 0 ? "0s" : "\(milliseconds)ms" }
        if whole < 60 { return milliseconds == 0 ? "\(whole)s" : seconds(duration) + "s" }
        let parts = [(whole / 3600, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")]
        return parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
    }

    /// Seconds with at most three decimals, as `sleep` reads them: `1`, `0.25`.
    package static func seconds(_ duration: Duration) -> String {
        let milliseconds = Int(duration.components.attoseconds / 1_000_000_000_000_000)
        guard milliseconds > 0 else { return String(duration.components.seconds) }
        let digits = String(1000 + milliseconds).dropFirst()
        let kept = digits.reversed().drop { $0 == "0" }.reversed()
        return "\(duration.components.seconds).\(String(kept))"
    }
}
