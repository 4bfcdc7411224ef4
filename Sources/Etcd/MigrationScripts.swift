// SPDX-License-Identifier: Apache-2.0

import Remote

/// Where a migration works, and the shell that its steps share.
package struct Migration: Sendable, Hashable {
    package var dataDir: String
    /// Where the WAL is when it is not in the data dir.
    package var walDir: String?
    package var backup: ColdBackup
    package var run: String

    package init(dataDir: String, walDir: String?, backup: ColdBackup, run: String) {
        self.dataDir = dataDir
        self.walDir = walDir
        self.backup = backup
        self.run = run
    }

    /// What every script about this migration begins with: `data`, `wal`, `snap`, `saved` (the db in the backup), and
    /// functions over them.
    ///
    /// - `compare_with_backup` sets `wal_same` (names, sizes and times of the WAL files), `snap_same` (the same of the
    ///   `.snap` files) and `snap_names_same`. etcd appends to its WAL at each start, so an unchanged WAL means that it
    ///   was not started since the backup.
    /// - `restore_db` puts the backup's db in place so that at every instant the name `db` is the old or the new one.
    /// - `unbreak` takes back that `etcdctl migrate` renames an unreadable snapshot to `.broken` (etcdserver/api/snap
    ///   `loadSnap`).
    var head: String {
        NodeReport.prelude
            + NodeReport.assignments([
                "DATA": dataDir, "WALDIR": walDir ?? "", "BACKUP": backup.path, "RUN": ColdBackup.fileName(run),
            ]) + ColdBackup.shellFunctions + Self.functions
    }

    private static let functions = #"""
        work=$(mktemp -d) || fail "no temporary directory"
        trap 'rm -rf -- "$work"' EXIT
        data=$(physical "$DATA") || fail "$DATA is not a directory on this node"
        snap=$(physical "$data/member/snap") || fail "$data holds no member of etcd: member/snap is missing"
        wal=$(physical "${WALDIR:-$data/member/wal}") || fail "there is no WAL in ${WALDIR:-$data/member/wal}" \
          "give wal_dir when etcd runs with --wal-dir"
        [ -f "$BACKUP/backup.json" ] && [ -f "$BACKUP/manifest" ] || fail "there is no complete backup at $BACKUP"
        [ "$(manifest_sum "$BACKUP")" = "$(field "$BACKUP" manifestSHA256)" ] || fail "the manifest of $BACKUP is damaged"
        saved=$BACKUP/tree$snap/db
        live_list() { find "$1" -maxdepth 1 -type f -name "*$2" -printf '%s %T@ %p\n' | sort; }
        saved_list() {
          manifest_files "$BACKUP" | DIR=${1#/}/ SUFFIX=$2 awk '
            { size = $2; time = $3; path = $0; sub(/^[^ ]* [^ ]* [^ ]* /, "", path)
              dir = ENVIRON["DIR"]; suffix = ENVIRON["SUFFIX"]; name = substr(path, length(dir) + 1)
              if (substr(path, 1, length(dir)) == dir && index(name, "/") == 0 &&
                substr(name, length(name) - length(suffix) + 1) == suffix) print size, time, "/" path }' | sort
        }
        names() { sed 's/^[^ ]* [^ ]* //' "$1"; }
        compare_with_backup() {
          if [ ! -f "$work/wal.then" ]; then
            saved_list "$wal" .wal >"$work/wal.then"; saved_list "$snap" .snap >"$work/snap.then"
          fi
          live_list "$wal" .wal >"$work/wal.now"; live_list "$snap" .snap >"$work/snap.now"
          [ -s "$work/wal.then" ] || fail "the backup $BACKUP holds no WAL of $wal" "back up the WAL directory as well"
          wal_same=no; snap_same=no; snap_names_same=no
          if cmp -s "$work/wal.now" "$work/wal.then"; then wal_same=yes; fi
          if cmp -s "$work/snap.now" "$work/snap.then"; then snap_same=yes; fi
          if [ "$snap_same" = yes ] || [ "$(names "$work/snap.now")" = "$(names "$work/snap.then")" ]; then
            snap_names_same=yes
          fi
        }
        db_state() {
          if [ -e "$snap/db" ]; then
            if [ ! -e "$saved" ]; then echo added; elif cmp -s "$snap/db" "$saved"; then echo equal; else echo differs; fi
          elif [ -e "$saved" ]; then echo missing; else echo absent; fi
        }
        status_of() { ETCDCTL_API=3 timeout -k 2 "$LIMIT" "$ETCDCTL" snapshot status "$1" -w json 2>"${2:-/dev/null}" </dev/null; }
        db_inode() { if [ -e "$snap/db" ]; then stat -c %d:%i -- "$snap/db"; else echo absent; fi; }
        db_identity() { find "$snap/db" -printf '%i %s %T@ %U:%G %m\n' 2>/dev/null; }
        saved_sum() { manifest_files "$BACKUP" | P=${snap#/}/db awk '{ s = $1; sub(/^[^ ]* [^ ]* [^ ]* /, "")
          if ($0 == ENVIRON["P"]) print s }'; }
        relabel() {
          if command -v selinuxenabled >/dev/null 2>&1 && selinuxenabled && command -v restorecon >/dev/null 2>&1; then
            restorecon -- "$snap/db"
          fi
        }
        unbreak() {
          names "$work/snap.then" | while IFS= read -r file; do
            if [ ! -e "$file" ] && cmp -s -- "$file.broken" "$BACKUP/tree$file"; then mv -- "$file.broken" "$file"; fi
          done
          sync -- "$snap"
        }
        restore_db() {
          aside=$snap/db.pawl-$RUN
          rm -f -- "$aside.new"
          if [ -e "$saved" ]; then
            sum=$(sha256sum <"$saved"); [ "${sum%% *}" = "$(saved_sum)" ] ||
              fail "the db in the backup $BACKUP is damaged; nothing was restored"
            cp -a --reflink=auto --sparse=always -- "$saved" "$aside.new" 2>"$work/err" && sync -- "$aside.new" || {
              rm -f -- "$aside.new"; fail "cannot write the db back: $(head -n 1 "$work/err")" "make room on its disk"; }
            if [ -e "$snap/db" ]; then ln -f -- "$snap/db" "$aside" || fail "cannot keep the replaced db as $aside"; fi
            mv -f -T -- "$aside.new" "$snap/db"
            relabel
          elif [ -e "$snap/db" ]; then
            mv -f -T -- "$snap/db" "$aside"
          fi
          sync -- "$snap"
          case $(db_state) in
            equal|absent) ;;
            *) fail "the db was put back and is not the backup's; the replaced one is $aside" "check the disk" ;;
          esac
          rm -f -- "$aside"; sync -- "$snap"
        }

        """#
}
