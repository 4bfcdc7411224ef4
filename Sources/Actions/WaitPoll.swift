// SPDX-License-Identifier: Apache-2.0

import Playbooks
import Remote

/// The loop that a node runs for `wait_for`, and what it says.
struct WaitPoll: Sendable {
    /// What the loop has said before it ended or was ended.
    struct Outcome: Sendable, Equatable {
        var hasSucceeded = false
        var tries = 0
        var lastCode: Int?
        /// What the last look printed, if it was a line of the playbook's.
        var lastOutput = ""

        init(_ result: CommandResult) {
            var output: [Substring] = []
            for line in result.output.split(separator: "\n", omittingEmptySubsequences: false) {
                guard line.hasPrefix(WaitPoll.mark) else {
                    output.append(line)
                    continue
                }
                let words = line.dropFirst(WaitPoll.mark.count).split(separator: " ")
                tries = words.first.flatMap { Int($0) } ?? tries
                let code = words.count > 1 ? Int(words[1]) : nil
                if code == 0 { hasSucceeded = true }
                lastCode = code
                // A look whose output is the same as before prints `same` instead.
                if words.count > 2, words[2] == "new" { output = [] }
            }
            lastOutput = output.joined(separator: "\n")
        }
    }

    /// The exit code for: there is no program to look at a port with.
    static let noProbeCode = 3
    private static let mark = "pawl-look "

    var condition: WaitFor.Condition
    var every: Duration
    /// Whole seconds, counted by `timeout`, so that a look that hangs and a clock that is set do not matter.
    var limit: Int

    var script: String {
        let loop = """
            n=0
            last=
            while :; do
                n=$((n + 1))
                out=$(\(probe) 2>&1 </dev/null)
                code=$?
                if [ "$n" -gt 1 ] && [ "$out" = "$last" ]; then
                    printf '\(Self.mark)%s %s same\\n' "$n" "$code"
                else
                    printf '\(Self.mark)%s %s new\\n%s\\n' "$n" "$code" "$out"
                fi
                [ "$code" = 0 ] && exit 0
                last=$out
                sleep \(DurationText.seconds(every))
            done
            """
        let words = ShellQuoting.line([loop, "sh"] + arguments)
        return "\(preparation)timeout -k 2 \(limit) sh -c \(words) </dev/null\ncode=$?\nexit \"$code\"\n"
    }

    /// The words that the loop knows as `$1`, `$2`: what a playbook says never becomes part of the script's text.
    private var arguments: [String] {
        switch condition {
        case .line(let line): [line]
        case .path(let path): [path]
        case .port(let port, let host): [host, String(port), host.contains(":") ? "[\(host)]" : host]
        }
    }

    private var probe: String {
        switch condition {
        case .line: #"sh -c "$1""#
        case .path: #"[ -e "$1" ]"#
        case .port: #"sh -c "$probe" sh "$1" "$2" "$3""#
        }
    }

    /// Chooses once how ports are looked at.
    ///
    /// POSIX has no program for it. bash connects and hangs up at once; `nc -z` as well. curl holds the connection for
    /// its whole `--max-time`, since telnet ends when the server does, and says by `time_connect` whether there was
    /// one; so it comes last, and some distributions build it without telnet.
    private var preparation: String {
        guard case .port = condition else { return "" }
        return #"""
            if command -v bash >/dev/null 2>&1; then
                probe='timeout 3 bash -c '\''exec 3<>"/dev/tcp/$0/$1"'\'' "$1" "$2"'
            elif command -v nc >/dev/null 2>&1; then
                probe='nc -z -w 3 "$1" "$2"'
            elif curl --version 2>/dev/null | grep -q telnet; then
                probe='t=$(curl -q -sS --noproxy "*" --connect-timeout 2 --max-time 2 -w "%{time_connect}" -o /dev/null \
                    "telnet://$3:$2")
                case $t in ""|*[!0.,]*) [ -n "$t" ] ;; *) exit 7 ;; esac'
            else
                exit \#(Self.noProbeCode)
            fi
            export probe

            """#
    }
}
