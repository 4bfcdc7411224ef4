// SPDX-License-Identifier: Apache-2.0

/// The shell that copies a running member's WAL and snapshots and migrates the copy: what a preparation and a rehearsal
/// have in common.
///
/// Needs the functions of ``Transformer``, and `DATA`, `WALDIR`, `ETCDCTL`, `AS`, `NOTTL`, `LIMIT`, `PATIENCE` (seconds, for the lock on the data) and ``ColdBackup``'s functions. Where a function returns 1,
/// `problem` says why.
enum MigrationCopy {
    /// - `locate`: sets `data`, `snap` and `wal`.
    /// - `refuse_unfit`: takes the lock on the data as descriptor 9, which keeps the steps of pawl apart, and sees that
    ///   etcd runs on it and answers (`answers`, a function of the script), and that etcdctl is there.
    /// - `copy_files DIR`: snapshots and WAL into DIR/snap and DIR/wal. The snapshots first: each has its record in the
    ///   WAL, and in a WAL that was copied before it would be missing (`wal: snapshot not found`).
    /// - `migrate_copy DIR`: runs the tool on the copy DIR, which nothing else has open; sets `index_before`, `before`,
    ///   `code`, `last`, `after`, `snap_same`, and fills `$work/noise` with what it complained of.
    /// - `comes_too_early`: whether the copy was taken while etcd wrote a snapshot: the file is there before it is whole,
    ///   and whole before the WAL has its record (etcdserver/storage.go, `SaveSnap`, of 3.4). Waits 1, 2, 4 and 8 s.
    static let shellFunctions = #"""
        locate() {
          data=$(physical "$DATA") || fail "$DATA is not a directory on this node"
          snap=$(physical "$data/member/snap") || fail "$data holds no member of etcd: member/snap is missing"
          wal=$(physical "${WALDIR:-$data/member/wal}") || fail "there is no WAL in ${WALDIR:-$data/member/wal}" \
            "give wal_dir when etcd runs with --wal-dir"
        }
        refuse_unfit() {
          exec 9<"$data"
          flock -w "$PATIENCE" 9 || fail "another step of pawl is at work on $data" "wait for it to end"
          [ "$(db_lock "$data")" = held ] || fail "etcd does not run on $data, and is asked for a copy of its db" "start it"
          # `snapshot save` would wait for its whole time for a member that is not there.
          said=$(answers 2>&1 >/dev/null </dev/null 9<&-) ||
            fail "etcd does not answer: $(printf '%s\n' "$said" | tail -n 1 | cut -c 1-200)" "see etcd_endpoint and the certificates"
          command -v "$ETCDCTL" >/dev/null 2>&1 || fail "$ETCDCTL is not on this node" "install etcdctl 3.0.14 to 3.4"
          owner=$(stat -c %U -- "$snap")
          [ "$owner" = "$AS" ] || fail "the data belongs to $owner, and etcd_user is $AS" "set etcd_user to $owner"
        }
        copy_files() {
          problem="cannot write to ${1%/*}"
          mkdir -p -- "$1/wal" "$1/snap" || return 1
          find "$snap" -maxdepth 1 -type f -name '*.snap' -exec cp -a --reflink=auto --sparse=always -t "$1/snap" -- {} + \
            2>"$work/err" || { problem="cannot copy the snapshots: $(head -n 1 "$work/err")"; return 1; }
          find "$wal" -maxdepth 1 -type f -name '*.wal' -exec cp -a --reflink=auto --sparse=always -t "$1/wal" -- {} + \
            2>"$work/err" || { problem="cannot copy the WAL: $(head -n 1 "$work/err")"; return 1; }
        }
        status_of() { ETCDCTL_API=3 timeout -k 2 "$LIMIT" "$ETCDCTL" snapshot status "$1" -w json 2>/dev/null </dev/null; }
        migrate_copy() {
          copy=$1; copied_db=$copy/member/snap/db
          index_before=no; before='{"revision":0,"totalKey":0}'
          if [ -e "$copied_db" ]; then
            if grep -aqm 1 consistent_index "$copied_db"; then index_before=yes; fi
            before=$(status_of "$copied_db")
          fi
          set -- env ETCDCTL_API=3 "$ETCDCTL" migrate "--data-dir=$copy"
          if [ -n "$NOTTL" ]; then set -- "$@" --no-ttl; fi
          if [ -n "$area" ]; then set -- "$@" "--transformer=$area/run"; fi
          if [ "$(id -u)" = 0 ] && [ "$AS" != root ]; then set -- runuser -u "$AS" -- "$@"; fi
          cd /
          timeout -k 2 "$LIMIT" "$@" >"$work/out" 2>"$work/err" </dev/null 9<&-
          code=$?
          last=$(tail -n 1 "$work/out" | cut -c 1-300)
          # capnslog lines of 3.0 to 3.3 at level information are no complaint.
          grep -v -e '^[0-9][0-9-]* [0-9:.]* [IN] | ' -e '^$' "$work/err" | head -n 8 | cut -c 1-400 >"$work/noise"
          after=$(status_of "$copied_db")
          snap_same=yes
          if [ -n "$(find "$copy/member/snap" -name '*.broken' -print -quit)" ]; then snap_same=no; fi
        }
        delay=1
        comes_too_early() {
          if [ "$snap_same" = yes ]; then
            [ "$code" != 0 ] && grep -q 'wal: snapshot not found' "$work/noise" || return 1
          fi
          [ "$delay" -le 8 ] || return 1
          say progress "etcd is writing a snapshot; the copy is taken anew in $delay s"
          sleep "$delay"
          delay=$((delay * 2))
        }
        tell_migration() {
          tell_transformer
          say code "$code"; say last "$last"; sed 's/^/stderr=/' "$work/noise"
          say index_before "$index_before"; say before "$before"; say after "$after"
          say lock free; say wal_same yes; say snap_same "$snap_same"
        }

        """#
}
