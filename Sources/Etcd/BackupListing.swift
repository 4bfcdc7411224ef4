// SPDX-License-Identifier: Apache-2.0

import Remote

/// The backups that a node has of a host.
package struct BackupListing: Sendable, Hashable {
    /// A complete one.
    package struct Entry: Sendable, Hashable {
        package var backup: ColdBackup
        package var description: ColdBackup.Description
        /// A migration was begun on the strength of it, and what is noted of it.
        package var migration: Migration?

        package enum Migration: String, Sendable, Hashable, Codable {
            case begun, finished, undone
        }
    }

    package var entries: [Entry]
    /// Directories that look like a backup and are not complete: an unfinished copy, or one that is no backup of pawl's
    /// form.
    package var unfinished: [String]

    /// Looks into directories on a node.
    ///
    /// - Parameters:
    ///   - directories: where backups may be; one that is not there has none.
    ///   - host: whose backups; the directory may be shared.
    ///   - timeout: of the look.
    /// - Returns: a command that changes nothing, for ``init(_:)``.
    package static func command(in directories: [String], host: String, timeout: Duration) -> RemoteCommand {
        let calls = directories.map { "list_in \(ShellQuoting.quote($0))\n" }.joined()
        return RemoteCommand(
            "list the backups in \(directories.joined(separator: ", "))",
            script: NodeReport.prelude
                + NodeReport.assignments(["HOST": host, "NAME": ColdBackup.fileName(host)])
                + ColdBackup.shellFunctions + script + calls + "say end yes\n",
            effect: .readOnly,
            timeout: timeout
        )
    }

    private static let script = #"""
        list_in() {
          if [ -d "$1" ] && [ ! -r "$1" ]; then fail "$1 cannot be read" "become root on this node"; fi
          for dir in "$1"/*; do
            if [ ! -d "$dir" ] || [ -L "$dir" ]; then continue; fi
            if [ -f "$dir/backup.json" ]; then
              case "$dir" in *.partial|*.removing) say unfinished "$dir"; continue ;; esac
              if [ "$(field "$dir" host)" != "$HOST" ]; then continue; fi
              say backup "$dir"; say json "$(tr -d '\n' <"$dir/backup.json")"
              if [ -f "$dir/migration.undone" ]; then say migration undone; fi
              if [ -f "$dir/migration" ]; then
                if grep -q '^finished ' "$dir/migration"; then say migration finished; else say migration begun; fi
              fi
            else
              case "${dir##*/}" in "$NAME"-*) say unfinished "$dir" ;; esac
            fi
          done
        }

        """#

    /// Reads the answer; `nil` when it is not whole.
    package init?(_ report: NodeReport) {
        guard report["end"] == "yes" else { return nil }
        entries = []
        unfinished = report.all("unfinished")
        var path: String?
        for (name, value) in report.pairs {
            switch name {
            case "backup": path = value
            case "json":
                guard let found = path else { continue }
                if let description = ColdBackup.description(parsing: value) {
                    entries.append(Entry(backup: ColdBackup(path: found), description: description))
                } else {
                    unfinished.append(found)
                    path = nil
                }
            case "migration":
                guard path != nil, !entries.isEmpty else { continue }
                entries[entries.count - 1].migration = Entry.Migration(rawValue: value)
            default: break
            }
        }
        entries.sort { $0.description.created > $1.description.created }
    }
}
