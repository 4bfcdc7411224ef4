// SPDX-License-Identifier: Apache-2.0

/// The shell that cuts a copy of a WAL behind an entry.
///
/// A frame of the WAL is eight bytes of its length and a record (wal/walpb): `08 02` (an entry) `10` CRC `1a` LENGTH, and
/// in it the entry (raft/raftpb): `08` TYPE `10` TERM `18` INDEX `22` DATA. `grep -z` takes the zero of TYPE for the end
/// of a line, so that an entry begins a line with `10`. What a value holds can look the same; so the frame's own bytes
/// in front of it are read, and where they are no frame's, nothing is cut.
///
/// An entry that was never committed may stand in the WAL a second time, from a later term, and what follows the first
/// one is then void. So the cut is made in front of the first entry INDEX + 1 behind the last entry INDEX, which is
/// committed.
///
/// etcd writes a snapshot beside its work, and its record into the WAL when the file is whole, behind entries that came
/// meanwhile: `08 04 10` CRC `1a` LENGTH, and in it `08` INDEX `10` TERM. A snapshot whose record is behind the cut is
/// dropped, as one that `etcdctl migrate` would not find; the one before it and more entries come to the same.
enum RehearsalCut {
    /// - `cut_copy DIR`: drops the snapshots of DIR/snap behind `INDEX` or the cut, and cuts the WAL in DIR/wal; sets `cut` to `yes`,
    ///   to `no` where there is nothing behind `INDEX`, and to `unknown`.
    static let shellFunctions = #"""
        varint() {
          rest=$1; bytes=
          while [ "$rest" -ge 128 ]; do bytes=$bytes$(printf '\\x%02x' $((rest % 128 + 128))); rest=$((rest / 128)); done
          printf '%s\\x%02x' "$bytes" "$rest"
        }
        entries() {
          grep -zobUaP "(?s)(?:^|\x08\x01)\x10.{1,9}?\x18$(varint "$2")(?:\x22|\$)" "$1" | tr '\000' '\n' | grep -ao '^[0-9]*:' |
            sed 's/:$//'
        }
        hex() { od -An -v -tx1 -j "$2" -N "$3" -- "$1" | tr -d ' \n'; }
        frame() {
          from=$(($2 - 24)); if [ "$from" -lt 0 ]; then from=0; fi
          # With `08 01` in front of it, a change of the members was matched from its TYPE on.
          for more in 0 2; do
            record=$(hex "$1" "$from" $(($2 + more - from)) |
              sed -nE 's/^(..)*(080210([89a-f].){0,4}[0-7].1a([89a-f].){0,3}[0-7].080[01])$/\2/p')
            if [ -n "$record" ]; then break; fi
          done
          start=$(($2 + more - ${#record} / 2 - 8))
          [ -n "$record" ] && [ "$start" -ge 0 ] || return 1
          case "$(hex "$1" "$start" 8)" in ????????00000000|????????0000008[0-7]) return 0 ;; esac
          return 1
        }
        has_record() { # INDEX FILE…
          record="(?s)\x08\x04\x10.{1,5}?\x1a.\x08$(varint "$1")\x10"; shift
          grep -zqaUP "$record" "$@"
        }
        cut_copy() {
          cut=unknown
          for file in "$1"/snap/*.snap; do
            name=${file##*-}; name=${name%.snap}
            if [ -e "$file" ] && [ $((0x$name)) -gt "$INDEX" ]; then rm -f -- "$file"; fi
          done
          printf x | grep -zqP x 2>/dev/null || return 0
          copied=$1
          set -- "$1"/wal/*.wal
          # Where INDEX is that of a snapshot, its entry may be gone.
          first=$1
          for file; do if [ -n "$(entries "$file" "$INDEX")" ]; then first=$file; fi; done
          cut=no
          for file; do
            if [ "$cut" = yes ]; then rm -f -- "$file"; continue; fi
            if [ "$file" = "$first" ]; then first=; fi
            if [ -n "$first" ]; then continue; fi
            here=$(entries "$file" "$INDEX" | tail -n 1)
            for offset in $(entries "$file" $((INDEX + 1))); do
              if [ -n "$here" ] && [ "$offset" -lt "$here" ]; then continue; fi
              frame "$file" "$offset" && truncate -s "$start" -- "$file" || { cut=unknown; return 0; }
              cut=yes; break
            done
          done
          if [ "$cut" != yes ]; then return 0; fi
          for file in "$copied"/snap/*.snap; do
            name=${file##*-}; name=${name%.snap}
            if [ -e "$file" ] && ! has_record $((0x$name)) "$copied"/wal/*.wal; then rm -f -- "$file"; fi
          done
        }

        """#
}
