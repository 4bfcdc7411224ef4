// SPDX-License-Identifier: Apache-2.0

/// The list of what a ``ColdBackup`` holds: one line an entry, the path last because it may hold spaces.
///
///     pawl-manifest 1
///     f SHA256 SIZE MODE UID GID MTIME var/lib/etcd/default/member/snap/db
///     d - - MODE UID GID - var/lib/etcd/default
package struct ColdBackupManifest: Sendable, Hashable {
    package enum Kind: String, Sendable {
        case file = "f"
        case directory = "d"
        case link = "l"
    }

    package struct Entry: Sendable, Hashable {
        package var kind: Kind
        /// Of a file, in hexadecimal.
        package var sha256: String?
        package var size: Int?
        /// Octal, as `600`.
        package var mode: String
        package var uid: Int
        package var gid: Int
        /// Seconds since 1970 with their fraction, as `find` prints them; compared as text, never as a number.
        package var modified: String?
        /// Relative to `tree/`: the absolute path without its first slash.
        package var path: String
    }

    /// What is wrong with a manifest.
    package struct ParseError: Error, Sendable, CustomStringConvertible {
        package var line: Int
        package var message: String
        package var description: String { "line \(line) of the manifest: \(message)" }
    }

    package var entries: [Entry]

    /// Reads a manifest whole; a line that is not understood is an error, as a shortened file would be.
    package init(parsing text: String) throws(ParseError) {
        guard text.hasSuffix("\n") else { throw ParseError(line: 0, message: "the end is missing") }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        guard lines.first == "pawl-manifest 1" else { throw ParseError(line: 1, message: "not a manifest of format 1") }
        entries = []
        for (number, line) in zip(2..., lines.dropFirst()) {
            let words = line.split(separator: " ", maxSplits: 7, omittingEmptySubsequences: false)
            guard words.count == 8, let kind = Kind(rawValue: String(words[0])), let uid = Int(words[4]),
                let gid = Int(words[5])
            else { throw ParseError(line: number, message: "not an entry") }
            let isFile = kind == .file
            guard isFile == (words[1].count == 64), isFile == (Int(words[2]) != nil) else {
                throw ParseError(line: number, message: "a file needs a hash and a size, and nothing else has them")
            }
            entries.append(
                Entry(
                    kind: kind,
                    sha256: isFile ? String(words[1]) : nil,
                    size: Int(words[2]),
                    mode: String(words[3]),
                    uid: uid,
                    gid: gid,
                    modified: isFile ? String(words[6]) : nil,
                    path: String(words[7])
                )
            )
        }
    }
}
