// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote

/// What happens on the node when a file is put there: the note, the place, the proof, the removal.
///
/// A note `uploads/KEY` in the state directory says which run put which file where. It is written before anything else
/// and removed after everything else. What has no note was there before, and is left alone.
package struct UploadScript: Sendable {
    /// The file as it is to be on the node.
    struct File: Sendable {
        var path: String
        var digest: String
        /// In octal.
        var mode: String
        var owner: String
        var isKept: Bool
    }

    let state: NodeState
    let file: File
    let run: String

    /// Where the file arrives: in the directory of its place, so that it can be linked there.
    var temporary: String { "\(file.path).pawl-\(run)" }

    var look: RemoteCommand {
        RemoteCommand("look at \(file.path)", script: head + Self.lookBody, effect: .readOnly, timeout: .seconds(60))
    }

    /// Writes the note and makes the directories; tells `found` when nothing is left to be done.
    var begin: RemoteCommand {
        RemoteCommand(
            "make room for \(file.path)",
            script: head + Self.beginBody + Self.settleFunction + Self.beginEnd,
            effect: .mutating,
            timeout: .seconds(60)
        )
    }

    /// Proves what arrived, and puts it in its place.
    var finish: RemoteCommand {
        RemoteCommand(
            "put \(file.path) in place",
            script: head + Self.settleFunction + Self.finishBody,
            effect: .mutating,
            timeout: .seconds(120)
        )
    }

    var undo: RemoteCommand {
        RemoteCommand("remove \(file.path)", script: head + Self.undoBody, effect: .mutating, timeout: .seconds(60))
    }

    /// Shell that removes what runs have put on a node and not been told to keep; `$state` is set.
    package static func sweep(_ runs: [String]) -> String {
        """
        uploads=$state/uploads
        upload_runs=\(ShellQuoting.quote(" " + runs.joined(separator: " ") + " "))
        \(removeFunction)
        for note in "$uploads"/*; do
          [ -f "$note" ] || continue
          case $upload_runs in *" $(noted run) "*) ;; *) continue;; esac
          if [ "$(noted keep)" = yes ]; then continue; fi
          remove_upload
          if [ -n "$left" ]; then printf '%s\\n' "$left" >&2; fi
        done

        """
    }

    private var head: String {
        let key = ShellQuoting.quote(String(ContentDigest.of(file.path).prefix(32)))
        return NodeReport.prelude
            + NodeReport.assignments([
                "run": run, "dest": file.path, "sum": file.digest, "temp": temporary, "mode": file.mode,
                "owner": file.owner, "keep": file.isKept ? "yes" : "no",
            ])
            + state.shell + "uploads=$state/uploads; note=$uploads/\(key)\n" + Self.removeFunction
                + """
                found() {
                  if [ ! -e "$dest" ] && [ ! -L "$dest" ]; then return; fi
                  [ -f "$dest" ] || fail "$dest is there, and it is not a file" "name another \\`dest\\`"
                  have=$(digest_of "$dest")
                  if [ "$have" != "$sum" ]; then echo other; elif [ -f "$note" ]; then echo ours; else echo theirs; fi
                }

                """
    }

    private static let removeFunction = #"""
        digest_of() { sha256sum <"$1" 2>/dev/null | cut -d ' ' -f 1; }
        noted() { sed -n "s/^$1=//p" "$note" 2>/dev/null | head -n 1; }
        # Removes what a note tells of; a file that somebody has changed since stays, and `left` says so.
        remove_upload() {
          left=
          part=$(noted temp); placed=$(noted path)
          rm -f -- "$part" "$part.part"
          if [ -f "$placed" ] && [ "$(digest_of "$placed")" = "$(noted sha256)" ]; then
            rm -f -- "$placed"
          elif [ -e "$placed" ]; then
            left="$placed is not what pawl put there any more, and was left"
          fi
          sed -n 's/^dir=//p' "$note" | sort -r | while IFS= read -r made; do rmdir -- "$made" 2>/dev/null; done
          rm -f -- "$note"
          rmdir -- "$uploads" 2>/dev/null || :
        }

        """#

    private static let lookBody = #"""
        what=$(found) || { printf '%s\n' "$what"; exit 65; }
        say found "$what"
        if [ "$what" = other ]; then say sha256 "$(digest_of "$dest")"; fi
        """#

    private static let beginBody = #"""
        case $dest in "$state"/*) fail "$dest is in pawl's own directory, which no other user may enter" \
          "name another \`dest\`, as /opt/pawl/etcdctl";; esac
        what=$(found) || { printf '%s\n' "$what"; exit 65; }
        if [ "$what" = theirs ]; then say found theirs; exit 0; fi
        if [ "$what" = other ]; then
          by=$(noted run)
          fail "$dest is another file, with the sha256 $(digest_of "$dest")${by:+; run $by put it there}" \
            "look whose it is and remove it, or name another \`dest\`"
        fi
        problem=$(make_state) || fail "$problem"
        mkdir -p -- "$uploads" || fail "cannot make $uploads"
        dirs=$(sed -n '/^dir=/p' "$note" 2>/dev/null)
        missing=${dest%/*}
        while [ -n "$missing" ] && [ ! -d "$missing" ]; do
          dirs="$dirs
        dir=$missing"
          missing=${missing%/*}
        done
        printf '%s\n' "run=$run" "path=$dest" "sha256=$sum" "temp=$temp" "keep=$keep" "$dirs" >"$note.new" &&
          sync -- "$note.new" && mv -f -- "$note.new" "$note" || fail "cannot write $note"

        """#

    /// Owner, mode and label of a file, and whether it can be run at all.
    private static let settleFunction = #"""
        settle() {
          chown -- "$owner" "$1" || fail "cannot give $dest to $owner" "see that there is such a user on the node"
          chmod -- "$mode" "$1" || fail "cannot set the mode of $dest"
        }
        may_run() {
          if command -v restorecon >/dev/null 2>&1; then restorecon -- "$dest" 2>/dev/null || :; fi
          case $mode in
          *[1357]*) [ -x "$dest" ] || fail "$dest cannot be executed: its file system is mounted noexec" \
            "name a \`dest\` on another file system";;
          esac
        }

        """#

    private static let beginEnd = #"""
        if [ "$what" = ours ]; then settle "$dest"; may_run; say found ours; exit 0; fi
        (umask 022; mkdir -p -- "${dest%/*}/") || fail "cannot make the directory of $dest"

        """#

    /// A link, unlike a rename, never takes the place of a file that has appeared meanwhile.
    private static let finishBody = #"""
        have=$(digest_of "$temp")
        if [ "$have" != "$sum" ]; then
          rm -f -- "$temp"
          fail "what arrived for $dest has the sha256 $have, not $sum" "the file on the controller was changed: plan again"
        fi
        settle "$temp"
        sync -- "$temp" 2>/dev/null || sync
        if ! ln -- "$temp" "$dest"; then
          rm -f -- "$temp"
          fail "cannot put $dest in place" "see that nothing else is at work on that directory"
        fi
        rm -f -- "$temp"
        sync -- "${dest%/*}/" 2>/dev/null || sync
        [ "$(digest_of "$dest")" = "$sum" ] || fail "$dest does not read back as it was written"
        may_run
        """#

    private static let undoBody = #"""
        if [ -f "$note" ] && [ "$(noted run)" = "$run" ]; then
          remove_upload
          if [ -n "$left" ]; then say left "$left"; fi
          say removed yes
        else
          say removed no
        fi
        """#
}
