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

    package func prologue(for command: RemoteCommand) -> String {
        // `[ -e ]` is false too where one may not look.
        """
        lock_state=\(ShellQuoting.quote(directory))
        \(LockScript.reading)\
        lock_check() {
          lock_token=; lock_run=; lock_nonce=
          if [ -e "$lock_state/lock" ]; then { lock_read "$lock_state/lock"; } 2>/dev/null
          \(otherUser)fi
          if ! lock_is \(lock.token) \(ShellQuoting.quote(lock.run)) \(ShellQuoting.quote(lock.nonce)); then
            if [ -n "$lock_token" ]; then
              lock_now="run $lock_run of $lock_owner on $lock_host holds it since $lock_since, reason: $lock_reason"
            else
              lock_now="nobody holds it now"
            fi
            lock_last=$(tail -n 1 "$lock_state/unlocks" 2>/dev/null)
            guard_refuse "this run has lost the lock on this node; $lock_now${lock_last:+; last unlock: $lock_last}" \
              \(ShellQuoting.quote(Self.remedy))
          fi
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
        unset lock_state lock_token lock_run lock_nonce lock_owner lock_host lock_since lock_reason lock_line lock_as lock_text

        """
    }

    package func epilogue(for command: RemoteCommand) -> String { "" }

    /// For a step that does not run as the owner of the directory, which nobody else may look into.
    private var otherUser: String {
        guard let user else { return "" }
        return """
            elif [ ! -x "$lock_state" ]; then
              lock_as="doas -n -u"; ! command -v sudo >/dev/null || lock_as="sudo -n -u"
              if ! lock_text=$($lock_as \(ShellQuoting.quote(user)) -- cat "$lock_state/lock" 2>&1 </dev/null); then
                guard_refuse "$(id -un) cannot see whether this run has the lock on this node: $lock_text" \
                \(ShellQuoting.quote(Self.otherUserRemedy(user)))
              fi
              while IFS= read -r lock_line; do
                case $lock_line in
                  token=*) lock_token=${lock_line#token=} ;;
                  run=*) lock_run=${lock_line#run=} ;;
                  nonce=*) lock_nonce=${lock_line#nonce=} ;;
                esac
              done <<LOCK_TEXT
            $lock_text
            LOCK_TEXT

            """
    }

    private static func otherUserRemedy(_ user: String) -> String {
        "let this step become \(user), as the playbook does; or give a rule on the node that needs no password"
    }

    private static let remedy =
        "nothing more is changed; find out who took it over and how the cluster stands, then `pawl resume`"
}
