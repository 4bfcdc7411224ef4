// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Times in the journal: whole milliseconds since 1970, UTC.
///
/// A `Date` counts fractions of seconds since 2001 in binary, which neither a database nor JSON gives back bit by bit;
/// so every time is rounded before it is kept.
enum JournalTime {
    static func milliseconds(_ date: Date) -> Int64 {
        Int64((date.timeIntervalSince1970 * 1_000).rounded())
    }

    static func date(_ milliseconds: Int64) -> Date {
        Date(timeIntervalSince1970: Double(milliseconds) / 1_000)
    }

    /// The date as the journal keeps it.
    static func rounded(_ date: Date) -> Date { self.date(milliseconds(date)) }

    /// From the year 1970 to the year 9999, beyond which ISO 8601 has another form.
    static func isPlausible(_ date: Date) -> Bool {
        (0.0...253_402_300_799.0).contains(date.timeIntervalSince1970)
    }

    /// `2026-11-21T03:28:32.123Z`, by way of whole numbers: a formatter may cut what is just below a millisecond.
    static func text(_ date: Date) -> String {
        let all = milliseconds(date)
        let whole = Date(timeIntervalSince1970: Double(all / 1_000)).formatted(.iso8601)
        let fraction = String(all % 1_000)
        return whole.dropLast() + "." + String(repeating: "0", count: 3 - fraction.count) + fraction + "Z"
    }

    static func date(_ text: String) -> Date? {
        let parts = text.dropLast().split(separator: ".")
        guard text.hasSuffix("Z"), parts.count == 2, parts[1].utf8.count == 3, let fraction = Int64(parts[1]),
            let whole = try? Date(parts[0] + "Z", strategy: .iso8601)
        else { return nil }
        return date(Int64(whole.timeIntervalSince1970) * 1_000 + fraction)
    }
}
