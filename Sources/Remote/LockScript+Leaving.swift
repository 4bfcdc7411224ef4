// SPDX-License-Identifier: Apache-2.0

extension LockScript {
    /// What is done on a node in the command that gives its lock back.
    package struct Leaving: Sendable, Hashable {
        /// Shell that is run under the lock, and only under it; `nil` for nothing.
        package var told: String?
        /// The first line of `last-run` behind that: where it stands there, it was done before.
        package var sign: String
        /// Shell that is run behind the lock, whosever that is; `nil` for nothing.
        package var swept: String?

        /// Both shells may be run twice, each in a subshell; its exit code says whether it is done, the last line of its
        /// standard error why not.
        package init(told: String?, sign: String, swept: String?) {
            self.told = told
            self.sign = sign
            self.swept = swept
        }
    }

    /// Why something of a ``Leaving`` was not done; `nil` for what was, or was not asked for.
    package struct LeavingFailures: Sendable, Hashable {
        package var told: String?
        package var lock: String?
        package var swept: String?

        package init(told: String? = nil, lock: String? = nil, swept: String? = nil) {
            self.told = told
            self.lock = lock
            self.swept = swept
        }
    }

    /// Shell that removes the lock when it is this one, amid what else is to be done for the last time.
    ///
    /// What fails keeps nothing else from being done. What may take long is behind the lock: a disk that hangs keeps none.
    ///
    /// - Parameters:
    ///   - lock: the lock.
    ///   - directory: the node's state directory, as the node said it.
    ///   - leaving: what is to be done besides.
    /// - Returns: the script, whose output ``failures(of:in:)`` reads.
    package static func release(_ lock: NodeLock.Key, in directory: String, _ leaving: Leaving) -> String {
        let deeds = [("told", leaving.told), ("swept", leaving.swept)]
        let functions = deeds.compactMap { name, script in script.map { "leave_\(name)() {\n\($0)\n}\n" } }.joined()
        let told = """
            leave_line=; lock_token=
            { IFS= read -r leave_line <"$state/last-run"; } 2>/dev/null
            if [ -e "$state/lock" ]; then lock_read "$state/lock"; fi
            if lock_is "$my_token" "$my_run" "$my_nonce"; then leave told
            elif [ "$leave_line" = \(ShellQuoting.quote(leaving.sign)) ]; then echo leave.told=done; fi

            """
        return begin(directory, words(of: lock)) + functions + leave + (leaving.told == nil ? "" : told)
            + "(\n\(releasing))\nleave_code=$?\n" + (leaving.swept == nil ? "" : "leave swept\n")
            + "exit \"$leave_code\"\n"
    }

    /// Runs a part, and tells what came of it in one line.
    private static let leave = #"""
        leave() {
          if leave_said=$("leave_$1" 2>&1 >/dev/null); then leave_said=done
          else leave_said="failed with exit code $?: ${leave_said##*
        }"; fi
          printf 'leave.%s=%s\n' "$1" "$leave_said"
        }

        """#

    /// Reads what the node printed.
    package static func failures(of leaving: Leaving, in result: CommandResult) -> LeavingFailures {
        let fields = LockFields(result.output)
        var failures = LeavingFailures()
        var lost = "this run has lost the lock on this node; nobody holds it now"
        do throws(LockAnswerError) {
            if case .held(let other) = try answer(result) {
                lost = "this run has lost the lock on this node; now: \(other)"
            }
        } catch {
            failures.lock = error.message
            lost = error.message
        }
        if leaving.told != nil {
            let said = fields["leave.told"] ?? lost
            failures.told = said == "done" ? nil : said
        }
        if leaving.swept != nil {
            let said = fields["leave.swept"] ?? failures.lock ?? "the node did not say so"
            failures.swept = said == "done" ? nil : said
        }
        return failures
    }
}
