// SPDX-License-Identifier: Apache-2.0

import Remote

/// One line of shell that a playbook gives, as it is run on a node: by whom, for how long, and how its end is read.
struct CommandLineRun: Sendable {
    /// How a line ended, as far as its exit code tells.
    enum End: Sendable, Equatable {
        case exited(Int)
        /// `timeout` ended it.
        case timedOut
        case killed(signal: Int)
    }

    var line: String
    /// The user it runs as; `nil` for the user that the connection already has.
    var user: String?
    /// The deadline of the step; the node ends the line a little earlier, so that the end is seen.
    var timeout: Duration

    /// How long `timeout` waits on the node between SIGTERM and SIGKILL.
    private static let patience = 2
    /// GNU coreutils: "If the command times out, and --preserve-status is not set, then exit with status 124", and 128+9
    /// when SIGKILL had to be sent.
    private static let timedOutCode = 124

    /// The node's own deadline in whole seconds, before the deadline of the transport.
    var nodeLimit: Int {
        let seconds = Int(timeout.components.seconds)
        return max(1, seconds - min(5, max(1, seconds / 4)))
    }

    /// The line's words reach `sh -c` as one quoted word; its standard input is empty.
    var script: String {
        let quoted = ShellQuoting.quote(line)
        let limited = "timeout -k \(Self.patience) \(nodeLimit)"
        guard let user else { return "\(limited) sh -c \(quoted) </dev/null\n" }
        let name = ShellQuoting.quote(user)
        // `timeout` stands behind sudo and runuser, as the user: it may not signal sudo itself, which runs as root.
        return """
            user=\(name)
            line=\(quoted)
            if ! id -u "$user" >/dev/null 2>&1; then
                printf 'there is no user %s on this node\\n' "$user" >&2
                exit 126
            fi
            if [ "$(id -un)" = "$user" ]; then
                \(limited) sh -c "$line" </dev/null
            elif [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null && command -v doas >/dev/null; then
                doas -n -u "$user" \(limited) sh -c "$line" </dev/null
            elif [ "$(id -u)" != 0 ]; then
                sudo -n -u "$user" -- \(limited) sh -c "$line" </dev/null
            elif command -v runuser >/dev/null 2>&1; then
                runuser -u "$user" -- \(limited) sh -c "$line" </dev/null
            else
                \(limited) su -s /bin/sh -c "$line" "$user" </dev/null
            fi
            code=$?
            exit "$code"

            """
    }

    func command(_ label: String, effect: RemoteCommand.Effect) -> RemoteCommand {
        RemoteCommand(label, script: script, effect: effect, timeout: timeout)
    }

    /// Reads an exit code.
    ///
    /// A shell says 128 + n for a command that signal n has ended.
    func end(of result: CommandResult) -> End {
        // A line may end with 124 by itself; only one that took all its time was ended by `timeout`.
        let tookAll = result.duration >= .seconds(nodeLimit)
        if tookAll, result.exitCode == Self.timedOutCode || result.exitCode == 137 || result.exitCode == 143 {
            return .timedOut
        }
        return (129...192).contains(result.exitCode) ? .killed(signal: result.exitCode - 128) : .exited(result.exitCode)
    }

    /// The line for a message: its first line, cut where it is very long.
    static func title(of line: String) -> String {
        let lines = line.split(whereSeparator: \.isNewline)
        let first = lines.first ?? ""
        let isWhole = lines.count <= 1 && first.count <= 200
        return "`" + first.prefix(200) + (isWhole ? "`" : " …`")
    }

    /// The last lines of what a command printed, for a message; empty when it printed nothing.
    static func excerpt(_ title: String, _ text: String, lines limit: Int = 20) -> String {
        let lines = text.split(whereSeparator: \.isNewline)
        guard !lines.isEmpty else { return "" }
        let count = lines.count > limit ? " (last \(limit) of \(lines.count) lines)" : ""
        let shown = lines.suffix(limit).map { line in
            // One line can be a whole file; a message is no place for it.
            "  " + (line.count > 400 ? line.prefix(400) + "…" : line)
        }
        return "\n\(title)\(count):\n" + shown.joined(separator: "\n")
    }
}
