// SPDX-License-Identifier: Apache-2.0

extension BackupAhead {
    /// Two ways to fill `$part`, the copy that the backup is made of: `take_over`, which uses `$ahead`, and `copy_all`.
    ///
    /// Both start `$hasher`, which hashes what was not `kept` from the source into `sums`. In `$work` they leave
    ///
    /// - `kept`: sums of files that are as they were when they were copied ahead, and were read back then;
    /// - `patched`: files of which only pages that differ were written, and these read back;
    /// - `anew`: files that were copied whole, and are yet to be flushed and read back.
    static let filling =
        #"""
        copy_all() {
          wait
          rm -rf -- "$part"
          mkdir -- "$part" 2>"$work/err" || failed "$(head -n 2 "$work/err")"
          : >"$work/kept"; : >"$work/patched"
          for dir in "$src" ${wal:+"$wal"}; do
            { mkdir -p -- "$part/tree${dir%/*}" && cp -a --reflink=auto --sparse=always -- "$dir" "$part/tree$dir"; } \
              2>"$work/err" || failed "$(head -n 2 "$work/err")"
          done
          find "$src" ${wal:+"$wal"} -type f >"$work/anew"
              cat "$work/anew" >"$work/fresh"
          hash_source
        }
        take_over() {
          mv -T -- "$ahead" "$part" || return 1
          sort_out || return 1
          rm -f -- "$part/ahead" "$part/patchable"
          hash_source
          while IFS= read -r file; do rm -f -- "$part/tree$file" || return 1; done <"$work/gone"
          patchers=; number=0
          while IFS= read -r file; do
            number=$((number + 1))
            if patch "$file" "$part/tree$file" "$work/odd.$number"; then echo "$file" >>"$work/patched"
            else echo "$file" >>"$work/anew"; fi &
            patchers="$patchers $!"
          done <"$work/torn"
          # shellcheck disable=SC2086
          [ -z "$patchers" ] || wait $patchers
          while IFS= read -r file; do
            to_file=$part/tree$file
            mkdir -p -- "${to_file%/*}" &&
              cp -a --remove-destination --reflink=auto --sparse=always -- "$file" "$to_file" || return 1
          done <"$work/anew"
        }
        # Where directories or links changed, it is no use: all is copied anew.
        sort_out() {
          for list in kept fresh torn patched anew gone; do : >"$work/$list"; done
          survey "$part/tree" >"$work/copied"
          LISTS=$work/ SRC=$src WAL=$wal TREE=$part/tree awk '
            function list(name) { return ENVIRON["LISTS"] name }
            function below(path, dir) { return dir != "" && (path == dir || index(path, dir "/") == 1) }
            function shape() { return $1 " " $2 " " $3 " " $4 " " part[2] }
            FILENAME == ARGV[1] { sum = $1; sub(/^[^ ]* /, ""); known[$0] = sum; next }
            FILENAME == ARGV[2] { patchable[$0] = 1; next }
            { split($0, part, "\001"); path = part[3] }
            FILENAME == ARGV[3] && $1 == "f" {
              here[path] = 1; identity = $7 " " $5 " " $6 " " $8 " " path
              if (identity in known) print known[identity] "  " path >(list("kept"))
              else {
                print path >(list("fresh")); print path >(list(path in patchable ? "torn" : "anew")) }
              next
            }
            FILENAME == ARGV[3] { shapes[path] = shape(); next }
            { path = substr(path, length(ENVIRON["TREE"]) + 1)
              if (!below(path, ENVIRON["SRC"]) && !below(path, ENVIRON["WAL"])) next
              if ($1 == "f") { if (!(path in here)) print path >(list("gone")) }
              else if (shapes[path] != shape()) { odd = 1; exit } else delete shapes[path] }
            END { for (path in shapes) odd = 1; exit odd }' \
            "$part/ahead" "$part/patchable" "$work/before" "$work/copied"
        }
        hash_source() {
          set --
          while IFS= read -r file; do set -- "$@" "$file"; done <"$work/fresh"
          : >"$work/sums"; hasher=
          if [ "$#" -gt 0 ]; then
            { from_memory=yes; hash_files "$work/sums" "" "$@"; } &
            hasher=$!
          fi
        }
        # patch SOURCE COPY COMPLAINTS. An end of file before the other's and a fault of the disk are told on standard error.
        patch() {
          [ -f "$2" ] && [ ! -L "$2" ] || return 1
          range=$(cmp -l -- "$1" "$2" 2>"$3" | awk 'NR == 1 { first = $1 } { last = $1 }
            END { if (NR) { page = int((first - 1) / 4096)
              printf "%.0f %.0f\n", page * 4096, (int((last - 1) / 4096) - page + 1) * 4096 } }')
          [ ! -s "$3" ] || return 1
          if [ -n "$range" ]; then
            from=${range% *}; length=${range#* }; part_of=iflag=skip_bytes,count_bytes
            dd if="$1" of="$2" bs=1M "$part_of" oflag=seek_bytes skip="$from" seek="$from" count="$length" \
              conv=notrunc,fsync status=none 2>/dev/null || return 1
            if can_bypass_cache "$2"; then part_of=$part_of,direct; fi
            dd if="$2" bs=1M "$part_of" skip="$from" count="$length" status=none 2>/dev/null |
              cmp -s -n "$length" -i "0:$from" - "$1" || return 1
          fi
          cp -a --attributes-only -- "$1" "$2"
        }

        """#
}
