// SPDX-License-Identifier: Apache-2.0

/// The shell of a ``ColdBackup``: how it is taken, found and verified on the node.
///
/// Needs GNU find, coreutils and diffutils, util-linux `flock` and any awk, as every distribution with etcd 3 has them.
extension ColdBackup {
    /// Functions that the scripts of backup, migration and restore share.
    ///
    /// - `refuse_in_use DIR`: bolt holds `flock` on the db as long as etcd runs, also from inside a container; the
    ///   WAL is locked with OFD locks, which `flock` does not see, so open files are looked for as well.
    /// - `hash_files LIST PREFIX DIR…`: "sha256  path" of every file below into LIST, sorted, the prefix taken off. It
    ///   reads past the page cache where the file system can (`O_DIRECT`), so that what is read back comes from the
    ///   disk and 64 MB of preallocated WAL do not take as much memory; `openssl` uses the processor's instructions.
    /// - `listing DIR`: type, mode, uid, gid, size, mtime and relative path of everything below; directories and
    ///   links without times, because a renamed file changes its directory's.
    static let shellFunctions = #"""
        tool=
        hash_files() {
          list=$1; prefix=$2; shift 2
          if [ -z "$tool" ]; then choose_tool; fi
          probe=$(find "$@" -type f -size +0 -print -quit); flag=
          if [ -n "$probe" ] && dd if="$probe" of=/dev/null iflag=direct bs=4096 count=1 status=none 2>/dev/null; then
            flag=iflag=direct
          fi
          : >"$list.failed"
          find "$@" -type f -print0 |
            TOOL=$tool FLAG=$flag PREFIX=$prefix FAILED=$list.failed xargs -0 -r -n 1 -P 2 sh -c '
              sum=$({ dd if="$1" bs=1M $FLAG status=none || printf "%s\n" "$1" >>"$FAILED"; } 2>>"$FAILED" | $TOOL)
              printf "%s  %s\n" "${sum%% *}" "${1#"$PREFIX"}"' sh | sort -k 2 >"$list"
          [ ! -s "$list.failed" ]
        }
        choose_tool() {
          tool=sha256sum
          if openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then tool='openssl dgst -sha256 -r'; fi
        }
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
        listing() {
          find "$1" -type d -printf 'd %m %U %G - - %P\n' -o -type f -printf 'f %m %U %G %s %T@ %P\n' \
            -o -type l -printf 'l %m %U %G - - %P\n' -o -printf 'x %m %U %G - - %P\n' | sort
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

    /// Hashing the source runs beside flushing; then the copy is hashed as it is read back.
    ///
    /// What ``BackupAhead`` copied, and is as it was, was read back then, and is only taken over.
    /// With 64 MB of preallocated WAL, `cp` took 9 ms and a hash 40 ms (125 ms with `sha256sum`).
    private static let copyScript =
        BackupAhead.takeOver + #"""
            part=$final.partial
            free_space() { df -Pk -- "$to" | { read -r _; read -r _ _ _ free _; echo "$free"; }; }
            abort() { wait; rm -rf -- "$part"; fail "$@"; }
            space() {
              free=$(free_space)
              abort "disk full at $to: needs $((need / 1024 + 1)) MiB, free $((free / 1024)) MiB${1:+ ($1)}" \
                "make room there, or choose another backup directory"
            }
            failed() {
              case "$1" in *"No space left"*|*"quota exceeded"*) space "$1" ;; esac
              abort "the backup could not be written: $1"
            }
            odd=$(find "$src" ${wal:+"$wal"} \( -name '*[[:cntrl:]]*' -o -name '*\\*' \
              -o ! -type f ! -type d ! -type l \) -print -quit)
            [ -z "$odd" ] || fail "cannot back up $odd: not a plain file, directory or link with a plain name"
            find "$src" ${wal:+"$wal"} -type l | while IFS= read -r link; do
              case "$(readlink -f -- "$link")/" in
                "$src"/*|"${wal:-$src}"/*) ;;
                *) fail "$link leads out of $src, so its data would not be in the backup" \
                  "give the directory that it leads to as wal_dir" ;;
              esac
            done || exit
            mkdir -p -- "$to" || fail "cannot make the backup directory $to"
            if [ -L "$part" ]; then fail "$part is a link" "remove it"; fi
            if [ -e "$part" ]; then rm -rf -- "$part"; fi
            ahead=$to/$NAME.ahead
            if [ -L "$ahead" ] || [ ! -f "$ahead/ahead" ]; then ahead=; fi
            kib() { du -skc -- "$@" | { while read -r size _; do total=$size; done; echo "$total"; }; }
            need=$(kib "$src" ${wal:+"$wal"})
            if [ -n "$ahead" ]; then need=$((need - $(kib "$ahead"))); fi
            [ "$(free_space)" -gt "$need" ] || space
            for dir in "$src" ${wal:+"$wal"}; do listing "$dir"; done >"$work/before"
            choose_tool
            : >"$work/kept"
            say progress "$((need / 1024 + 1)) MiB are copied"
            if [ -z "$ahead" ] || ! take_over; then copy_all; fi
            set --
            while IFS= read -r file; do set -- "$@" "$file"; done <"$work/fresh"
            if [ "$#" -gt 0 ]; then
              say progress "the copy is flushed and read back"
              hash_files "$work/sums" "" "$@" &
              hasher=$!
              set --
              while IFS= read -r file; do set -- "$@" "$part/tree$file"; done <"$work/fresh"
              sync -- "$@" 2>"$work/err" || failed "$(head -n 2 "$work/err")"
              hash_files "$work/sums.copy" "$part/tree" "$@" || abort "cannot read the copy back" "check the disk under $to"
              wait "$hasher" || abort "cannot read the source: $(head -n 1 "$work/sums.failed")"
            else
              : >"$work/sums"; : >"$work/sums.copy"
            fi
            find "$part" -type d -exec sync -- {} + 2>"$work/err" || failed "$(head -n 2 "$work/err")"
            cmp -s "$work/sums" "$work/sums.copy" ||
              abort "read back, the copy is not the source: $(diff "$work/sums" "$work/sums.copy" | sed -n '2s/^. [0-9a-f]*  //p')" \
                "check the disk under $to"
            cat "$work/kept" >>"$work/sums"

            """#

    private static let proveScript = #"""
        echo "pawl-manifest 1" >"$work/manifest"
        for dir in "$src" ${wal:+"$wal"}; do
          listing "$dir" >"$work/now"; cat "$work/now" >>"$work/after"
          ROOT=$dir awk 'FILENAME == ARGV[1] { sum[substr($0, 67)] = substr($0, 1, 64); next }
            { path = $0; sub(/^[^ ]* [^ ]* [^ ]* [^ ]* [^ ]* [^ ]* /, "", path)
              full = ENVIRON["ROOT"]; if (path != "") full = full "/" path
              hash = "-"; if ($1 == "f") { hash = sum[full]; if (hash == "") exit 9 }
              print $1, hash, $5, $2, $3, $4, $6, substr(full, 2) }' "$work/sums" "$work/now" >>"$work/manifest" ||
            abort "a file below $dir has no hash"
          sed 's/^\([^ ]* [^ ]* [^ ]* [^ ]* [^ ]*\) [^ ]*/\1/' "$work/now" >"$work/mine"
          listing "$part/tree$dir" | sed 's/^\([^ ]* [^ ]* [^ ]* [^ ]* [^ ]*\) [^ ]*/\1/' >"$work/copy"
          cmp -s "$work/mine" "$work/copy" || abort "the copy has other names, sizes, modes or owners than $dir"
        done
        cmp -s "$work/before" "$work/after" || abort "$src changed while it was copied" "see who writes to it"
        cat "$work/manifest" >"$part/manifest" 2>"$work/err" || failed "$(cat "$work/err")"
        sum=$(manifest_sum "$part")
        totals=$(awk '$1 == "f" { n += $3; files++ } END { printf "%.0f %d", n, files }' "$part/manifest")
        bytes=${totals% *}; files=${totals#* }
        json() {
          case "$1" in *[\\\"]*) set -- "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')" ;; esac
          printf '"%s"' "$1"
        }
        printf '{"format":%s,"run":%s,"host":%s,"sources":[%s%s],"created":"%s","bytes":%s,"files":%s,"manifestSHA256":"%s","keep":%s}\n' \
          "$FORMAT" "$(json "$RUN")" "$(json "$HOST")" "$(json "$src")" "${wal:+,$(json "$wal")}" \
          "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$bytes" "$files" "$sum" "$KEEP" >"$part/backup.json" \
          2>"$work/err" || failed "$(cat "$work/err")"
        sync -- "$part/manifest" "$part/backup.json" "$part" 2>"$work/err" || failed "$(head -n 2 "$work/err")"
        case $(db_lock "$src") in free) ;; *) abort "etcd was started while the backup was taken" "keep it stopped" ;; esac
        mv -T -- "$part" "$final" && sync -- "$to" || abort "cannot rename $part"
        tell_values "$final" "$bytes" "$files" "$sum"; say reused no
        prune
        """#

    static let takeScript = resolveScript + sameScript + reuseScript + copyScript + proveScript
}
