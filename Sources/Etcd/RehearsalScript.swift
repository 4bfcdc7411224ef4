// SPDX-License-Identifier: Apache-2.0

/// The shell of a ``Rehearsal``.
enum RehearsalScript {
    static let whole = functions + RehearsalCut.shellFunctions + begin + copy + trial + tell

    /// - `drop WHY [REMEDY]`: ends the script; the trap removes the scratch directory.
    /// - `below PID`: all processes below one.
    /// - `worked PID`: milliseconds of processor time that a process and all below it have taken.
    /// - `leave`: the trap. Nothing that was started is left, nor any file.
    /// - `watch`: runs beside everything else, and ends it when nobody listens any more, when the disk of the scratch
    ///   directory gets full, when a run begins on the cluster, or when the time is over. The tools are killed, so that
    ///   the shell need not wait for them. Where the shell itself was killed it cleans up in its place.
    private static let functions = #"""
        drop() { fail "$@"; }
        below() {
          cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
            { pid = $1; sub(/^.*\) /, ""); parent[pid] = $2 }
            END { for (pid in parent) for (up = pid; up in parent && up > 1; up = parent[up])
              if (parent[up] == root) { print pid; break } }'
        }
        worked() {
          for process in "$1" $(below "$1"); do cat "/proc/$process/stat" 2>/dev/null; done |
            awk -v ticks="$(getconf CLK_TCK 2>/dev/null || echo 100)" '
              { sub(/^.*\) /, ""); sum += $12 + $13 } END { printf "%d", sum * 1000 / ticks }'
        }
        leave() {
          code=$?
          trap - EXIT; trap '' TERM PIPE
          for process in $(below "$self"); do kill -KILL "$process" 2>/dev/null; done
          wait
          why=; remedy=
          if [ -s "$work/stop" ]; then { read -r why; read -r remedy; } <"$work/stop"; fi
          cd /
          rm -rf -- "$prep" "$work"
          if [ -n "$why" ]; then (fail "$why" "$remedy"); code=65; fi
          exit "$code"
        }
        stop() {
          printf '%s\n%s\n' "$1" "${2-}" >"$work/stop.new" && mv -- "$work/stop.new" "$work/stop"
          kill -TERM "$self"
          read -r me _ </proc/self/stat
          for process in $(below "$self"); do
            if [ "$process" != "$me" ]; then kill -KILL "$process" 2>/dev/null; fi
          done
          exit
        }
        free_space() { df -Pk -- "$1" | { read -r _; read -r _ _ _ free _; echo "$free"; }; }
        watch() {
          trap 'exit' TERM; trap 'stop "nobody waits for the rehearsal any more"' PIPE; trap - EXIT
          end=$(($(date +%s) + LIMIT))
          while sleep 1 >/dev/null 2>&1; do
            if ! kill -0 "$self" 2>/dev/null; then rm -rf -- "$prep" "$work"; exit; fi
            printf 'alive=%s\n' "$(cat "$work/now" 2>/dev/null)" 2>/dev/null || stop "nobody waits for the rehearsal any more"
            if [ -e "$state/lock" ]; then stop "$RUN_HAS_BEGUN" "rehearse when it has ended"; fi
            if [ "$(free_space "$prep")" -lt "$headroom" ]; then
              stop "the disk of $prep gets full: less than $((headroom / 1024)) MiB are free" \
                "make room there, or name a directory on another disk with --scratch"
            fi
            if [ "$(date +%s)" -ge "$end" ]; then
              stop "the rehearsal did not end in time: $(cat "$work/now") took too long" "allow more with --timeout"
            fi
          done
        }
        now() { printf '%s' "$1" >"$work/now"; }
        sizes() { du -skc -- "$@" 2>/dev/null | { total=0; while read -r size _; do total=$size; done; echo "$total"; }; }

        """#

    /// Nothing is written before there is room for all of it, and for what else the disk is for.
    private static let begin = #"""
        locate
        parent=$(physical "${SCRATCH:-${data%/*}}") || fail "$SCRATCH is not a directory on this node" "make it, or leave --scratch out"
        case "$parent/" in "$data"/*|"$wal"/*) fail "the scratch directory $parent is inside the data of etcd" \
          "choose one outside of it" ;; esac
        if [ -e "$state/lock" ]; then fail "$RUN_HAS_BEGUN" "rehearse when it has ended"; fi
        refuse_unfit
        prep=$parent/.pawl-$RUN-${data##*/}
        if [ -L "$prep" ]; then fail "$prep is a link" "remove it"; fi
        rm -rf -- "$prep" || fail "cannot remove $prep, which an earlier rehearsal left"
        wal_size=$(sizes "$wal"); snap_size=$(find "$snap" -name '*.snap' -exec du -sk -- {} + |
          { total=0; while read -r size _; do total=$((total + size)); done; echo "$total"; })
        # A copy, its backup, the migrated db, and snapshots of etcd's trial.
        need=$(((wal_size + snap_size) * 4))
        headroom=$(df -Pk -- "$parent" | { read -r _; read -r _ size _; echo "$((size / 20))"; })
        if [ "$headroom" -lt 65536 ]; then headroom=65536; fi
        [ "$(free_space "$parent")" -gt $((need + headroom)) ] ||
          fail "there is no room for a rehearsal at $parent: it needs $((need / 1024 + 1)) MiB and leaves $((headroom / 1024)) MiB free, there are $(($(free_space "$parent") / 1024)) MiB" \
            "make room there, or name a directory on another disk with --scratch"
        etcd=$(holder "$data"); etcd=${etcd#/proc/}; etcd=${etcd%%/*}
        # In a container it has another name for the directory; the lock on the db tells it all the same.
        if [ -z "$etcd" ]; then
          etcd=$(awk -v inode=":$(stat -c %i -- "$snap/db")$" '$2 == "FLOCK" && $6 ~ inode && $5 > 0 { print $5; exit }' /proc/locks)
        fi
        [ -n "$etcd" ] || fail "the process of etcd is not found" "rehearse as root"
        used=$(sed -n 's/^VmRSS: *\([0-9]*\).*/\1/p' "/proc/$etcd/status")
        memory=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
        [ "$memory" -gt $((used * 2 + 65536)) ] ||
          fail "there is too little memory for a rehearsal: $((memory / 1024)) MiB available, $((used / 512 + 64)) MiB needed" \
            "rehearse when there is more"
        # Whatever becomes scarce, the rehearsal is what gives way.
        echo 1000 >/proc/self/oom_score_adj 2>/dev/null
        # The script may be a part of another shell, whose process `$$` is.
        read -r self _ </proc/self/stat
        renice -n 19 -p "$self" >/dev/null 2>&1; ionice -c 2 -n 7 -p "$self" >/dev/null 2>&1
        work=$(mktemp -d) || fail "no temporary directory"
        trap leave EXIT
        mkdir -m 711 -- "$prep" 2>"$work/err" || fail "cannot make $prep: $(head -n 1 "$work/err")" "name another directory with --scratch"
        now "the copy"
        watch &
        say wal_kilobytes "$wal_size"; say snap_kilobytes "$snap_size"; say need_kilobytes "$need"
        say data_kilobytes "$(sizes "$data" $(case "$wal/" in "$data"/*) ;; *) echo "$wal" ;; esac))"
        backups=$BACKUPS; while [ ! -d "$backups" ]; do backups=${backups%/*}; backups=${backups:-/}; done
        say backup_free_kilobytes "$(free_space "$backups")"; say prepare_free_kilobytes "$(free_space "${data%/*}")"
        if [ "$(stat -c %d -- "${data%/*}")" != "$(stat -c %d -- "$snap")" ]; then
          say unfit "$snap is on another file system than ${data%/*}, so a copy cannot be renamed into it"
        fi

        """#

    /// Copies, backs up and migrates.
    ///
    /// The backup is rehearsed too, by the very scripts that take one, because a member is out while it is taken: as a
    /// whole, and what is left of it when what is at rest was backed up ahead. A file counts as at rest after a second;
    /// the last segment gets a new time, as one that etcd writes to.
    private static let copy = #"""
        take_copy() {
          copy_files "$prep/data/member" || drop "$problem"
          cut_copy "$prep/data/member"
          chown -R --reference="$snap" -- "$prep/data" || drop "cannot change owners in $prep"
          chmod 700 -- "$prep/data" "$prep/data/member" "$prep/data/member/snap" "$prep/data/member/wal"
        }
        began=$(milliseconds)
        take_copy
        say copy_milliseconds "$(($(milliseconds) - began))"; say cut "$cut"
        now "the backup"
        began=$(milliseconds)
        back_up() {
          (cd "$prep" && timeout -k 2 "$LIMIT" sh -c "$1") >"$work/out" 2>"$work/err" </dev/null 9<&- ||
            drop "a backup of the copy failed: $(sed -n 's/^error=//p' "$work/out" | head -n 1)"
        }
        back_up "$BACKUP_SCRIPT"
        say whole_backup_milliseconds "$(($(milliseconds) - began))"
        rm -rf -- "$prep/backup"
        sleep 2
        back_up "$AHEAD_SCRIPT"
        for file in "$prep/data/member/wal"/*.wal; do newest=$file; done
        touch -- "$newest"
        began=$(milliseconds)
        back_up "$BACKUP_SCRIPT"
        say backup_milliseconds "$(($(milliseconds) - began))"
        rm -rf -- "$prep/backup"
        now "etcdctl migrate"
        wrap_transformer "$prep" || drop "$problem"
        began=$(milliseconds)
        migrate_copy "$prep/data"
        while comes_too_early; do
          rm -rf -- "$prep/data"
          take_copy
          wrap_transformer "$prep" || drop "$problem"
          began=$(milliseconds)
          migrate_copy "$prep/data"
        done
        say milliseconds "$(($(milliseconds) - began))"
        tell_migration
        if [ "$code" != 0 ] || [ -s "$work/noise" ]; then exit 0; fi
        say db_kilobytes "$(sizes "$prep/data/member/snap/db")"

        """#

    /// Starts etcd on the migrated copy, without any network, and has it write a snapshot of the v2 store.
    ///
    /// A member with `--force-new-cluster` still knows the addresses of its former peers. So nothing is started where it
    /// cannot be kept from the network. Its snapshot count is that of the entries which it replays, so that it writes one
    /// snapshot, when it has come to their end; a question for its health is one entry more.
    private static let trial = #"""
        now "the start of etcd on the copy"
        cd "$prep/data" || drop "cannot enter $prep/data"
        untried() { say untried "$1"; exit 0; }
        alive() { case "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null)" in ''|Z*) return 1 ;; esac; }
        program=$(readlink "/proc/$etcd/exe")
        if ! [ "$program" -ef "/proc/$etcd/exe" ]; then program=/proc/$etcd/exe; fi
        outside=$(readlink /proc/self/ns/net)
        inside=$(unshare -n -- readlink /proc/self/ns/net 2>/dev/null)
        [ -n "$inside" ] && [ "$inside" != "$outside" ] || untried "a process without network cannot be started here (unshare -n)"
        ls -- "$prep/data/member/snap" >"$work/snaps"
        base=$(sed -n 's/.*-\([0-9a-f]*\)\.snap$/\1/p' "$work/snaps" | tail -n 1)
        replayed=$((INDEX - 0x${base:-0})); if [ "$replayed" -lt 1 ]; then replayed=1; fi
        set -- "$program" --name pawl --data-dir "$prep/data" --force-new-cluster --snapshot-count="$replayed" --max-snapshots=0 \
          --listen-client-urls unix://localhost:1 --advertise-client-urls http://localhost:1 \
          --listen-peer-urls unix://localhost:2 --initial-advertise-peer-urls http://localhost:2 \
          --initial-cluster pawl=http://localhost:2
        set -- env -i "PATH=$PATH" TZ=UTC "$@"
        if [ "$(id -u)" = 0 ] && [ "$AS" != root ]; then set -- runuser -u "$AS" -- "$@"; fi
        began=$(milliseconds)
        timeout -k 2 "$LIMIT" unshare -n -- "$@" >"$work/log" 2>&1 </dev/null 9<&- &
        tried=$!
        until curl -q -sf -m 5 --unix-socket localhost:2 http://localhost/version >/dev/null 2>&1; do
          alive "$tried" || { say unstarted "$(tail -n 1 "$work/log" | cut -c 1-300)"; exit 0; }
          sleep 0.02
        done
        say start_milliseconds "$(($(milliseconds) - began))"; say start_processor_milliseconds "$(worked "$tried")"
        until curl -q -s -m 5 --unix-socket localhost:1 http://localhost/health 2>/dev/null | grep -q '"health": *"*true'; do
          alive "$tried" || { say unstarted "$(tail -n 1 "$work/log" | cut -c 1-300)"; exit 0; }
          sleep 0.02
        done
        say ready_milliseconds "$(($(milliseconds) - began))"
        now "the reading of the migrated keys"
        ETCDCTL_API=3 timeout -k 2 "$LIMIT" "$ETCDCTL" --endpoints unix://localhost:1 --dial-timeout 5s --command-timeout "${LIMIT}s" \
          get "" --from-key --keys-only -w json >"$work/v3" 2>"$work/err" </dev/null 9<&- ||
          untried "the migrated keys cannot be read: $(tail -n 1 "$work/err" | cut -c 1-200)"
        tries=0; new=
        while [ -z "$new" ] && [ "$tries" -lt 400 ]; do
          curl -q -s -m 5 --unix-socket localhost:1 http://localhost/health >/dev/null 2>&1
          new=$(ls -- "$prep/data/member/snap" | grep '\.snap$' | grep -vxF -f "$work/snaps" | head -n 1)
          tries=$((tries + 1))
        done
        # Ended in good order, it has written its snapshots to the end.
        kill -TERM "$tried"; wait "$tried"
        [ -n "$new" ] || untried "etcd wrote no snapshot, so what is not migrated is not known"

        """#

    private static let tell = #"""
        now "the comparison of the keys"
        awk 'BEGIN { RS = "[{]\"key\":" } NR > 1 && match($0, /"create_revision":[0-9]+,"mod_revision":[0-9]+/) {
          pair = substr($0, RSTART + 18, RLENGTH - 18); sub(/,"mod_revision":/, " ", pair); print pair }' "$work/v3" >"$work/pairs"
        : >"$work/states"
        awk -v noTTL="$NOTTL" -v states="${TRANSFORMER:+$work/states}" -v now="$(date -u +%Y-%m-%dT%H:%M:%S)" "$LOSSES" "$work/pairs" RS='[{]"Path":"' \
          "$prep/data/member/snap/$new" || drop "the snapshot of the v2 store cannot be read"
        if [ -n "$TRANSFORMER" ]; then say v2_digest "$(sort "$work/states" | sha256sum | cut -c 1-64)"; fi
        say end yes
        """#

    /// Reads the pairs of created and modified index that v3 holds, and then a snapshot of the v2 store.
    ///
    /// A snapshot holds the store as JSON from Go's encoder (etcdserver/api/v2store, `node`): Path, CreatedIndex,
    /// ModifiedIndex, ExpireTime, Value, Children, where a key's Children are `null`. The encoder escapes each quote
    /// within a string, so `{"Path":"` begins a node and nothing else does. A byte that is no UTF-8 is written as the
    /// six characters `\ufffd`, and a replacement character that was there before as itself.
    ///
    /// An index is that of one change, so created and modified index together tell a key's state.
    static let losses = #"""
        function note(kind) { if (count[kind]++ < 10) named[++names] = kind "_name=" name }
        FILENAME == ARGV[1] { v3[$1 " " $2] = 1; migrated++; next }
        FNR == 1 { next }
        {
          match($0, /^([^"\\]|\\.)*"/)
          path = substr($0, 1, RLENGTH - 1)
          if (path ~ /^\/2\/users\/[^\/]+$/) { name = substr(path, 10); note("user") }
          if (substr(path, 1, 3) != "/1/") next
          name = substr(path, 3)
          at = index($0, "\"Children\":")
          children = substr($0, at + 11, 4)
          match($0, /"CreatedIndex":[0-9]+,"ModifiedIndex":[0-9]+/)
          pair = substr($0, RSTART + 15, RLENGTH - 15); sub(/,"ModifiedIndex":/, " ", pair)
          match($0, /"ExpireTime":"[^"]*"/)
          expires = substr($0, RSTART + 14, RLENGTH - 15)
          mayExpire = expires !~ /^0001-01-01T/
          if (name ~ /\/_/) { if (children == "null") note("hidden"); next }
          if (children != "null") {
            if (mayExpire) note("ttl_directory")
            if (substr(children, 1, 2) == "{}") note("empty_directory")
            next
          }
          keys++
          if (states != "") print pair >states
          if (mayExpire) {
            note("ttl")
            if (expires ~ /Z$/ && substr(expires, 1, 19) < now) note("expired")
          }
          text = substr($0, 1, at); gsub(/\\\\/, "", text)
          if (index(text, "\\ufffd")) note("altered")
          if (mayExpire && noTTL != "") next
          if (pair in v3) both++; else note("missing")
        }
        END {
          printf "keys=%d\nmigrated=%d\nadded=%d\n", keys, migrated, migrated - both
          for (kind in count) printf "%s=%d\n", kind, count[kind]
          for (i = 1; i <= names; i++) print named[i]
        }
        """#
}
