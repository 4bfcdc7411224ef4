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
    /// Started since, with a newer snapshot or with v3 writes that are to be given up: the db, with its consistent index
    /// moved to the end of the WAL, so that etcd takes it for current and applies nothing of the past to it.
    case indexed(String)
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

    /// Decides for a rollback, which may come long after the migration, from a stopped member with a verified backup.
    ///
    /// What ``decide(_:)`` has to refuse (newer snapshots) is possible here, because the whole run is known: the v3 store
    /// was what the backup has, and what was written to it since is nothing or is to be given up. So nothing in the WAL
    /// belongs into the db any more, and it may be marked as if all of it were applied.
    ///
    /// - Parameters:
    ///   - state: what the node shows.
    ///   - isV3Written: whether the v3 store was written to since the migration, and the writes are to be given up.
    /// - Returns: the way back, with its reason.
    package static func rollback(_ state: MigrationState, isV3Written: Bool) -> MigrationRestore {
        let choice = decide(state)
        let mayMark = !state.isBusy && !state.isRunning && !state.isWALUnchanged
        guard mayMark else { return choice }
        if isV3Written {
            return .indexed(
                "v3 was written to since, which is given up: the db of the backup goes back, marked as current so that "
                    + "the WAL does not bring the writes back"
            )
        }
        guard case .refused = choice else { return choice }
        return .indexed(
            "etcd was started since the backup and wrote a newer snapshot, so the db of the backup goes back marked as "
                + "current; WAL and snapshots stay"
        )
    }

    /// The word for it in evidence.
    package var kind: String {
        switch self {
        case .nothing: "nothing"
        case .full: "full"
        case .databaseOnly: "db-only"
        case .indexed: "db-indexed"
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
    ///
    /// - Parameters:
    ///   - kind: the way back.
    ///   - etcdctl: the program that marks the db, for ``MigrationRestore/indexed(_:)`` alone.
    ///   - byHand: what to do where that does not work.
    ///   - timeout: of the whole script.
    /// - Returns: a command that answers `restored` and, where there is a db, `sha256`.
    package func restoreCommand(
        _ kind: MigrationRestore,
        etcdctl: String = "etcdctl",
        byHand: String = "",
        timeout: Duration
    ) -> RemoteCommand {
        let seconds = timeout.components.seconds
        let values = NodeReport.assignments([
            "KIND": kind.kind, "ETCDCTL": etcdctl, "BYHAND": byHand,
            "LIMIT": String(max(1, seconds - min(10, seconds / 4))),
        ])
        return RemoteCommand(
            "restore \(dataDir) from \(backup.path)",
            script: head + values + ConsistentIndex.shellFunction + Self.indexFunction + Self.restoreScript,
            effect: .mutating,
            timeout: timeout
        )
    }

    /// Whether this run has taken the member back, by the note that ``restoreCommand(_:etcdctl:timeout:)`` leaves in the
    /// backup when all is in place: `rolled_back` is `yes`, `no`, or `changed` when the db is another file since.
    package func rolledBackCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "look whether \(dataDir) was taken back",
            script: head + #"""
                noted=$(sed -n "s/^$RUN //p" "$BACKUP/restored" 2>/dev/null)
                if [ -z "$noted" ]; then say rolled_back no; exit 0; fi
                say kind "${noted%% *}"
                if [ "${noted#* }" = "$(db_inode)" ]; then say rolled_back yes; else say rolled_back changed; fi
                """#,
            effect: .readOnly,
            timeout: timeout
        )
    }

    /// Proves that etcd may be started on the db: the one that was there, or the one that was put back whole.
    ///
    /// A db is replaced by a rename, and the old one is kept beside it until the new one was read back; so without that
    /// one nothing is half done. A db that etcd has open has been started on already.
    package func provenWholeCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "see that the db of \(dataDir) is whole",
            script: head + #"""
                exec 9<"$data"
                flock -n 9 || fail "another step of pawl is at work on $data" "wait for it to end"
                aside=$snap/db.pawl-$RUN
                if [ -e "$aside" ] && [ "$(db_lock "$data")" = free ]; then
                  fail "the db was replaced and nobody has read it back; the replaced one is $aside" "go on with pawl resume"
                fi
                rm -rf -- "$aside.d"; rm -f -- "$aside.new"
                """#,
            effect: .mutating,
            timeout: timeout
        )
    }

    /// `index_db` makes the backup's db current: `etcdctl migrate` with a transformer that yields nothing writes no key,
    /// and then the consistent index of the last entry in the WAL (`mvcc.UpdateConsistentIndex`).
    ///
    /// It works on a copy beside the db, which is renamed into place when it is proven: no key more than before, and an
    /// index that is not below the newest snapshot's, without which etcd would not start (`recoverSnapshotBackend`).
    private static let indexFunction = #"""
        status_of() {
          ETCDCTL_API=3 "$ETCDCTL" snapshot status "$1" -w json 2>/dev/null </dev/null |
            sed -n 's/.*"revision":\([0-9]*\),"totalKey":\([0-9]*\).*/\1 \2/p'
        }
        index_db() {
          scratch=$snap/db.pawl-$RUN.d; aside=$snap/db.pawl-$RUN
          rm -rf -- "$scratch"
          mkdir -p -- "$scratch/member/snap" || fail "cannot make $scratch"
          give_up() { rm -rf -- "$scratch"; fail "$1; nothing was changed" "${2-$BYHAND}"; }
          find "$snap" -maxdepth 1 -type f -name '*.snap' | while IFS= read -r file; do
            ln -- "$file" "$scratch/member/snap/" 2>/dev/null || cp -a -- "$file" "$scratch/member/snap/" || exit 1
          done || give_up "cannot copy the snapshots" "make room on the disk of $data"
          before='0 0'
          if [ -e "$saved" ]; then
            sum=$(sha256sum <"$saved"); [ "${sum%% *}" = "$(saved_sum)" ] || give_up "the db in the backup $BACKUP is damaged"
            before=$(status_of "$saved")
            cp -a --reflink=auto --sparse=always -- "$saved" "$scratch/member/snap/db" 2>"$work/err" ||
              give_up "cannot write the db back: $(head -n 1 "$work/err")" "make room on its disk"
          fi
          chown "$(stat -c %u:%g -- "$snap")" "$scratch" "$scratch/member" "$scratch/member/snap" 2>/dev/null
          nothing=/bin/true; if [ ! -x "$nothing" ]; then nothing=/usr/bin/true; fi
          owner=$(stat -c %U -- "$snap")
          set -- env ETCDCTL_API=3 "$ETCDCTL" migrate "--data-dir=$scratch" "--wal-dir=$wal" "--transformer=$nothing"
          if [ "$(id -u)" = 0 ] && [ "$owner" != "$(id -un)" ]; then set -- runuser -u "$owner" -- "$@"; fi
          (cd / && timeout -k 2 "$LIMIT" "$@" >"$work/out" 2>"$work/err" </dev/null 9<&-); code=$?
          last=$(tail -n 1 "$work/out" | cut -c 1-200)
          grep -v '^[0-9][0-9-]* [0-9:.]* [IN] | ' "$work/err" | grep -v '^$' | head -n 3 >"$work/noise"
          if [ "$code" != 0 ] || [ "$last" != "finished transforming keys" ] || [ -s "$work/noise" ]; then
            give_up "etcdctl could not mark the db as current (exit code $code, '$last'): $(tr '\n' ' ' <"$work/noise")"
          fi
          made=$scratch/member/snap/db
          now=$(status_of "$made")
          [ -n "$now" ] && [ -n "$before" ] || give_up "etcdctl cannot read the db"
          more=$((${now#* } - ${before#* }))
          if [ -e "$saved" ] && { [ "${now% *}" != "${before% *}" ] || [ "$more" -lt 0 ] || [ "$more" -gt 1 ]; }; then
            give_up "the marked db is not the backup's: revision and keys $now instead of $before"
          fi
          newest=$(find "$snap" -maxdepth 1 -name '*.snap' -printf '%f\n' | sort | tail -n 1)
          newest=${newest%.snap}; newest=${newest#*-}
          [ "$(last_index "$made")" -ge $((0x${newest:-0})) ] || give_up "the marked db is older than the newest snapshot"
          if [ ! -e "$saved" ]; then chmod 600 "$made"; fi
          want=$(sha256sum <"$made"); sync -- "$made" || give_up "cannot flush the db to its disk" "check the disk"
          if [ -e "$snap/db" ]; then ln -f -- "$snap/db" "$aside" || give_up "cannot keep the replaced db as $aside"; fi
          mv -f -T -- "$made" "$snap/db"; relabel; sync -- "$snap"
          live=$(sha256sum <"$snap/db")
          [ "$live" = "$want" ] || fail "read back, the db is not what was written; the replaced one is $aside" "check the disk"
          rm -rf -- "$scratch"; rm -f -- "$aside"; sync -- "$snap"
          say sha256 "${live%% *}"
        }

        """#

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
          nothing|db-indexed) ;;
          *) fail "no restore is safe here" ;;
        esac
        case "$KIND" in
          nothing) ;;
          db-indexed) index_db ;;
          *) restore_db ;;
        esac
        if [ "$KIND" != db-indexed ]; then
          case $(db_state) in equal|absent) ;; *) fail "the db is not the backup's" ;; esac
        fi
        if [ "$KIND" != db-indexed ] && [ -e "$snap/db" ]; then
          live=$(sha256sum <"$snap/db"); [ "${live%% *}" = "$(saved_sum)" ] || fail "read back, the db is not the backup's"
          say sha256 "${live%% *}"
          want=$(P=${snap#/}/db awk '$1 == "f" { q = $0; sub(/^[^ ]* [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* /, "", q)
            if (q == ENVIRON["P"]) print $5 ":" $6, $4 }' "$BACKUP/manifest")
          [ "$(stat -c '%u:%g %a' -- "$snap/db")" = "$want" ] || fail "the db has another owner or mode than $want"
        fi
        rm -f -- "$snap/db.pawl-$RUN" "$snap/db.pawl-$RUN.new"
        if [ -f "$BACKUP/migration" ]; then mv -f -T -- "$BACKUP/migration" "$BACKUP/migration.undone"; fi
        printf '%s %s %s\n' "$RUN" "$KIND" "$(db_inode)" >"$BACKUP/restored.new" &&
          sync -- "$BACKUP/restored.new" && mv -f -T -- "$BACKUP/restored.new" "$BACKUP/restored" ||
          { rm -f -- "$BACKUP/restored.new"; fail "cannot write $BACKUP/restored" "make room there"; }
        sync -- "$snap" "$BACKUP"
        say restored "$KIND"
        """#
}
