// SPDX-License-Identifier: Apache-2.0

import Remote

/// What is found of a migration on a node: the live files beside those of the backup, and what was noted about it.
package struct MigrationState: Sendable, Hashable {
    package enum Database: String, Sendable {
        /// Byte by byte the backup's.
        case equal
        case differs
        /// It is there, and was not when the backup was taken.
        case added
        /// It is gone, and was there when the backup was taken.
        case missing
        /// It is not there, and was not when the backup was taken.
        case absent

        /// The db is as it was at the backup.
        package var isOriginal: Bool { self == .equal || self == .absent }
    }

    /// A script of pawl is at work on the data.
    package var isBusy: Bool
    /// Somebody holds the db's lock, or has files of the member open; etcd, as a rule.
    package var isRunning: Bool
    /// Names, sizes and times of the WAL files are those of the backup, and where asked for their hashes.
    package var isWALUnchanged: Bool
    package var areSnapshotsUnchanged: Bool
    /// There is no `.snap` file more or less than in the backup.
    package var areSnapshotNamesUnchanged: Bool
    package var database: Database
    /// A migration was begun on the strength of this backup and was not taken back.
    package var hasBegun: Bool
    /// The tool ended well, and the db is the file that it left.
    package var isAsMigrated: Bool
    package var before: MigrationDatabaseStatus?
    package var after: MigrationDatabaseStatus?
    package var hadIndex: Bool
    /// What the migration noted of its transformer.
    package var transformed: MigrationBaseline.Transformed?

    package init(
        isBusy: Bool = false,
        isRunning: Bool = false,
        isWALUnchanged: Bool = true,
        areSnapshotsUnchanged: Bool = true,
        areSnapshotNamesUnchanged: Bool = true,
        database: Database,
        hasBegun: Bool = false,
        isAsMigrated: Bool = false,
        before: MigrationDatabaseStatus? = nil,
        after: MigrationDatabaseStatus? = nil,
        hadIndex: Bool = false
    ) {
        self.isBusy = isBusy
        self.isRunning = isRunning
        self.isWALUnchanged = isWALUnchanged
        self.areSnapshotsUnchanged = areSnapshotsUnchanged
        self.areSnapshotNamesUnchanged = areSnapshotNamesUnchanged
        self.database = database
        self.hasBegun = hasBegun
        self.isAsMigrated = isAsMigrated
        self.before = before
        self.after = after
        self.hadIndex = hadIndex
    }

    /// Reads the answer of ``Migration/inspectCommand(etcdctl:thorough:timeout:)``; `nil` when it is not whole.
    package init?(_ report: NodeReport) {
        guard report["end"] == "yes", let database = report["db"].flatMap(Database.init(rawValue:)) else { return nil }
        self.init(
            isBusy: report["busy"] == "yes",
            isRunning: report["running"] != "no",
            isWALUnchanged: report["wal_same"] == "yes",
            areSnapshotsUnchanged: report["snap_same"] == "yes",
            areSnapshotNamesUnchanged: report["snap_names_same"] == "yes",
            database: database,
            hasBegun: report["begun"] == "yes",
            isAsMigrated: report["as_migrated"] == "yes",
            before: MigrationDatabaseStatus(report["before"]),
            after: MigrationDatabaseStatus(report["after"]),
            hadIndex: report["index_before"] == "yes"
        )
        transformed = MigrationBaseline.Transformed(report)
    }

    /// What resume may conclude.
    package enum Conclusion: Sendable, Hashable {
        case done(revision: Int, keys: Int, String)
        case notBegun(String)
        case inDoubt(String)
    }

    /// Decides from what was found.
    ///
    /// - Parameters:
    ///   - baseline: what the preflight recorded of the v2 keys.
    ///   - recorded: what a migration of this run recorded after it was proven.
    /// - Returns: what resume may take for true.
    package func conclude(baseline: MigrationBaseline, recorded: (revision: Int, keys: Int)?) -> Conclusion {
        if isBusy { return .inDoubt("a step of pawl that was begun earlier is still at work on the data") }
        // The note is flushed before the tool is started, so without it the tool was not.
        guard hasBegun else { return .notBegun("no migration was begun on this backup") }
        if database.isOriginal, isWALUnchanged, !isRunning {
            return .notBegun("the db is the one of the backup, and etcd was not started since")
        }
        if isRunning || !isWALUnchanged {
            let started = isRunning ? "etcd runs" : "etcd was started since the backup"
            guard !database.isOriginal, let recorded else {
                return .inDoubt("\(started), and no proven migration was recorded")
            }
            return .done(
                revision: recorded.revision,
                keys: recorded.keys,
                "\(started) on the db that was migrated to revision \(recorded.revision) and proven before the start"
            )
        }
        guard isAsMigrated else {
            return .inDoubt("the db is not the backup's, and no migration is known to have ended")
        }
        guard areSnapshotsUnchanged else { return .inDoubt("the snapshots are not those of the backup") }
        do {
            let baseline = try baseline.judging(transformed)
            let gate = try MigrationOutcome.judgeContent(
                before: before,
                after: after,
                hadIndex: hadIndex,
                baseline: baseline
            )
            return .done(
                revision: gate.revision,
                keys: gate.keys,
                "the db is at revision \(gate.revision) with \(gate.keys) migrated keys"
            )
        } catch {
            return .inDoubt(error.message)
        }
    }
}

