// SPDX-License-Identifier: Apache-2.0

import Remote

/// The data of a stopped member as a whole: set aside, put back, or copied back from its backup.
///
/// What is set aside is renamed, never copied and never removed, so that it can be put back at once and as it was.
package struct MemberData: Sendable, Hashable {
    package var dataDir: String
    /// Where the WAL is when it is not in `member` of the data dir, with which it would go and come.
    package var walDir: String?
    package var run: String

    package init(dataDir: String, walDir: String?, run: String) {
        self.dataDir = dataDir
        self.walDir = walDir
        self.run = run
    }

    private func command(
        _ label: String,
        _ body: String,
        _ effect: RemoteCommand.Effect,
        _ timeout: Duration,
        backup: String = ""
    ) -> RemoteCommand {
        // A script that has outlived its connection is waited for, with time left to say that it was in vain.
        let patience = max(1, timeout.components.seconds - min(10, timeout.components.seconds / 4))
        return RemoteCommand(
            "\(label) \(dataDir)",
            script: NodeReport.prelude
                + NodeReport.assignments([
                    "PATIENCE": String(patience), "DATA": dataDir, "WALDIR": walDir ?? "",
                    "RUN": ColdBackup.fileName(run), "BACKUP": backup,
                ]) + ColdBackup.shellFunctions + Self.functions + body,
            effect: effect,
            timeout: timeout
        )
    }

    /// Whether the data is set aside by this run: `aside` is `yes`, `no`, or `half`, with the `path` where it is.
    package func findCommand(timeout: Duration) -> RemoteCommand {
        command("look for what was set aside of", "tell_aside\n", .readOnly, timeout)
    }

    /// Sets the data of a stopped member aside, where its backup is complete and of this very data.
    package func setAsideCommand(backup: ColdBackup, timeout: Duration) -> RemoteCommand {
        command("set aside", Self.lock + Self.setAside, .mutating, timeout, backup: backup.path)
    }

    /// Throws away what came in the place of the data that was set aside; refuses where nothing is set aside.
    package func emptyCommand(timeout: Duration) -> RemoteCommand {
        command("empty", Self.lock + Self.empty, .mutating, timeout)
    }

    /// Puts back what was set aside; what came in its place goes.
    package func putBackCommand(timeout: Duration) -> RemoteCommand {
        command("put back", Self.lock + Self.putBack, .mutating, timeout)
    }

    /// Copies the whole data back from a backup, and reads it back.
    ///
    /// A member whose log goes back has forgotten what it has acknowledged since. So this is for a member that acknowledged it
    /// to nobody: one that was a cluster of its own, while all others were stopped.
    package func restoreCommand(from backup: ColdBackup, timeout: Duration) -> RemoteCommand {
        command("copy back", Self.lock + Self.restore, .mutating, timeout, backup: backup.path)
    }

    private static let functions = #"""
        work=$(mktemp -d) || fail "no temporary directory"
        trap 'rm -rf -- "$work"' EXIT
        data=$(physical "$DATA") || fail "$DATA is not a directory on this node"
        aside=$data/member.pawl-$RUN
        wal=
        if [ -n "$WALDIR" ]; then
          wal=$(readlink -m -- "$WALDIR"); case "$wal/" in "$data"/member/*) wal= ;; esac
        fi
        tell_aside() {
          say path "$aside"
          if [ ! -e "$aside" ]; then say aside no
          elif [ -n "$wal" ] && [ ! -e "$wal.pawl-$RUN" ]; then say aside half
          else say aside yes; fi
        }

        """#

    private static let lock = #"""
        exec 9<"$data"
        flock -w "$PATIENCE" 9 || fail "another step of pawl is at work on $data" "wait for it to end"
        refuse_in_use "$data"
        if [ -n "$wal" ] && [ -e "$wal" ]; then refuse_in_use "$wal"; fi

        """#

    private static let setAside = #"""
        verify_backup "$BACKUP" || fail "the backup $BACKUP is not sound: $problem" "nothing was moved; take a new backup"
        if [ ! -e "$aside" ]; then
          [ -d "$data/member" ] || fail "$data holds no member of etcd"
          manifest_files "$BACKUP" | P=${data#/}/member/ awk '{ s = $2; t = $3; sub(/^[^ ]* [^ ]* [^ ]* /, "")
            if (index($0, ENVIRON["P"]) == 1) print s, t, $0 }' | sort >"$work/then"
          find "$data/member" -type f -printf '%s %T@ %p\n' | sed 's/^\([^ ]* [^ ]* \)\//\1/' | sort >"$work/now"
          cmp -s "$work/then" "$work/now" || fail "the data of $data is not that of the backup $BACKUP" "take a new backup"
          mv -T -- "$data/member" "$aside" || fail "cannot rename $data/member"
        fi
        if [ -n "$wal" ] && [ ! -e "$wal.pawl-$RUN" ]; then
          mv -T -- "$wal" "$wal.pawl-$RUN" || {
            mv -T -- "$aside" "$data/member"
            fail "cannot rename $wal to $wal.pawl-$RUN" "a WAL directory that is a file system of its own cannot be set aside"
          }
        fi
        sync -- "$data"
        tell_aside
        """#

    private static let empty = #"""
        [ -e "$aside" ] || fail "the data of $data was not set aside, so nothing is removed" "look at $data"
        rm -rf -- "$data/member"
        if [ -n "$wal" ]; then
          [ -e "$wal.pawl-$RUN" ] || fail "the WAL of $data was not set aside, so nothing is removed" "look at $wal"
          rm -rf -- "$wal"
        fi
        sync -- "$data"
        """#

    private static let putBack = #"""
        if [ -e "$aside" ]; then
          rm -rf -- "$data/member"
          mv -T -- "$aside" "$data/member" || fail "cannot rename $aside back to $data/member"
          say put_back "$data/member"
        fi
        if [ -n "$wal" ] && [ -e "$wal.pawl-$RUN" ]; then
          rm -rf -- "$wal"
          mv -T -- "$wal.pawl-$RUN" "$wal" || fail "cannot rename $wal.pawl-$RUN back to $wal"
        fi
        sync -- "$data"
        [ -d "$data/member" ] || fail "$data holds no member of etcd, and nothing is set aside" "put it back from its backup"
        """#

    private static let restore = #"""
        verify_backup "$BACKUP" || fail "the backup $BACKUP is not sound: $problem" "nothing was put back; use another copy"
        copy() {
          rm -rf -- "$1.pawl-new"
          cp -a --reflink=auto --sparse=always -- "$BACKUP/tree$1" "$1.pawl-new" 2>"$work/err" || {
            rm -rf -- "$1.pawl-new"; fail "cannot copy $1 back: $(head -n 1 "$work/err")" "make room on its disk"; }
          find "$1.pawl-new" -exec sync -- {} +
          manifest_files "$BACKUP" | P=${1#/}/ NEW=${1#/}.pawl-new/ awk '{ s = $1; sub(/^[^ ]* [^ ]* [^ ]* /, "")
            if (index($0, ENVIRON["P"]) == 1) print s "  /" ENVIRON["NEW"] substr($0, length(ENVIRON["P"]) + 1) }' >"$work/list"
          [ -s "$work/list" ] || fail "the backup $BACKUP holds nothing of $1"
          sha256sum -c --quiet --strict "$work/list" >"$work/bad" 2>&1 || {
            rm -rf -- "$1.pawl-new"; fail "read back, $1 is not the backup's: $(head -n 1 "$work/bad")" "check the disk"; }
          rm -rf -- "$1"
          mv -T -- "$1.pawl-new" "$1" || fail "cannot rename $1.pawl-new to $1"
        }
        copy "$data/member"
        if [ -n "$wal" ]; then copy "$wal"; fi
        if command -v selinuxenabled >/dev/null 2>&1 && selinuxenabled && command -v restorecon >/dev/null 2>&1; then
          restorecon -R -- "$data" ${wal:+"$wal"}
        fi
        sync -- "$data"
        """#
}
