// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The id of a run: when it began, in UTC, and four characters that tell runs of the same second apart.
///
/// It is part of paths on the nodes, so it has letters, digits and `-` only.
enum RunName {
    static func new(at date: Date = Date()) -> String {
        let time = date.formatted(
            Date.VerbatimFormatStyle(
                format: """
                    \(year: .defaultDigits)\(month: .twoDigits)\(day: .twoDigits)-\
                    \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased))\(minute: .twoDigits)\
                    \(second: .twoDigits)
                    """,
                timeZone: .gmt,
                calendar: Calendar(identifier: .gregorian)
            )
        )
        let alphabet = Array("abcdefghjkmnpqrstuvwxyz23456789")
        let tail = (0..<4).compactMap { _ in alphabet.randomElement() }
        return time + "-" + String(tail)
    }
}
