// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Times and spans as reports write them.
package enum ReportTime {
    /// `HH:MM:SS` in a time zone.
    package static func clock(_ secondsSince1970: Double, in zone: TimeZone) -> String {
        let whole = wholeSeconds(secondsSince1970)
        let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(whole)))
        let second = modulo(whole + offset, 86_400)
        return "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))"
    }

    /// RFC 3339 in UTC with milliseconds, as `2026-11-21T03:12:01.250Z`.
    package static func stamp(_ secondsSince1970: Double) -> String {
        let milliseconds = bounded((secondsSince1970 * 1000).rounded())
        let fraction = modulo(milliseconds, 1000)
        let seconds = (milliseconds - fraction) / 1000
        let second = modulo(seconds, 86_400)
        let (year, month, day) = civil(day: (seconds - second) / 86_400)
        let time = "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))"
        return "\(padded(year, 4))-\(two(month))-\(two(day))T\(time).\(padded(fraction, 3))Z"
    }

    /// How long something took: `0.3s`, `12.0s`, `1m 02s`, `2h 03m 04s`.
    package static func span(_ seconds: Double) -> String {
        let tenths = bounded((max(0, seconds.isFinite ? seconds : 0) * 10).rounded())
        return tenths < 600 ? "\(tenths / 10).\(tenths % 10)s" : wholeSpan(seconds)
    }

    /// How long something has been going on, without fractions: `12s`, `1m 02s`.
    package static func wholeSpan(_ seconds: Double) -> String {
        let whole = max(0, wholeSeconds(seconds))
        if whole < 60 { return "\(whole)s" }
        if whole < 3600 { return "\(whole / 60)m \(two(whole % 60))s" }
        return "\(whole / 3600)h \(two(whole / 60 % 60))m \(two(whole % 60))s"
    }

    /// Seconds rounded to milliseconds, finite: JSON knows neither infinity nor not-a-number.
    static func milliseconds(_ seconds: Double) -> Double {
        Double(bounded((seconds * 1000).rounded())) / 1000
    }

    private static func wholeSeconds(_ seconds: Double) -> Int { bounded(seconds.rounded(.down)) }

    /// A whole number that fits, whatever a clock said.
    private static func bounded(_ number: Double) -> Int {
        guard number.isFinite else { return 0 }
        return Int(min(max(number, -1e15), 1e15))
    }

    private static func modulo(_ number: Int, _ divisor: Int) -> Int {
        let rest = number % divisor
        return rest < 0 ? rest + divisor : rest
    }

    private static func two(_ number: Int) -> String { padded(number, 2) }

    private static func padded(_ number: Int, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
    ///
    /// Years are counted from March, so that the leap day comes last, and in eras of 400 years, which all have
    /// 146,097 days.
    private static func civil(day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let dayOfEra = modulo(shifted, 146_097)
        let era = (shifted - dayOfEra) / 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}
