// SPDX-License-Identifier: Apache-2.0

/// The shell of a ``ColdBackup``: how it is taken, found and verified on the node.
///
/// Needs GNU find, coreutils and diffutils, util-linux `flock` and any awk, as every distribution with etcd 3 has them.
extension ColdBackup {
    /// Functions that the scripts of backup, migration and restore share.
    ///
    /// - `refuse_in_use DIR`: bolt holds `flock` on the db as long as etcd runs, also from inside a container; the
    ///   WAL is locked with OFD locks, which `flock` does not see, so open files are looked for as well.
    /// - `hash_files LIST PREFIX DIR… [TEST…]`: "sha256  path" of every file below, for which the tests of `find` hold, into
    ///   LIST, sorted, the prefix taken off. It reads past the page cache where the file system can (`O_DIRECT`), so that
    ///   what is read back comes from the disk and 64 MB of preallocated WAL do not take as much memory; `openssl` uses
    ///   the processor's instructions. With `from_memory` set it reads through the page cache, as what was just written
    ///   or compared is best read.
    /// - `can_bypass_cache FILE`: whether it can be read past the page cache.
    /// - `survey DIR…`: type, mode, uid, gid, size, mtime, inode, ctime, a link's target and the path of everything below.
    static let shellFunctions = #"""
        hash_files() {
          list=$1; prefix=$2; shift 2
          tool=sha256sum; direct=
          if openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then tool='openssl dgst -sha256 -r'; fi
          if [ -z "${from_memory-}" ]; then
            probe=$(find "$@" -type f -size +0 -print -quit)
            if [ -n "$probe" ] && can_bypass_cache "$probe"; then direct=yes; fi
          fi
          : >"$list.failed"
          find "$@" -type f -print0 |
            TOOL=$tool DIRECT=$direct PREFIX=$prefix FAILED=$list.failed xargs -0 -r -n 1 -P 2 sh -c '
              sum=$(if [ -n "$DIRECT" ]; then
                { dd if="$1" bs=1M iflag=direct status=none || printf "%s\n" "$1" >>"$FAILED"; } 2>>"$FAILED" | $TOOL
              else $TOOL <"$1"; fi) || printf "%s\n" "$1" >>"$FAILED"
              [ "${#sum}" -ge 64 ] || printf "%s\n" "$1" >>"$FAILED"
              printf "%s  %s\n" "${sum%% *}" "${1#"$PREFIX"}"' sh | sort -k 2 >"$list"
          [ ! -s "$list.failed" ]
        }
        can_bypass_cache() { dd if="$1" of=/dev/null iflag=direct bs=4096 count=1 status=none 2>/dev/null; }
        quote_glob() {
          case "$1" in
            *[][*?\\]*) printf '%s' "$1" | sed 's/[][*?\\]/\\&/g' ;;
            *) printf '%s' "$1" ;;
          esac
        }
        db_lock() {
          if [ ! -e "$1/member/snap/db" ]; then echo free; return; fi
          { flock -n 8; } 8<"$1/member/snap/db" 2>/dev/null
          case $? in 0) echo free ;; 1) echo held ;; *) echo unknown ;; esac
        }
        holder() { find /proc/[0-9]*/fd -lname "$(quote_glob "$1")/*" -print -quit 2>/dev/null; }
        refuse_in_use() {
          case $(db_lock "$1") in
            held) fail "$1/member/snap/db is locked: etcd still runs on it" "stop etcd and see that nothing starts it again" ;;
            unknown) fail "cannot test the lock of $1/member/snap/db" "install flock (util-linux) and run as root" ;;
          esac
          open=$(holder "$1")
          if [ -n "$open" ]; then
            pid=${open#/proc/}; pid=${pid%%/*}
            fail "process $pid ($(cat "/proc/$pid/comm" 2>/dev/null)) has $(readlink "$open" 2>/dev/null) open" "stop it first"
          fi
        }
        survey() {
          find "$@" -printf '%y %m %U %G %s %T@ %i %C@ \001%l\001%p\n' 2>/dev/null | sort
        }
        field() { sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$1/backup.json"; }
        manifest_sum() { sum=$(sha256sum <"$1/manifest") && printf '%s' "${sum%% *}"; }
        tell_backup() { tell_values "$1" "$(field "$1" bytes)" "$(field "$1" files)" "$(field "$1" manifestSHA256)"; }
        tell_values() { say path "$1"; say bytes "$2"; say files "$3"; say manifest "$4"; }
        manifest_files() {
          awk '$1 == "f" { path = $0
            sub(/^[^ ]* [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* /, "", path)
            print $2, $3, $7, path }' "$1/manifest"
        }
        verify_backup() {
          problem="backup.json or manifest is missing"
          [ -f "$1/backup.json" ] && [ -f "$1/manifest" ] && [ -d "$1/tree" ] || return 1
          problem="the manifest is not the one that backup.json names"
          [ "$(manifest_sum "$1")" = "$(field "$1" manifestSHA256)" ] || return 1
          manifest_files "$1" | sed 's/^\([^ ]*\) [^ ]* [^ ]* /\1  /' >"$work/check"
          if [ -s "$work/check" ] && ! (cd "$1/tree" && sha256sum -c --quiet --strict "$work/check") >"$work/bad" 2>&1
          then problem="$(head -n 1 "$work/bad")"; return 1; fi
          problem="it holds other files than its manifest names"
          [ "$(find "$1/tree" -type f | wc -l)" -eq "$(wc -l <"$work/check")" ] || return 1
          problem=
        }

        """#

    /// Checks what is asked for, and resolves it to `src`, `wal` (empty when inside the source) and `to`.
    static let resolveScript = #"""
        src=$(physical "$SOURCE") || fail "$SOURCE is not a directory on this node" "give the data directory as source"
        wal=
        if [ -n "$WAL" ]; then
          wal=$(physical "$WAL") || fail "$WAL is not a directory on this node" "give the WAL directory, or leave it out"
          case "$src/" in "$wal"/?*) fail "the source $src is inside the WAL directory $wal" ;; esac
          case "$wal/" in "$src"/*) wal= ;; esac
        fi
        to=$(readlink -m -- "$TO")
        for dir in "$src" ${wal:+"$wal"}; do
          case "$to/" in "$dir"/*) fail "the backup directory $to is inside $dir, which is to be backed up" \
            "choose a directory outside the data, best on another disk" ;; esac
          case "$dir/" in "$to"/*) fail "$dir is inside the backup directory $to" "choose another backup directory" ;; esac
        done

        """#

    /// Finds the newest backup of the run.
    ///
    /// Where etcd is stopped, nothing was migrated on it, and etcd wrote after it, it is `outdated`.
    static let findScript =
        resolveScript + sameScript + #"""
            if [ -d "$to/$NAME.partial" ]; then say partial "$to/$NAME.partial"; fi
            n=1; final=$to/$NAME; newest=
            while [ -f "$final/backup.json" ]; do
              if [ "$(manifest_sum "$final")" = "$(field "$final" manifestSHA256)" ]; then newest=$final; fi
              n=$((n + 1)); final=$to/$NAME-$n
            done
            if [ -n "$newest" ]; then
              if [ ! -e "$newest/migration" ] && [ "$(db_lock "$src")" = free ] && ! still_same "$newest"; then
                say outdated "$newest"
              else
                tell_backup "$newest"
              fi
            fi
            """#

    /// Whether the files that etcd changes when it runs are as they were at a backup.
    ///
    /// The db is left out: a migration changes it, and then this backup is the one that matters.
    private static let sameScript = #"""
        work=$(mktemp -d) || fail "no temporary directory"
        trap 'rm -rf -- "$work"' EXIT
        still_same() {
          manifest_files "$1" | sed 's/^[^ ]* //' | grep -v '/member/snap/db[^/]*$' | sort >"$work/then"
          for dir in "$src" ${wal:+"$wal"}; do find "$dir" -type f -printf '%s %T@ %p\n'; done |
            sed 's/^\([^ ]* [^ ]* \)\//\1/' | grep -v '/member/snap/db[^/]*$' | sort >"$work/now"
          cmp -s "$work/then" "$work/now"
        }

        """#

    /// Ends here when a backup of the run is whole and as new as the data.
    private static let reuseScript = #"""
        exec 9<"$src"
        # A backup that outlived its controller goes on to its end, and is then found to be there.
        flock -w "$PATIENCE" 9 || fail "another step of pawl is at work on $src" "wait for it to end"
        refuse_in_use "$src"
        if [ -n "$wal" ]; then refuse_in_use "$wal"; fi
        n=1; final=$to/$NAME
        while [ -e "$final" ] || [ -L "$final" ]; do
          [ -f "$final/backup.json" ] || fail "$final is in the way and is no backup of pawl" "move it away"
          if still_same "$final" && verify_backup "$final"; then tell_backup "$final"; say reused yes; prune; exit 0; fi
          if [ -e "$final/migration" ]; then
            fail "a migration of this run has begun on the data of $final" "undo it first, then take a new backup"
          fi
          n=$((n + 1)); final=$to/$NAME-$n
        done

        """#

    static let takeScript = resolveScript + sameScript + reuseScript + copyScript + proveScript
}
