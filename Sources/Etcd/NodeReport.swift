// SPDX-License-Identifier: Apache-2.0

import Remote

/// What a script on a node told: lines of `name=value`, and in the end perhaps why it refused.
///
/// One remote shell costs about 75 ms, so a step sends one long script rather than many short ones; this is the form
/// in which such a script answers. A refusal is told by ``refusalCode`` together with a line `error=`.
package struct NodeReport: Sendable, Equatable {
    /// Why a script stopped, in its own words.
    package struct Refusal: Sendable, Equatable {
        package var message: String
        package var remedy: String?
    }

    /// The exit code of a script that says why it stopped.
    package static let refusalCode = 65

    /// What every such script begins with.
    ///
    /// A hangup is ignored, so that a lost connection does not end a script between two of its changes; one that ends
    /// because nobody reads its answer any more still puts its files away. Messages of the tools are asked for in
    /// English because some are matched.
    package static let prelude = #"""
        set -u
        LC_ALL=C; export LC_ALL
        PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; export PATH
        umask 077
        trap '' HUP
        trap 'exit 141' PIPE; trap 'exit 143' TERM
        say() { printf '%s=%s\n' "$1" "$2"; }
        fail() {
          printf 'error=%s\n' "$(printf '%s' "$1" | tr '\n\r' '  ')"
          if [ -n "${2-}" ]; then printf 'remedy=%s\n' "$2"; fi
          exit 65
        }
        physical() { cd -P -- "$1" 2>/dev/null && pwd -P; }
        milliseconds() { echo $(($(date +%s%N) / 1000000)); }

        """#

    /// Everything that was told, in order.
    package var pairs: [(name: String, value: String)] { lines }

    private var lines: [(name: String, value: String)] = []
    /// Why the script stopped, when it did.
    package private(set) var refusal: Refusal?

    /// Reads what a script printed.
    package init(_ result: CommandResult) {
        for line in result.output.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            lines.append((String(line[..<equals]), String(line[line.index(after: equals)...])))
        }
        switch result.exitCode {
        case 0:
            refusal = nil
        case Self.refusalCode where self["error"] != nil:
            refusal = Refusal(message: self["error"] ?? "", remedy: self["remedy"])
        default:
            let tail = result.errorOutput.split(separator: "\n").suffix(3).joined(separator: "; ")
            refusal = Refusal(
                message: "the script ended with exit code \(result.exitCode)" + (tail.isEmpty ? "" : ": \(tail)"),
                remedy: nil
            )
        }
    }

    /// What a line of a script that is still at work says to whoever looks on.
    ///
    /// Pairs are for the program to read; of them only `progress` is for people. What is no pair comes from a tool.
    ///
    /// - Parameter line: the last line that was printed.
    /// - Returns: the words to be shown; `nil` where the line has none.
    package static func news(in line: String) -> String? {
        guard let equals = line.firstIndex(of: "="), equals > line.startIndex,
            line[..<equals].allSatisfy({ $0 == "_" || $0.isASCII && ($0.isLowercase || $0.isNumber) })
        else { return line }
        return line[..<equals] == "progress" ? String(line[line.index(after: equals)...]) : nil
    }

    /// The value that was told last under a name.
    package subscript(_ name: String) -> String? { lines.last { $0.name == name }?.value }

    /// Every value that was told under a name, in order.
    package func all(_ name: String) -> [String] { lines.filter { $0.name == name }.map(\.value) }

    package static func == (left: NodeReport, right: NodeReport) -> Bool {
        left.refusal == right.refusal && left.lines.elementsEqual(right.lines, by: ==)
    }

    /// Shell assignments, one a line, each value quoted.
    package static func assignments(_ values: KeyValuePairs<String, String>) -> String {
        values.map { "\($0.key)=\(ShellQuoting.quote($0.value))\n" }.joined()
    }
}
