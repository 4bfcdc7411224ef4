// SPDX-License-Identifier: Apache-2.0

/// The shell of a ``ColdBackup`` that copies a stopped member's data and proves the copy.
///
/// A member is out while this runs, and a process costs a millisecond or two, so one `find` of the source and one of the
/// copy tell all that is asked about them, and one `awk` compares them.
extension ColdBackup {
    /// Hashing the source runs beside flushing or patching; then what is new in the copy is hashed as it is read back.
    ///
    /// What ``BackupAhead`` copied, and is as it was, was read back then, and is only taken over; so was what is patched.
    /// With 64 MB of preallocated WAL, `cp` took 9 ms and a hash 40 ms (125 ms with `sha256sum`).
    static let copyScript =
        BackupAhead.filling + #"""
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
            survey "$src" ${wal:+"$wal"} >"$work/before"
            while IFS= read -r line; do
              case "$line" in "l "*) ;; *) continue ;; esac
              link=${line##*"$(printf '\001')"}
              case "$(readlink -f -- "$link")/" in
                "$src"/*|"${wal:-$src}"/*) ;;
                *) fail "$link leads out of $src, so its data would not be in the backup" \
                  "give the directory that it leads to as wal_dir" ;;
              esac
            done <"$work/before"
            mkdir -p -- "$to" || fail "cannot make the backup directory $to"
            if [ -L "$part" ]; then fail "$part is a link" "remove it"; fi
            if [ -e "$part" ]; then rm -rf -- "$part"; fi
            ahead=$to/$NAME.ahead
            if [ -L "$ahead" ] || [ ! -f "$ahead/ahead" ]; then ahead=; fi
            # In KiB, less what is there already.
            need=$(du -sk -- "$src" ${wal:+"$wal"} ${ahead:+"$ahead"} | {
              sum=0
              while read -r size path; do
                if [ "$path" = "$ahead" ]; then sum=$((sum - size)); else sum=$((sum + size)); fi
              done
              echo "$sum"; })
            [ "$(free_space)" -gt "$need" ] || space
            say progress "$((need / 1024 + 1)) MiB are copied"
            if [ -z "$ahead" ] || ! take_over; then copy_all; fi
            say progress "the copy is flushed and read back"
            set --
            while IFS= read -r file; do set -- "$@" "$part/tree$file"; done <"$work/anew"
            : >"$work/sums.copy"
            if [ "$#" -gt 0 ]; then
              sync -- "$@" 2>"$work/err" || failed "$(head -n 2 "$work/err")"
              hash_files "$work/sums.copy" "$part/tree" "$@" || abort "cannot read the copy back" "check the disk under $to"
            fi
            find "$part" -type d -exec sync -- {} + 2>"$work/err" || failed "$(head -n 2 "$work/err")"
            if [ -n "$hasher" ]; then
              wait "$hasher" || abort "cannot read the source: $(head -n 1 "$work/sums.failed")"
            fi
            awk 'FILENAME == ARGV[1] { patched[$0] = 1; next } !(substr($0, 67) in patched)' \
              "$work/patched" "$work/sums" >"$work/sums.anew"
            cmp -s "$work/sums.anew" "$work/sums.copy" ||
              abort "read back, the copy is not the source: $(diff "$work/sums.anew" "$work/sums.copy" |
                sed -n '2s/^. [0-9a-f]*  //p')" "check the disk under $to"
            cat "$work/kept" >>"$work/sums"

            """#

    /// Writes the manifest, where every file has a hash, and the copy has the source's names, types, sizes, modes, owners.
    private static let manifestScript = #"""
        echo "pawl-manifest 1" >"$work/manifest"
        survey "$src" ${wal:+"$wal"} >"$work/after"
        cmp -s "$work/before" "$work/after" || abort "$src changed while it was copied" "see who writes to it"
        survey "$part/tree" >"$work/copied"
        totals=$(SRC=$src WAL=$wal TREE=$part/tree MANIFEST=$work/manifest awk '
          function below(path, dir) { return dir != "" && (path == dir || index(path, dir "/") == 1) }
          function traits(isFile) { return $1 " " $2 " " $3 " " $4 " " (isFile ? $5 : "-") }
          FILENAME == ARGV[1] { sum[substr($0, 67)] = substr($0, 1, 64); next }
          { split($0, part, "\001"); path = part[3]; isFile = $1 == "f" }
          FILENAME == ARGV[2] {
            hash = isFile ? sum[path] : "-"
            if (hash == "") { odd = "hash"; exit }
            print $1, hash, isFile ? $5 : "-", $2, $3, $4, isFile ? $6 : "-", substr(path, 2) >>ENVIRON["MANIFEST"]
            if (isFile) { bytes += $5; files++ }
            mine[path] = traits(isFile); next
          }
          { path = substr(path, length(ENVIRON["TREE"]) + 1)
            if (!below(path, ENVIRON["SRC"]) && !below(path, ENVIRON["WAL"])) next
            if (mine[path] != traits(isFile)) { odd = "copy"; exit }
            delete mine[path] }
          END { if (odd == "") for (path in mine) odd = "copy"
            if (odd == "") printf "%.0f %d", bytes, files; else print odd }' \
          "$work/sums" "$work/after" "$work/copied") || abort "the backup could not be proven: awk failed"
        case "$totals" in
          hash) abort "a file below $src has no hash" ;;
          copy) abort "the copy has other names, sizes, modes or owners than $src" ;;
        esac
        bytes=${totals% *}; files=${totals#* }

        """#

    private static let completeScript = #"""
        cat "$work/manifest" >"$part/manifest" 2>"$work/err" || failed "$(cat "$work/err")"
        sum=$(manifest_sum "$part")
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

    static let proveScript = manifestScript + completeScript
}
