// SPDX-License-Identifier: Apache-2.0

/// How much space must be free, as a playbook writes it: `500MB`, `2GiB`, `10%` or `2x /var/lib/etcd`.
enum DiskRequirement: Sendable, Equatable {
    case bytes(Int)
    /// Of the size of the file system.
    case percent(Double)
    /// So many times what a path holds.
    case times(Double, of: String)

    /// Powers of 1000 (SI) and of 1024 (IEC 80000-13); bare letters mean what `df -h` and `du -h` mean by them.
    private static let units: [(name: String, bytes: Double)] = [
        ("b", 1), ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12),
        ("kib", 1024), ("mib", 1_048_576), ("gib", 1_073_741_824), ("tib", 1_099_511_627_776),
        ("k", 1024), ("m", 1_048_576), ("g", 1_073_741_824), ("t", 1_099_511_627_776),
    ]
    private static let remedy = "write a size (500MB, 2GiB), a share of the disk (10%) or a multiple (2x /var/lib/etcd)"

    /// - Throws: what is wrong with the text, in words for its writer.
    init(parsing text: String) throws(ActionFailure) {
        let trimmed = text.trimmingWhitespace
        guard !trimmed.isEmpty else { throw Self.failure(text, "is empty") }
        guard trimmed.first != "-" else { throw Self.failure(text, "is negative") }
        let digits = trimmed.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard !digits.isEmpty else { throw Self.failure(text, "does not begin with a number") }
        guard let number = Double(digits), number.isFinite else {
            throw Self.failure(text, "has no number that can be read: `\(digits)`")
        }
        guard number > 0 else { throw Self.failure(text, "asks for nothing") }
        let rest = trimmed.dropFirst(digits.count).trimmingWhitespace
        if rest.isEmpty { throw Self.failure(text, "has no unit") }
        if rest == "%" {
            guard number <= 100 else { throw Self.failure(text, "asks for more than the whole disk") }
            self = .percent(number)
        } else if let sign = rest.first, sign == "x" || sign == "X" || sign == "×" {
            self = .times(number, of: try Self.path(rest.dropFirst().trimmingWhitespace, in: text))
        } else {
            self = .bytes(try Self.bytes(number, unit: rest, in: text))
        }
    }

    private static func path(_ path: String, in text: String) throws(ActionFailure) -> String {
        guard !path.isEmpty else { throw failure(text, "does not say of what") }
        guard path.hasPrefix("/") else { throw failure(text, "measures `\(path)`, which is not an absolute path") }
        return path
    }

    private static func bytes(_ number: Double, unit: String, in text: String) throws(ActionFailure) -> Int {
        guard let unit = units.first(where: { $0.name == unit.lowercased() }) else {
            throw failure(text, "has the unknown unit `\(unit)`")
        }
        let bytes = (number * unit.bytes).rounded(.up)
        // 2^60 bytes, an exbibyte: no disk is larger, and the number still fits when it is multiplied.
        guard bytes <= 1_152_921_504_606_846_976 else { throw failure(text, "is larger than any disk") }
        return Int(bytes)
    }

    private static func failure(_ text: String, _ problem: String) -> ActionFailure {
        ActionFailure("disk_free: `at_least: \(text)` \(problem)", remedy: remedy)
    }

    /// A number of bytes for people, in the units of `df -h`: `1.5 GiB`.
    static func text(bytes: Int) -> String {
        let names = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        guard bytes >= 1024 else { return "\(bytes) B" }
        var number = Double(bytes) / 1024
        var index = 0
        while number >= 1023.95, index < names.count - 1 {
            number /= 1024
            index += 1
        }
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(names[index])"
    }
}

extension StringProtocol {
    fileprivate var trimmingWhitespace: String {
        let start = drop(while: \.isWhitespace)
        return String(String(start.reversed().drop(while: \.isWhitespace)).reversed())
    }
}
