// SPDX-License-Identifier: Apache-2.0

/// Durations as playbooks write them, and as programs on a node read them.
enum DurationText {
    /// `90s` as `1m30s`, `500ms`; for messages.
    static func of(_ duration: Duration) -> String {
        let whole = Int(duration.components.seconds)
        let milliseconds = Int(duration.components.attoseconds / 1_000_000_000_000_000)
        if whole == 0 { return milliseconds == 0 ? "0s" : "\(milliseconds)ms" }
        if whole < 60 { return milliseconds == 0 ? "\(whole)s" : seconds(duration) + "s" }
        let parts = [(whole / 3600, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")]
        return parts.filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined()
    }

    /// Seconds with at most three decimals, as `sleep` reads them: `1`, `0.25`.
    static func seconds(_ duration: Duration) -> String {
        let milliseconds = Int(duration.components.attoseconds / 1_000_000_000_000_000)
        guard milliseconds > 0 else { return String(duration.components.seconds) }
        let digits = String(1000 + milliseconds).dropFirst()
        let kept = digits.reversed().drop { $0 == "0" }.reversed()
        return "\(duration.components.seconds).\(String(kept))"
    }
}
