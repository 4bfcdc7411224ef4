// SPDX-License-Identifier: Apache-2.0

extension LockScript {
    /// Something that is done on a node under its lock for the last time.
    package struct Deed: Sendable, Hashable {
        /// A word for it: letters only.
        package var name: String
        /// Shell that may be run twice, in a subshell; its exit code tells whether it is done, the last line of its standard
        /// error why not.
        package var script: String

        package init(name: String, script: String) {
            self.name = name
            self.script = script
        }
    }

    /// What came of ``release(_:in:behind:sign:)``.
    package struct Leaving: Sendable, Hashable {
        /// Why deeds were not done, by name.
        package var failures: [String: String]
        /// Why the lock is still there, if it is this one.
        package var lockFailure: String?

        package init(failures: [String: String] = [:], lockFailure: String? = nil) {
            self.failures = failures
            self.lockFailure = lockFailure
        }
    }

    /// Shell that does what is to be done under a lock for the last time, and then removes the lock.
    ///
    /// - Parameters:
    ///   - lock: under no other is anything done.
    ///   - directory: the node's state directory, as the node said it.
    ///   - deeds: one that fails keeps nothing else from being done.
    ///   - sign: the first line of `last-run`; where there is no lock any more, it shows that all this was done before.
    /// - Returns: the script, whose output ``leaving(_:_:)`` reads.
    package static func release(
        _ lock: NodeLock.Key,
        in directory: String,
        behind deeds: [Deed],
        sign: String
    ) -> String {
        let functions = deeds.map { "leave_\($0.name)() {\n\($0.script)\n}\n" }.joined()
        let names = deeds.map(\.name).joined(separator: " ")
        let look = """
            leave_sign=\(ShellQuoting.quote(sign))
            leave_line=
            lock_token=
            if [ -e "$state/lock" ]; then lock_read "$state/lock"
            else { IFS= read -r leave_line <"$state/last-run"; } 2>/dev/null; fi
            if lock_is "$my_token" "$my_run" "$my_nonce"; then
              for leave_deed in \(names); do
                if leave_said=$("leave_$leave_deed" 2>&1 >/dev/null); then leave_said=done
                else leave_said="failed with exit code $?: ${leave_said##*
            }"; fi
                printf 'leave.%s=%s\\n' "$leave_deed" "$leave_said"
              done
            elif [ -n "$leave_sign" ] && [ "$leave_line" = "$leave_sign" ]; then
              for leave_deed in \(names); do echo "leave.$leave_deed=done"; done
            fi

            """
        return begin(directory, words(of: lock)) + (deeds.isEmpty ? "" : functions + look) + releasing
    }

    /// Reads what the node printed.
    package static func leaving(_ result: CommandResult, _ deeds: [Deed]) -> Leaving {
        let fields = LockFields(result.output)
        var lost = "this run has lost the lock on this node; nobody holds it now"
        var leaving = Leaving()
        do throws(LockAnswerError) {
            if case .held(let other) = try answer(result) { lost = "this run has lost the lock on this node; \(other)" }
        } catch {
            leaving.lockFailure = error.message
            lost = error.message
        }
        for deed in deeds {
            let said = fields["leave.\(deed.name)"] ?? lost
            if said != "done" { leaving.failures[deed.name] = said }
        }
        return leaving
    }
}
