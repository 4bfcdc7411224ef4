// SPDX-License-Identifier: Apache-2.0

/// The node's part of the lock: to look, to take, to give back, each one remote command.
///
/// Plain shell with few programs, because each costs a millisecond or two on a node. Every change is made under `flock`
/// on `lock.guard`, written beside, flushed and renamed.
package enum LockScript {
    /// Shell that prints what the node shows of its lock; ``LockSight/init(output:)`` reads it.
    ///
    /// It changes nothing and needs no state directory. It runs in a subshell, so that it can stand beside other
    /// questions in one script.
    package static func look(_ state: NodeState) -> String {
        """
        (
        \(state.path)\(functions)
        machine=; boot=
        { read -r machine </etc/machine-id; } 2>/dev/null
        [ -n "$machine" ] || machine=$(uname -n)
        { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
        printf 'state=%s\\nmachine=%s\\nboot=%s\\n' "$state" "$machine" "$boot"
        if [ -d "$state" ] && [ ! -x "$state" ]; then lock_fail "$state is not open to $(id -un)"; fi
        lock_known
        printf 'token=%s\\n' "$lock_known"
        if [ -e "$state/lock" ]; then lock_show; fi
        )

        """
    }

    /// Shell that makes the lock the node's, when nobody holds it, or only whoever is to be replaced.
    ///
    /// - Parameters:
    ///   - lock: what is written; taking a second time what was taken changes nothing.
    ///   - directory: the node's state directory, as the node said it; made where it is missing.
    ///   - replaced: the lock that may be there and is taken over.
    ///   - note: a line for the file `unlocks`, when this is an operator's decision.
    ///   - question: shell that asks the node for something else behind that, which ``besides(_:)`` finds.
    /// - Returns: the script, whose output ``answer(_:)`` reads.
    package static func take(
        _ lock: NodeLock,
        in directory: String,
        replacing replaced: NodeLock.Key? = nil,
        note: String? = nil,
        besides question: String? = nil
    ) -> String {
        let taking = taking(lock, directory, replaced, note)
        guard let question else { return taking }
        return """
            (
            \(taking)) || exit "$?"
            echo \(questionMark)
            \(question)
            """
    }

    /// No answer of the lock's own has such a line.
    private static let questionMark = "besides"

    /// What a node answered to the question beside the lock; `nil` where it was not asked.
    package static func besides(_ result: CommandResult) -> [UInt8]? {
        let mark = Array("\(questionMark)\n".utf8)
        var rest = result.standardOutput[...]
        while !rest.starts(with: mark) {
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            rest = rest[(end + 1)...]
        }
        return Array(rest.dropFirst(mark.count))
    }

    private static func taking(
        _ lock: NodeLock,
        _ directory: String,
        _ replaced: NodeLock.Key?,
        _ note: String?
    ) -> String {
        let words = [
            ("text", lock.text), ("my_run", lock.key.run), ("my_token", "\(lock.key.token)"),
            ("my_nonce", lock.key.nonce), ("old_run", replaced?.run ?? ""),
            ("old_token", replaced.map { "\($0.token)" } ?? ""), ("old_nonce", replaced?.nonce ?? ""),
            ("note", note.map(NodeLock.line) ?? ""),
        ]
        return begin(directory, words) + """
            make_state >/dev/null || lock_fail "$(make_state)"
            cd -- "$state" || lock_fail "$state cannot be entered"
            lock_enter
            lock_known
            if [ -e lock ]; then
              lock_read "$state/lock"
              if lock_is "$my_token" "$my_run" "$my_nonce"; then echo answer=taken; exit 0; fi
              if [ -z "$old_token" ] || ! lock_is "$old_token" "$old_run" "$old_nonce"; then
                echo answer=held; lock_show; exit 0
              fi
            fi
            if [ "$lock_known" -ge "$my_token" ]; then printf 'answer=behind\\ntoken=%s\\n' "$lock_known"; exit 0; fi
            if [ -e token.new ] || [ -e lock.new ]; then rm -f token.new lock.new; fi
            printf '%s\\n' "$my_token" >token.new && printf '%s' "$text" >lock.new && lock_sync token.new lock.new &&
              mv -f token.new token && mv -f lock.new lock || lock_fail "the lock cannot be written in $state"
            if [ -n "$note" ]; then
              printf '%s\\n' "$note" >>unlocks && lock_sync unlocks || lock_fail "$state/unlocks cannot be written"
            fi
            lock_sync .
            echo answer=taken

            """
    }

    /// Shell that removes the lock when it is this one; any other stays.
    package static func release(_ lock: NodeLock.Key, in directory: String) -> String {
        begin(directory, words(of: lock)) + releasing
    }

    static func words(of lock: NodeLock.Key) -> [(String, String)] {
        [("my_run", lock.run), ("my_token", "\(lock.token)"), ("my_nonce", lock.nonce)]
    }

    static let releasing = #"""
        if [ ! -d "$state" ]; then echo answer=absent; exit 0; fi
        cd -- "$state" || lock_fail "$state cannot be entered"
        if [ ! -e lock ]; then echo answer=absent; exit 0; fi
        lock_enter
        if [ ! -e lock ]; then echo answer=absent; exit 0; fi
        lock_read "$state/lock"
        if ! lock_is "$my_token" "$my_run" "$my_nonce"; then
          echo answer=held; lock_show; exit 0
        fi
        rm -f lock lock.new token.new && lock_sync . || lock_fail "$state/lock cannot be removed"
        echo answer=released

        """#

    /// How a node answered to ``take(_:in:replacing:note:besides:)`` or ``release(_:in:)``.
    package enum Answer: Sendable, Hashable {
        case taken
        case released
        /// There was no lock to be given back.
        case absent
        /// Another's; nothing was changed.
        case held(NodeLock)
        /// A lock with this token was here before; nothing was changed.
        case behind(token: Int)
    }

    /// Reads what the node printed.
    package static func answer(_ result: CommandResult) throws(LockAnswerError) -> Answer {
        let question = besides(result).map { questionMark.utf8.count + 1 + $0.count } ?? 0
        let fields = LockFields(String(decoding: result.standardOutput.dropLast(question), as: UTF8.self))
        if let error = fields["error"] { throw LockAnswerError(error) }
        switch (fields["answer"], fields.lock, fields["token"].flatMap(Int.init)) {
        // Where it was asked for something else besides, the exit code is of that.
        case ("taken"?, _, _) where result.exitCode == 0 || question > 0: return .taken
        case ("released"?, _, _) where result.exitCode == 0: return .released
        case ("absent"?, _, _) where result.exitCode == 0: return .absent
        case ("held"?, let lock?, _): return .held(lock)
        case ("behind"?, _, let token?): return .behind(token: token)
        default:
            let tail = result.errorOutput.split(separator: "\n").suffix(2).joined(separator: "; ")
            throw LockAnswerError("the script of the lock ended with exit code \(result.exitCode) \(tail)")
        }
    }

    // MARK: - Parts

    static func begin(_ directory: String, _ words: [(String, String)]) -> String {
        """
        LC_ALL=C; export LC_ALL; umask 077
        trap '' HUP
        \(words.map { "\($0.0)=\(ShellQuoting.quote($0.1))\n" }.joined())\
        \(NodeState(directory: directory).shell)\(functions)
        """
    }

    /// Shell functions that show and change `lock` and `token` in `$state`.
    private static let functions = #"""
        lock_read() {
          lock_token=; lock_run=; lock_nonce=
          while IFS= read -r lock_line || [ -n "$lock_line" ]; do
            case $lock_line in
            token=*) lock_token=${lock_line#token=};;
            run=*) lock_run=${lock_line#run=};;
            nonce=*) lock_nonce=${lock_line#nonce=};;
            esac
          done <"$1"
          case $lock_token in *[!0-9]*|""|????????????????*) lock_token=0;; esac
        }
        lock_is() { [ "$lock_token" = "$1" ] && [ "$lock_run" = "$2" ] && [ "$lock_nonce" = "$3" ]; }
        lock_fail() {
          printf 'error=%s\n' "$1"
          exit 65
        }
        lock_show() {
          [ -f "$state/lock" ] && [ -r "$state/lock" ] || lock_fail "$state/lock cannot be read"
          echo held=yes
          while IFS= read -r lock_line || [ -n "$lock_line" ]; do printf 'lock.%s\n' "$lock_line"; done <"$state/lock"
          lock_read "$state/lock"
          printf 'lock.token=%s\n' "$lock_token"
        }
        lock_known() {
          lock_known=0
          if [ -e "$state/token" ]; then
            { IFS= read -r lock_known <"$state/token"; } 2>/dev/null || lock_known=
            case $lock_known in *[!0-9]*|""|????????????????*)
              lock_fail "$state/token is damaged; write the highest token of the other nodes into it";;
            esac
          fi
        }
        lock_enter() {
          { true >>lock.guard; } 2>/dev/null || lock_fail "$state/lock.guard cannot be written"
          exec 9>>lock.guard
          flock -w 10 9 || lock_fail "the lock in $state was being changed by another command for 10 s"
        }
        lock_sync() { sync -- "$@" 2>/dev/null || sync; }

        """#
}
