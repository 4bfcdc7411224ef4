// SPDX-License-Identifier: Apache-2.0

/// Names with ranges in them, as `www[01:50:2].example.com` and `db-[a:f]`.
///
/// Follows `expand_hostname_range` of Ansible's `plugins/inventory/__init__.py`, and refuses what Ansible would expand
/// to nothing or to nonsense.
enum HostRange {
    /// More names than any inventory lists; a slip such as `[1:10000000]` is named instead of followed.
    private static let mostNames = 100_000

    struct Invalid: Error, Equatable {
        var summary: String
        var remedy: String
    }

    /// The names that the text stands for, in order.
    static func expand(_ text: String) throws(Invalid) -> [String] {
        guard let open = text.firstIndex(of: "[") else { return [text] }
        guard let close = text[open...].firstIndex(of: "]") else {
            throw Invalid(summary: "the bracket of the range in `\(text)` is not closed", remedy: "write `name[1:3]`")
        }
        let items = try items(of: String(text[text.index(after: open)..<close]))
        let tails = try expand(String(text[text.index(after: close)...]))
        guard items.count <= mostNames / max(1, tails.count) else {
            throw Invalid(
                summary: "the range in `\(text)` stands for more than \(mostNames) hosts",
                remedy: "narrow it"
            )
        }
        return items.flatMap { item in tails.map { text[..<open] + item + $0 } }
    }

    private static func items(of range: String) throws(Invalid) -> [String] {
        let bounds = range.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard bounds.count == 2 || bounds.count == 3 else {
            throw Invalid(
                summary: "the range [\(range)] is not begin:end or begin:end:step",
                remedy: "write `[1:3]`, `[01:50:2]` or `[a:f]`"
            )
        }
        let step = bounds.count == 3 ? Int(bounds[2]) ?? 0 : 1
        guard step > 0 else {
            throw Invalid(summary: "the step of the range [\(range)] is not 1 or more", remedy: "write `[01:50:2]`")
        }
        guard !bounds[1].isEmpty else {
            throw Invalid(summary: "the range [\(range)] has no end", remedy: "write `[1:3]`")
        }
        let first = bounds[0].isEmpty ? "0" : bounds[0]
        if let letters = try letters(from: first, to: bounds[1], step: step, range: range) { return letters }
        return try numbers(from: first, to: bounds[1], step: step, range: range)
    }

    private static func letters(
        from first: String,
        to last: String,
        step: Int,
        range: String
    ) throws(Invalid) -> [String]? {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ").map(String.init)
        guard let begin = alphabet.firstIndex(of: first), let end = alphabet.firstIndex(of: last) else { return nil }
        guard begin <= end else { throw backwards(range) }
        return stride(from: begin, through: end, by: step).map { alphabet[$0] }
    }

    private static func numbers(
        from first: String,
        to last: String,
        step: Int,
        range: String
    ) throws(Invalid) -> [String] {
        let areDigits = (first + last).utf8.allSatisfy(YAMLScalar.isDigit)
        guard areDigits, let begin = Int(first), let end = Int(last) else {
            throw Invalid(
                summary: "the range [\(range)] is neither of numbers nor of single letters",
                remedy: "write `[1:3]`, `[01:50:2]` or `[a:f]`"
            )
        }
        guard begin <= end else { throw backwards(range) }
        let isPadded = first.count > 1 && first.hasPrefix("0")
        guard !isPadded || first.count == last.count else {
            throw Invalid(
                summary: "begin and end of the range [\(range)] have different lengths",
                remedy: "pad both with zeros, as `[01:10]`"
            )
        }
        guard (end - begin) / step < mostNames else {
            throw Invalid(summary: "the range [\(range)] stands for more than \(mostNames) hosts", remedy: "narrow it")
        }
        return stride(from: begin, through: end, by: step).map { number in
            let digits = String(number)
            return isPadded ? String(repeating: "0", count: max(0, first.count - digits.count)) + digits : digits
        }
    }

    private static func backwards(_ range: String) -> Invalid {
        Invalid(summary: "the range [\(range)] ends before it begins", remedy: "put the smaller bound first")
    }
}
