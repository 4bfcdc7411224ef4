// SPDX-License-Identifier: Apache-2.0

import Fleet
import Remote

/// How the login shell comes to a shell of another user: the shell text for `sudo`, `su` and `doas`.
///
/// The program is asked nothing that it cannot answer in the channel: `sudo -S` and `su` read the password from standard
/// input, a byte at a time (sudo(8), `-S`; `misc_conv` of Linux-PAM). `doas` reads it from a terminal only
/// (readpassphrase(3) with `RPP_REQUIRE_TTY`), and `sudo` may demand that there is one (sudoers(5), `requiretty`). They get
/// one of their own by script(1), and the command keeps the channel's standard input, output and error.
struct Elevation: Hashable {
    var user: String
    var method: BecomeSettings.Method
    /// The program, or its path.
    var program: String
    /// Whether there is a password to answer with.
    var hasPassword: Bool
    /// Whether `sudo` is to have a terminal.
    var onTerminal = false

    /// Whether the program may ask before it begins.
    var mayAsk: Bool { hasPassword || method == .su }

    /// What the outer shell of a ``CommandFrame`` does, in characters that every login shell leaves alone.
    ///
    /// `$1` is the inner shell's text, `$2` its script, `$3` the user, `$4` is ``terminalLine(_:)``.
    ///
    /// - Parameters:
    ///   - finish: what tells the end, right after the program's.
    ///   - nonce: makes the question known.
    /// - Returns: the text.
    func outer(finish: String, nonce: String) -> String {
        let shell = #"/bin/sh -c "$1" sh "$2""#
        let become: String
        switch method {
        case .sudo where onTerminal: become = #"exec 3<&0 4>&1 5>&2; "# + terminal(#"</dev/null >/dev/null"#)
        case .sudo:
            // Root needs no sudo to become somebody else, so that it need not be installed.
            become =
                "if command -v \(program) >/dev/null; then \(sudo(nonce)) -u \"$3\" -- \(shell); "
                + #"elif [ "$(id -u)" = 0 ]; then "# + su("su")
                + "; else echo \"\(program): not found\" >&2; (exit 127); fi"
        case .su: become = su(program)
        case .doas: return "LC_ALL=C; export LC_ALL; " + doas(shell, finish)
        }
        return "LC_ALL=C; export LC_ALL; \(become); \(finish)"
    }

    /// What runs on the terminal, where there is one: a word of its own, since it is quoted as a whole.
    func terminalLine(_ nonce: String) -> String? {
        let shell = #"/bin/sh -c "$__i" sh "$__s" <&3 >&4 2>&5"#
        switch method {
        case .sudo where onTerminal: return #"exec \#(sudo(nonce)) -u "$__u" -- "# + shell
        case .doas where hasPassword: return #"exec \#(program) -u "$__u" "# + shell
        default: return nil
        }
    }

    /// -n: never ask; a question would wait for an answer that nobody gives.
    ///
    /// %p: whose password is asked for, which is not always the login user's (sudoers(5), `targetpw`).
    private func sudo(_ nonce: String) -> String {
        hasPassword ? #"\#(program) -S -p "pawl-\#(nonce) password for %p: " -H"# : "\(program) -n -H"
    }

    private func su(_ program: String) -> String { #"\#(program) -s /bin/sh -c "$1" -- "$3" sh "$2""# }

    /// Where a rule lets in without a password there must be no terminal that waits for one: it would take the first
    /// line of the command's input.
    private func doas(_ shell: String, _ finish: String) -> String {
        let silent = #"\#(program) -n -u "$3" "#
        guard hasPassword else { return "\(silent)\(shell); \(finish)" }
        // The shell's own printf, or the password would be an argument of a program.
        let feed =
            "case $(command -v printf) in /*) echo \"printf is no part of /bin/sh\" >&2; exit 126;; esac; "
            + #"IFS= read -r __p <&3 && printf "%s\n" "$__p""#
        return "exec 3<&0 4>&1 5>&2; if \(silent)/bin/sh -c : </dev/null >/dev/null 2>&1; "
            + "then \(silent)\(shell); \(finish); "
            + "else { \(feed); } | { \(terminal(">&5")); \(finish); }; fi"
    }

    /// A terminal without a screen, whose shell is not the user's own, and which says nothing for itself.
    private func terminal(_ streams: String) -> String {
        #"__i="$1" __s="$2" __u="$3" SHELL=/bin/sh script -qec "$4" /dev/null "# + streams + " 2>&5"
    }
}