extension Migration {
    /// Looks at the node, for ``MigrationState``.
    ///
    /// - Parameters:
    ///   - etcdctl: the program, which also reads the db.
    ///   - thorough: also read the backup whole, and compare the hashes of WAL and snapshots with it.
    ///   - timeout: of the whole look.
    /// - Returns: a command that changes nothing.
    package func inspectCommand(etcdctl: String, thorough: Bool, timeout: Duration) -> RemoteCommand {
        let values = NodeReport.assignments([
            "ETCDCTL": etcdctl, "LIMIT": Self.limit(timeout), "THOROUGH": thorough ? "yes" : "",
        ])
        return RemoteCommand(
            "look at the db of \(dataDir) and its backup",
            script: head + values + Self.inspectScript,
            effect: .readOnly,
            timeout: timeout
        )
    }

    private static let inspectScript = #"""
        if [ -n "$THOROUGH" ]; then verify_backup "$BACKUP" || fail "the backup $BACKUP is not sound: $problem" \
          "nothing was restored; use another copy"; fi
        exec 9<"$data"
        if flock -n 9; then say busy no; else say busy yes; fi
        exec 9<&-
        running=no
        if [ "$(db_lock "$data")" != free ] || [ -n "$(holder "$data")" ] || [ -n "$(holder "$wal")" ]; then running=yes; fi
        say running "$running"
        compare_with_backup
        if [ -n "$THOROUGH" ] && [ "$wal_same" = yes ] && [ "$snap_same" = yes ]; then
          manifest_files "$BACKUP" | sed 's/^\([^ ]*\) [^ ]* [^ ]* /\1  \//' | grep '\.\(wal\|snap\)$' >"$work/live"
          if ! sha256sum -c --quiet --strict "$work/live" >"$work/bad" 2>&1; then wal_same=no; say changed "$(head -n 1 "$work/bad")"; fi
        fi
        say wal_same "$wal_same"; say snap_same "$snap_same"; say snap_names_same "$snap_names_same"
        say db "$(db_state)"
        begun=no; as_migrated=no
        if [ -f "$BACKUP/migration" ]; then
          begun=yes
          if grep -qxF "finished $(db_identity)" "$BACKUP/migration"; then as_migrated=yes; fi
        fi
        sed -n '/^transformer_[io]/p' "$BACKUP/migration" 2>/dev/null
        say begun "$begun"; say as_migrated "$as_migrated"
        if [ "$running" = no ] && [ "$as_migrated" = yes ]; then
          if [ -e "$saved" ]; then
            say before "$(status_of "$saved" | tr -d '\n')"
            if grep -aq consistent_index "$saved"; then say index_before yes; fi
          else
            say before '{"revision":0,"totalKey":0}'
          fi
          say after "$(status_of "$snap/db" | tr -d '\n')"
        fi
        say end yes
        """#
}
