// SPDX-License-Identifier: Apache-2.0

import Remote

/// Which way back is safe for a member, by the state in which it is found.
///
/// A member that has acknowledged raft entries must not forget them: once etcd was started after the backup, its old
/// WAL may not come back. Its db may, because the WAL brings it forward, as long as no snapshot is newer than it.
package enum MigrationRestore: Sendable, Hashable {
    /// The db is the backup's already.
    case nothing(String)
    /// Not started since the backup: the member becomes what it was, byte by byte.
    case full(String)
    /// Started since, without a new snapshot: the db alone.
    case databaseOnly(String)
    case refused(String, remedy: String)

    /// Decides from a state that was looked at thoroughly, with a verified backup.
    package static func decide(_ state: MigrationState) -> MigrationRestore {
        if state.isBusy {
            return .refused("a step of pawl is still at work on the data", remedy: "wait for it to end")
        }
        if state.isRunning {
            return .refused("etcd runs on the data", remedy: "stop etcd on this node, and keep it stopped")
        }
        if state.isWALUnchanged, state.areSnapshotsUnchanged {
            return state.database.isOriginal
                ? .nothing("the member is as it was at the backup")
                : .full("etcd was not started since the backup, so the member goes back to it whole")
        }
        // A renamed snapshot with an unchanged WAL is etcdctl's doing; the restore renames it back.
        if state.isWALUnchanged {
            return .full("etcd was not started since the backup, but its snapshots were touched; both go back")
        }
        guard state.areSnapshotNamesUnchanged else {
            return .refused(
                "etcd was started since the backup and has other snapshots than it, so neither the old WAL nor the old db fits",
                remedy: "remove the member from the cluster, empty its data directory, and add it anew"
            )
        }
        return state.database.isOriginal
            ? .nothing("the db is the one of the backup, and the WAL is newer and stays")
            : .databaseOnly("etcd was started since the backup and wrote no snapshot, so only the db goes back")
    }

    /// The word for it in evidence.
    package var kind: String {
        switch self {
        case .nothing: "nothing"
        case .full: "full"
        case .databaseOnly: "db-only"
        case .refused: "refused"
        }
    }
}

extension Migration {
    /// Puts the backup's db back.
    ///
    /// The script looks again at what the decision rests on before it changes anything.
    ///
    /// - Precondition: the backup was verified whole, by ``inspectCommand(etcdctl:thorough:timeout:)``.
    package func restoreCommand(_ kind: MigrationRestore, timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "restore \(dataDir) from \(backup.path)",
            script: head + NodeReport.assignments(["KIND": kind.kind]) + Self.restoreScript,
            effect: .mutating,
            timeout: timeout
        )
    }

    private static let restoreScript = #"""
        exec 9<"$data"
        flock -n 9 || fail "another step of pawl is at work on $data" "wait for it to end"
        refuse_in_use "$data"
        case "$wal/" in "$data"/*) ;; *) refuse_in_use "$wal" ;; esac
        compare_with_backup
        case "$KIND" in
          full)
            unbreak; compare_with_backup
            [ "$wal_same" = yes ] || fail "etcd was started meanwhile" "look again"
            [ "$snap_same" = yes ] || fail "the snapshots are not those of the backup" \
              "remove the member from the cluster and add it anew" ;;
          db-only)
            [ "$snap_names_same" = yes ] || fail "the snapshots are not those of the backup" \
              "remove the member from the cluster and add it anew" ;;
          nothing) ;;
          *) fail "no restore is safe here" ;;
        esac
        if [ "$KIND" != nothing ]; then restore_db; fi
        case $(db_state) in equal|absent) ;; *) fail "the db is not the backup's" ;; esac
        if [ -e "$snap/db" ]; then
          live=$(sha256sum <"$snap/db"); [ "${live%% *}" = "$(saved_sum)" ] || fail "read back, the db is not the backup's"
          say sha256 "${live%% *}"
          want=$(P=${snap#/}/db awk '$1 == "f" { q = $0; sub(/^[^ ]* [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* /, "", q)
            if (q == ENVIRON["P"]) print $5 ":" $6, $4 }' "$BACKUP/manifest")
          [ "$(stat -c '%u:%g %a' -- "$snap/db")" = "$want" ] || fail "the db has another owner or mode than $want"
        fi
        rm -f -- "$snap/db.pawl-$RUN" "$snap/db.pawl-$RUN.new"
        if [ -f "$BACKUP/migration" ]; then mv -f -T -- "$BACKUP/migration" "$BACKUP/migration.undone"; fi
        sync -- "$snap" "$BACKUP"
        say restored "$KIND"
        """#
}
