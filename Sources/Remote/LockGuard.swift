// SPDX-License-Identifier: Apache-2.0

/// The fence: a mutating command is begun only while the node's lock is the one under which it was ordered.
///
/// Each command asks the node itself, so a controller that lost the lock without knowing changes nothing more. The
/// fence starts no program where the state directory is the script's own.
package struct LockGuard: MutationGuard {
    private let lock: NodeLock.Key
    private let directory: String
    private let user: String?

    /// - Parameters:
    ///   - lock: the lock that this controller took.
    ///   - directory: the node's state directory, as the node said it when the lock was taken.
    ///   - user: whose directory it is, for a command that runs as somebody who must not look into it; `nil` for the
    ///     login user.
    package init(_ lock: NodeLock.Key, in directory: String, of user: String?) {
        self.lock = lock
        self.directory = directory
        self.user = user
    }

    /// The kind of its refusals, whose first word is the lock that is there, the second the last unlock.
    static let kind = "lock"
    /// What it finds in its own lock, in the order of ``NodeLock/text``.
    private static let found = "tokenrunnonce"

    /// As short as can be, because a shell that waits reads it byte by byte; what is there instead is told as it is.
    package func prologue(for command: RemoteCommand) -> String {
        let lines = ["token=\(lock.token)", "run=\(lock.run)", "nonce=\(lock.nonce)"].map(ShellQuoting.quote)
        // `[ -e ]` is false too where one may not look.
        return """
            lock_state=\(ShellQuoting.quote(directory))
            lock_compare() {
              while IFS= read -r lock_line || [ -n "$lock_line" ]; do
                case $lock_line in \(lines.joined(separator: "|"))) lock_mine=$lock_mine${lock_line%%=*} ;; esac
              done
            }
            lock_lost() {
              : "${lock_text:=$(cat "$lock_state/lock" 2>/dev/null)}"
              [ -n "$lock_text" ] || [ ! -e "$lock_state/lock" ] || lock_text="reason=not to be read"
              guard_refuse "$lock_text" "$(tail -n 1 "$lock_state/unlocks" 2>/dev/null)" \(Self.kind)
            }
            lock_check() {
              lock_mine=; lock_text=
              if [ -e "$lock_state/lock" ]; then { lock_compare <"$lock_state/lock"; } 2>/dev/null
              \(otherUser)fi
              [ "$lock_mine" = \(Self.found) ] || lock_lost
            }
            lock_check

            """
    }

    /// Asked again, because the replica may have waited for a disk that stood still, while an operator decided that this
    /// controller is gone.
    ///
    /// The script inherits nothing of it.
    package func lastWord(for command: RemoteCommand) -> String {
        """
        lock_check
        unset lock_state lock_mine lock_text lock_line lock_as

        """
    }

    /// What a refusal means.
    ///
    /// - Parameters:
    ///   - label: of the command that was not begun.
    ///   - host: where.
    ///   - lines: the lock that is there; none where there is none.
    ///   - unlock: the last line of `unlocks`, or nothing.
    /// - Returns: who has the lock now, and what to do.
    static func refusal(of label: String, on host: String, lines: [String], unlock: String) -> RemoteError {
        let text = lines.joined(separator: "\n")
        let holder = text.isEmpty ? "nobody holds it now" : "now: \(NodeLock(text: text))"
        let last = unlock.isEmpty ? "" : "; last unlock: \(unlock)"
        return RemoteError(
            .fenced,
            host: host,
            "\(label): this run has lost the lock on this node; \(holder)\(last)",
            remedy: "nothing more is changed; find out who took it over and how the cluster stands, then `pawl resume`"
        )
    }

    package func epilogue(for command: RemoteCommand) -> String { "" }

    /// For a step that does not run as the owner of the directory, which nobody else may look into.
    private var otherUser: String {
        guard let user else { return "" }
        return """
            elif [ ! -x "$lock_state" ]; then
              lock_as="doas -n -u"; ! command -v sudo >/dev/null || lock_as="sudo -n -u"
              lock_text=$($lock_as \(ShellQuoting.quote(user)) -- cat "$lock_state/lock" 2>&1 </dev/null) ||
                guard_refuse "$(id -un) cannot see whether this run has the lock on this node: $lock_text" \
                  \(ShellQuoting.quote(Self.otherUserRemedy(user)))
              lock_compare <<LOCK_TEXT
            $lock_text
            LOCK_TEXT

            """
    }

    private static func otherUserRemedy(_ user: String) -> String {
        "let this step become \(user), as the playbook does; or give a rule on the node that needs no password"
    }
}
