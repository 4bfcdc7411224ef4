// SPDX-License-Identifier: Apache-2.0

/// Which backups of a host are removed when a new one is complete.
extension ColdBackup {
    /// `prune` removes what is not needed any more, as the last thing after the new backup was read back and renamed.
    ///
    /// A backup is removed only when it is complete, of this host by its own word, not among the newest `RETAIN`, of no
    /// run in `OPEN`, and without a migration that was begun on the strength of it and not ended. It is renamed first, so
    /// that a directory with a final name is always complete. A `.partial` or `.removing` of this host is what a crash
    /// left when nothing in it was written for a week; no step takes that long.
    ///
    /// What cannot be removed is said, and fails nothing: the backup that the step is about is complete.
    static let pruneFunction = #"""
        is_ours() { [ "$(field "$1" host)" = "$HOST" ] && [ "$(manifest_sum "$1")" = "$(field "$1" manifestSHA256)" ]; }
        is_needed() {
          owner=$(field "$1" run)
          if [ "$owner" = "$RUN" ]; then return 0; fi
          for run in $OPEN; do if [ "$owner" = "$run" ]; then return 0; fi; done
          if [ -f "$1/migration" ] && ! grep -q '^finished ' "$1/migration"; then return 0; fi
          return 1
        }
        remove_backup() {
          mv -T -- "$1" "$1.removing" 2>/dev/null && rm -rf -- "$1.removing" && say removed "$1" || say unremoved "$1"
        }
        prune() {
          base=${NAME%"-$RUN"}
          for left in "$to/$base"-*.partial "$to/$base"-*.removing; do
            if [ ! -d "$left" ] || [ -L "$left" ]; then continue; fi
            if [ -z "$(find "$left" -mtime -7 -print | head -n 1)" ]; then
              rm -rf -- "$left" && say removed "$left" || say unremoved "$left"
            fi
          done
          if [ -z "$RETAIN" ]; then return 0; fi
          for old in "$to/$base"-*; do
            case "$old" in *.partial|*.removing) continue ;; esac
            if [ -L "$old" ] || [ ! -f "$old/backup.json" ]; then continue; fi
            if is_ours "$old"; then printf '%s %s\n' "$(field "$old" created)" "$old"; fi
          done | sort -r | tail -n +$((RETAIN + 1)) | cut -d ' ' -f 2- >"$work/old"
          while IFS= read -r old; do
            if ! is_needed "$old"; then remove_backup "$old"; fi
          done <"$work/old"
          sync -- "$to"
        }

        """#
}
