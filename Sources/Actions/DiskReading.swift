// SPDX-License-Identifier: Apache-2.0

import Remote

/// What `df` and `du` say of a path on a node.
struct DiskReading: Sendable, Equatable {
    struct Inodes: Sendable, Equatable {
        var total: Int
        var free: Int
    }

    /// What a path holds.
    struct Measurement: Sendable, Equatable {
        /// The larger of the blocks that its files take and of their lengths.
        ///
        /// A sparse file (an etcd WAL segment is
        /// preallocated, a db has holes) takes less than its length and may grow to it when it is copied; many small
        /// files take more than their lengths.
        var bytes: Int
        var isOnSameFileSystem: Bool
    }

    /// The path itself, or the nearest directory above it that exists.
    var ancestor: String
    var device: String
    var mount: String
    var totalBytes: Int
    /// What a user who is not root may still write; root has the reserved blocks on top.
    var freeBytes: Int
    /// `nil` for file systems that do not count inodes, as btrfs.
    var inodes: Inodes?
    var measurement: Measurement?

    /// The script, which looks only; each line of its output is a word and what follows it.
    static func script(path: String, measured: String?) -> String {
        var script = """
            LC_ALL=C
            export LC_ALL
            p=\(ShellQuoting.quote(path))
            while [ ! -e "$p" ] && [ "$p" != / ]; do
                p=${p%"${p##*[!/]}"}
                p=${p%/*}
                [ -n "$p" ] || p=/
            done
            if [ -d "$p" ] && [ ! -x "$p" ]; then
                printf 'hidden %s\\n' "$p"
                exit 0
            fi
            printf 'ancestor %s\\n' "$p"
            space=$(df -Pk -- "$p") || exit 1
            printf 'space %s\\n' "$(printf '%s\\n' "$space" | tail -n 1)"
            printf 'inodes %s\\n' "$(df -Pi -- "$p" 2>/dev/null | tail -n 1)"

            """
        guard let measured else { return script }
        script += """
            m=\(ShellQuoting.quote(measured))
            if [ ! -e "$m" ]; then
                printf 'missing\\n'
                exit 0
            fi
            printf 'devices %s %s\\n' "$(stat -L -c %d -- "$p")" "$(stat -L -c %d -- "$m")"
            printf 'blocks %s\\n' "$(du -skH -- "$m" | tail -n 1)"
            printf 'lengths %s\\n' "$(du -skH --apparent-size -- "$m" 2>/dev/null | tail -n 1)"

            """
        return script
    }

    init(_ result: CommandResult, path: String, measured: String?) throws(ActionFailure) {
        var lines: [Substring: String] = [:]
        for line in result.output.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            if let word = words.first { lines[word] = words.count > 1 ? String(words[1]) : "" }
        }
        if let hidden = lines["hidden"] {
            throw ActionFailure(
                "cannot look below \(hidden) for \(path)",
                remedy: "let the user of the connection enter it, or set `become: true`"
            )
        }
        guard let ancestor = lines["ancestor"], let space = Self.row(lines["space"] ?? ""),
            let total = space.numbers.first, space.numbers.count >= 3
        else {
            let complaint = result.errorOutput.split(separator: "\n").first.map { ": \($0)" } ?? ""
            throw ActionFailure("df says nothing of \(path) that can be read\(complaint)")
        }
        self.ancestor = ancestor
        device = space.device
        mount = space.mount
        totalBytes = total * 1024
        freeBytes = max(0, space.numbers[2]) * 1024
        if let row = Self.row(lines["inodes"] ?? ""), row.numbers.count >= 3, row.numbers[0] > 0 {
            inodes = Inodes(total: row.numbers[0], free: row.numbers[2])
        }
        guard let measured else { return }
        if lines["missing"] != nil {
            throw ActionFailure(
                "\(measured) is not there or may not be seen, so `at_least` cannot be a multiple of it",
                remedy: "name what is to be copied; `become: true` shows what only root may see"
            )
        }
        measurement = try Self.measurement(lines, errors: result.errorOutput, of: measured)
    }

    private static func measurement(
        _ lines: [Substring: String],
        errors: String,
        of path: String
    ) throws(ActionFailure) -> Measurement {
        // What vanishes while du walks is the life of a running etcd; anything else makes the sum too small.
        let complaints = errors.split(separator: "\n").filter { !$0.hasSuffix("No such file or directory") }
        if let complaint = complaints.first {
            throw ActionFailure(
                "cannot measure all of \(path): \(complaint)",
                remedy: "let the user of the connection read it, or set `become: true`"
            )
        }
        let kilobytes = ["blocks", "lengths"].compactMap { word in
            lines[word].flatMap { Int($0.prefix { $0.isNumber }) }
        }
        guard let largest = kilobytes.max() else { throw ActionFailure("du says nothing of \(path) that can be read") }
        let devices = (lines["devices"] ?? "").split(separator: " ")
        return Measurement(
            bytes: largest * 1024,
            isOnSameFileSystem: devices.count == 2 && devices[0] == devices[1]
        )
    }

    /// One row of `df -P`.
    ///
    /// The device and the mount point may hold spaces; numbers of a file system that does not count
    /// are a dash.
    private static func row(_ line: String) -> (device: String, numbers: [Int], mount: String)? {
        let pattern = /(.*?)\s+(-|\d+)\s+(-|\d+)\s+(-|-?\d+)\s+(?:-|\d+%)\s+(\/.*)/
        guard let match = line.wholeMatch(of: pattern) else { return nil }
        let numbers = [match.2, match.3, match.4].map { Int($0) ?? 0 }
        return (String(match.1), numbers, String(match.5))
    }
}
