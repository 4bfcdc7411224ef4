// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// A copy of a stopped member's files on its node, and the one place that knows how such a copy is laid out.
///
///     TO/HOST-RUN/            0700; `HOST-RUN-2` when etcd was started again and a second copy was needed
///       tree/<absolute path>  made by `cp -a --reflink=auto --sparse=always`
///       manifest              every file, directory and link, with size, SHA-256, mode, owner and time
///       backup.json           what this is, with the SHA-256 of the manifest
///       migration             what `etcd_migrate` did on the strength of this backup, if it began
///
/// It is written as `HOST-RUN.partial` and renamed when it was flushed and read back, so a directory with the final
/// name is complete. Hard links would be wrong: bolt and the WAL are changed in place.
package struct ColdBackup: Sendable, Hashable {
    /// The number in `backup.json` of the layout above.
    package static let formatVersion = 1

    /// The directory on the node.
    package var path: String

    package init(path: String) {
        self.path = path
    }

    /// The name of the first backup of a host in a run, with bytes that a file name should not have replaced.
    package static func directoryName(host: String, run: String) -> String {
        "\(fileName(host))-\(fileName(run))"
    }

    /// A word as it may stand in a file name.
    package static func fileName(_ word: String) -> String {
        String(
            word.unicodeScalars.map { scalar -> Character in
                let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                return isPlain || "._-".unicodeScalars.contains(scalar) ? Character(scalar) : "_"
            }
        )
    }

    /// What `backup.json` says.
    package struct Description: Sendable, Hashable, Codable {
        package var format: Int
        package var run: String
        package var host: String
        /// The directories that were copied, as physical paths.
        package var sources: [String]
        /// In UTC, as `2026-11-21T03:28:10Z`, on the node's clock.
        package var created: String
        package var bytes: Int
        package var files: Int
        package var manifestSHA256: String
        /// Whether the playbook wants it kept after the run.
        package var keep: Bool
    }

    /// Reads `backup.json`; `nil` for another format or for what is none.
    package static func description(parsing text: String) -> Description? {
        guard let found = try? JSONDecoder().decode(Description.self, from: Data(text.utf8)),
            found.format == formatVersion
        else { return nil }
        return found
    }

    /// What is to be copied, and where to.
    package struct Request: Sendable {
        package var source: String
        /// A WAL directory outside the source, if any.
        package var walDir: String?
        package var destination: String
        package var host: String
        package var run: String
        package var keep: Bool
        /// How many complete backups of this host are kept, this one included; `nil` keeps all.
        package var retain: Int?
        /// Runs that are open; their backups are kept whatever their age.
        package var openRuns: [String]

        package init(
            source: String,
            walDir: String?,
            destination: String,
            host: String,
            run: String,
            keep: Bool,
            retain: Int? = nil,
            openRuns: [String] = []
        ) {
            self.retain = retain
            self.openRuns = openRuns
            self.source = source
            self.walDir = walDir
            self.destination = destination
            self.host = host
            self.run = run
            self.keep = keep
        }
    }

    static func head(_ request: Request) -> String {
        NodeReport.prelude
            + NodeReport.assignments([
                "SOURCE": request.source, "WAL": request.walDir ?? "", "TO": request.destination,
                "NAME": directoryName(host: request.host, run: request.run), "RUN": request.run,
                "HOST": request.host, "KEEP": request.keep ? "true" : "false", "FORMAT": String(formatVersion),
            ]) + shellFunctions
    }

    /// Takes the backup, or finds the one that this run has taken and that is still of this state.
    ///
    /// It answers `path`, `bytes`, `files`, `manifest` and `reused`, and one `removed` for each older backup that is not
    /// kept any more.
    package static func takeCommand(_ request: Request, timeout: Duration) -> RemoteCommand {
        // The wait for an earlier step leaves time to say that it was in vain.
        let patience = max(1, timeout.components.seconds - min(10, timeout.components.seconds / 4))
        return RemoteCommand(
            "back up \(request.source) to \(request.destination)",
            script: head(request)
                + NodeReport.assignments([
                    "PATIENCE": String(patience), "RETAIN": request.retain.map(String.init) ?? "",
                    "OPEN": request.openRuns.joined(separator: " "),
                ]) + pruneFunction + takeScript,
            effect: .mutating,
            timeout: timeout
        )
    }

    /// Looks for a complete backup of the run: `path`, `bytes`, `files` and `manifest` of the newest, or `partial`.
    package static func findCommand(_ request: Request, timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "look for a backup in \(request.destination)",
            script: head(request) + findScript,
            effect: .readOnly,
            timeout: timeout
        )
    }

    /// Reads the whole backup and compares it with its manifest; refuses with what is wrong first.
    package func verifyCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "verify the backup \(path)",
            script: NodeReport.prelude + NodeReport.assignments(["BACKUP": path]) + Self.shellFunctions + #"""
                work=$(mktemp -d) || fail "no temporary directory"
                trap 'rm -rf -- "$work"' EXIT
                verify_backup "$BACKUP" || fail "the backup $BACKUP is not sound: $problem"
                say manifest "$(manifest_sum "$BACKUP")"
                """#,
            effect: .readOnly,
            timeout: timeout
        )
    }
}
