// SPDX-License-Identifier: Apache-2.0

import Remote

/// The part of a ``ColdBackup`` that is taken while the member still serves, so that little is left for the time in which
/// it is out.
///
/// Sealed WAL segments and snapshots do not change any more; the last segment only grows. They are copied, flushed and
/// compared ahead of the stop, into a directory that the backup then takes over by a rename:
///
///     TO/HOST-RUN.ahead/
///       tree/<absolute path>  everything, as it was found; what is written to meanwhile is torn
///       patchable             files whose copy was read back from the disk and is the one in memory, torn or not
///       ahead                 SHA-256 and identity of each file that was at rest and is the same in the copy; written last
///
/// The identity is inode, size, and both times to the nanosecond: a file that was written to after the copy has another.
/// The kernel's clock for them ticks every few milliseconds, so a file counts as at rest a second after its last change.
package enum BackupAhead {
    /// Copies ahead; it answers `path`, `files` and `bytes` of what was at rest.
    ///
    /// Too little room refuses here, before anything is stopped.
    package static func takeCommand(_ request: ColdBackup.Request, timeout: Duration) -> RemoteCommand {
        let patience = max(1, timeout.components.seconds - min(10, timeout.components.seconds / 4))
        return RemoteCommand(
            "back up what is at rest of \(request.source)",
            script: ColdBackup.head(request) + NodeReport.assignments(["PATIENCE": String(patience)])
                + ColdBackup.resolveScript + places + takeScript,
            effect: .mutating,
            timeout: timeout
        )
    }

    /// Looks for what was copied ahead: `path`, `files` and `bytes`.
    package static func findCommand(_ request: ColdBackup.Request, timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "look for what was backed up ahead of \(request.source)",
            script: ColdBackup.head(request) + ColdBackup.resolveScript + places + #"""
                if [ -f "$ahead/ahead" ]; then tell_ahead; fi
                """#,
            effect: .readOnly,
            timeout: timeout
        )
    }

    /// Removes it; it answers `removed`.
    package static func removeCommand(_ request: ColdBackup.Request, timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "remove what was backed up ahead of \(request.source)",
            script: ColdBackup.head(request) + ColdBackup.resolveScript + places + #"""
                if [ -e "$ahead" ]; then say removed "$ahead"; rm -rf -- "$ahead" || fail "cannot remove $ahead"; fi
                """#,
            effect: .mutating,
            timeout: timeout
        )
    }

    /// Shell that removes what a run copied ahead and did not use, where that run is taken back.
    package static func sweep(_ run: String, host: String, backupDir: String) -> String {
        NodeReport.assignments([
            "swept_ahead": "\(backupDir)/\(ColdBackup.directoryName(host: host, run: run)).ahead"
        ]) + "[ ! -e \"$swept_ahead\" ] || rm -rf -- \"$swept_ahead\" || exit 1\n"
    }

    /// `identities DIR…` prints a line of inode, size, times and path for each file.
    private static let identities = #"""
        identities() { find "$@" -type f -printf '%i %s %T@ %C@ %p\n' 2>/dev/null; }

        """#

    private static let places =
        identities + #"""
            ahead=$to/$NAME.ahead
            tell_ahead() {
              say path "$ahead"
              say files "$(wc -l <"$ahead/ahead")"; say bytes "$(awk '{ n += $3 } END { printf "%.0f", n }' "$ahead/ahead")"
            }

            """#

    private static let takeScript = #"""
        work=$(mktemp -d) || fail "no temporary directory"
        trap 'rm -rf -- "$work"' EXIT
        # What is written to after this is only patched after the stop, and only the patch is read back then. So what the
        # disk holds of the rest must be what a comparison finds in memory. etcd writes to no snapshot again.
        note_patchable() {
          set --
          while IFS= read -r file; do set -- "$@" "$ahead/tree$file"; done <<FILES
        $(cut -c 67- "$work/sums.copy" | grep -v '\.snap$')
        FILES
          from_memory=yes; hash_files "$work/sums.memory" "$ahead/tree" "$@" || return 1
          awk 'FILENAME == ARGV[1] { disk[$0] = 1; next } $0 in disk { print substr($0, 67) }' \
            "$work/sums.copy" "$work/sums.memory" >"$ahead/patchable"
          sync -- "$ahead/patchable"
        }
        exec 9<"$src"
        flock -w "$PATIENCE" 9 || fail "another step of pawl is at work on $src" "wait for it to end"
        mkdir -p -m 700 -- "$to" || fail "cannot make the backup directory $to"
        if [ -L "$ahead" ]; then fail "$ahead is a link" "remove it"; fi
        rm -rf -- "$ahead"
        drop() { rm -rf -- "$ahead"; fail "$@"; }
        need=$(du -sk -- "$src" ${wal:+"$wal"} | { sum=0; while read -r size _; do sum=$((sum + size)); done; echo "$sum"; })
        free=$(df -Pk -- "$to" | { read -r _; read -r _ _ _ free _; echo "$free"; })
        [ "$free" -gt "$need" ] || drop "disk full at $to: needs $((need / 1024 + 1)) MiB, free $((free / 1024)) MiB" \
          "make room there, or choose another backup directory"
        mkdir -m 700 -- "$ahead" || fail "cannot make $ahead"
        identities "$src" ${wal:+"$wal"} | sort >"$work/before"
        for dir in "$src" ${wal:+"$wal"}; do
          mkdir -p -- "$ahead/tree${dir%/*}" || drop "cannot write to $ahead"
          # A file that goes while it is copied is no fault: the member is at work.
          cp -a --reflink=auto --sparse=always -- "$dir" "$ahead/tree$dir" 2>"$work/err" ||
            grep -v 'No such file or directory' "$work/err" >"$work/faults"
          if [ -s "$work/faults" ]; then drop "cannot copy $dir: $(head -n 1 "$work/faults")" "see the disk under $to"; fi
        done
        find "$ahead" -exec sync -- {} + 2>"$work/err" || drop "cannot flush $ahead: $(head -n 1 "$work/err")"
        # A segment that etcd holds ready (file_pipeline.go) is 64 MB of nothing, and removed when etcd is stopped.
        hash_files "$work/sums" "" "$src" ${wal:+"$wal"} ! -name '[01].tmp'
        hash_files "$work/sums.copy" "$ahead/tree" "$ahead/tree" ! -name '[01].tmp' || drop "cannot read $ahead back" "check the disk under $to"
        now=$(date +%s)
        identities "$src" ${wal:+"$wal"} | sort | comm -12 - "$work/before" |
          awk -v now="$now" '$3 < now - 1 && $4 < now - 1' >"$work/rest"
        awk 'function path(n,   text) { text = $0; while (n-- > 0) sub(/^[^ ]* /, "", text); return text }
          FILENAME == ARGV[1] { sum[substr($0, 67)] = substr($0, 1, 64); next }
          FILENAME == ARGV[2] { copy[substr($0, 67)] = substr($0, 1, 64); next }
          { file = path(4); if (sum[file] != "" && sum[file] == copy[file]) print sum[file], $0 }' \
          "$work/sums" "$work/sums.copy" "$work/rest" >"$work/ahead"
        note_patchable || drop "cannot write to $ahead"
        cat "$work/ahead" >"$ahead/ahead.new" && sync -- "$ahead/ahead.new" && mv -T -- "$ahead/ahead.new" "$ahead/ahead" &&
          sync -- "$ahead" "$to" || drop "cannot write to $ahead"
        tell_ahead
        """#
}
