// SPDX-License-Identifier: Apache-2.0

import Crypto
import Fleet
import Remote

/// The rule on a member's node that closes its client ports to everybody but the node itself.
///
/// All of it is in a table (nft) or chain (iptables) of its own, named after the host, with the run in the rule's comment.
/// What the node must remember lies in its state directory, in `freeze/`: `KEY.note` (which run, which ports, since
/// when), `KEY.rules` (the rule as the kernel gave it back), `KEY.until` (when it is lifted unless it is renewed) and
/// `KEY.watch` (the script that lifts it then). docs/design/freeze.md has the reasons.
package struct ClientFirewall: Sendable {
    /// What makes the rule.
    package enum Tool: String, Sendable, CaseIterable {
        /// nft where it works, otherwise iptables.
        case auto
        case nft, iptables
    }

    package var state: NodeState
    package var host: String
    package var run: String
    package var tool: Tool
    /// How long the rule stays after it was last renewed; `nil` for ever.
    package var deadMan: Duration?

    package init(state: NodeState, host: String, run: String, tool: Tool = .auto, deadMan: Duration? = nil) {
        self.state = state
        self.host = host
        self.run = run
        self.tool = tool
        self.deadMan = deadMan
    }

    /// The directory below the node's state directory.
    package static let directory = "freeze"

    /// Eight hexadecimal digits that stand for the host in names that may not be long.
    private var mark: String {
        SHA256.hash(data: Array(host.utf8)).prefix(4)
            .map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    /// Looks whether the rule is in place; changes nothing.
    package func look(timeout: Duration = .seconds(30)) -> RemoteCommand {
        command("look at the firewall", "tell_state\n", .readOnly, timeout)
    }

    /// Closes the ports, with the timer that opens them again, and reads the rule back.
    ///
    /// - Parameters:
    ///   - ports: what is known of the ports to be closed, and of those that must stay open.
    ///   - settings: how etcd is spoken to, to find listening sockets that nothing advertises; `nil` to take the ports
    ///     as they are.
    ///   - timeout: the deadline of the command.
    /// - Returns: the command.
    package func close(_ ports: ClientPorts, findingMore settings: EtcdSettings?, timeout: Duration) -> RemoteCommand {
        let words = NodeReport.assignments([
            "PORTS": ports.clients.map(String.init).joined(separator: " "),
            "PEERS": ports.peers.map(String.init).joined(separator: " "),
        ])
        let find = settings.map(ClientPorts.findScript) ?? ""
        return command(
            "close the client ports",
            words + ClientPorts.refuseScript(find) + Self.closeBody,
            .mutating,
            timeout
        )
    }

    /// Opens the ports, whichever run closed them; does nothing where they are open.
    package func open(timeout: Duration = .seconds(30)) -> RemoteCommand {
        command("open the client ports", Self.openBody, .mutating, timeout)
    }

    /// Puts the end of the rule off by the dead-man time, and tells whether the rule is in place.
    package func renew(timeout: Duration = .seconds(30)) -> RemoteCommand {
        command("renew the firewall", Self.renewBody, .mutating, timeout)
    }

    /// Shell for the sweep of a run: opens what the run had closed and forgets it; needs `$state`.
    package static func sweep(_ run: String) -> String {
        """
        for freeze_note in "$state"/\(directory)/*.note; do
          [ -f "$freeze_note" ] && grep -qxF \(ShellQuoting.quote("run=\(run)")) "$freeze_note" || continue
          sh "${freeze_note%.note}.watch" open >/dev/null 2>&1 ||
            { echo "the client ports are still closed: see sh ${freeze_note%.note}.watch open" >&2; exit 1; }
        done
        [ ! -d "$state/\(directory)" ] || rmdir -- "$state/\(directory)" 2>/dev/null

        """
    }

    // MARK: - Scripts

    private func command(
        _ label: String,
        _ body: String,
        _ effect: RemoteCommand.Effect,
        _ timeout: Duration
    ) -> RemoteCommand {
        let script =
            NodeReport.prelude
            + NodeReport.assignments([
                "RUN": run, "KEY": ColdBackup.fileName(host), "MARK": mark, "WITH": tool.rawValue,
                "DEAD_MAN": String(deadMan?.components.seconds ?? 0),
            ]) + state.shell + Self.places + Self.rules + Self.watch + Self.tell
        return RemoteCommand(label, script: script + body, effect: effect, timeout: timeout)
    }

    /// Where the notes are, and how they are read.
    static let places = #"""
        keep=$state/freeze
        note=$keep/$KEY.note rules=$keep/$KEY.rules until=$keep/$KEY.until watch=$keep/$KEY.watch
        lifted=$keep/$KEY.lifted watcher=$keep/$KEY.watcher
        TABLE=pawl-freeze-$MARK CHAIN=PAWL-FREEZE-$MARK UNIT=pawl-thaw-$MARK
        noted() { sed -n "s/^$1=//p" "$note" 2>/dev/null; }
        # Seconds since the node was booted: nobody sets this clock.
        uptime_now() { IFS=. read -r whole rest </proc/uptime && printf '%s' "$whole"; }
        make_keep() {
          [ "$(id -u)" = 0 ] || fail "only root may set a firewall rule" "say \`become: true\`"
          trouble=$(make_state) || fail "cannot keep notes: $trouble" "set pawl_state_dir to another directory"
          [ -d "$keep" ] || mkdir -m 700 -- "$keep" || fail "cannot make $keep"
        }

        """#

    private static let tell = #"""
        tell_state() {
          say run "$(noted run)"; say ports "$(noted ports)"; say with "$(noted with)"; say since "$(noted since)"
          say dead_man "$(noted dead_man)"
          if [ -f "$lifted" ]; then say lifted "$(cat "$lifted")"; fi
          if [ ! -f "$note" ]; then
            say state open
          elif trouble=$(rules_trouble); [ -n "$trouble" ]; then
            say state broken; say trouble "$trouble"
          else
            say state closed
          fi
          if [ -f "$until" ]; then say left "$(($(cat "$until") - $(uptime_now)))"; fi
          if [ -f "$note" ] && [ "$(noted dead_man)" != 0 ]; then
            if is_watched; then say watched yes; else say watched no; fi
          fi
        }

        """#

    private static let closeBody = #"""
        give_up() { rules_remove "$tool" >/dev/null 2>&1; forget; fail "$@"; }
        make_keep
        before=$(noted run)
        if [ -n "$before" ] && [ "$before" != "$RUN" ]; then say taken_from "$before"; fi
        choose_tool
        say with "$tool"; say ports "$PORTS"
        had=$(noted with)
        rm -f -- "$lifted" "$rules"
        printf '%s\n' "run=$RUN" "with=$tool" "ports=$PORTS" "dead_man=$DEAD_MAN" "since=$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
          >"$note.new" && mv -f -- "$note.new" "$note" || fail "cannot write $note"
        write_watch
        # The timer first: no rule is ever without it.
        stop_watch
        if [ "$DEAD_MAN" = 0 ]; then rm -f -- "$until"
        else
          put_off
          start_watch || give_up "the dead-man timer cannot be started: $trouble" "dead_man: 0 does without it"
        fi
        if [ -n "$had" ] && [ "$had" != "$tool" ]; then rules_remove "$had"; fi
        trouble=$(rules_put 2>&1) ||
          give_up "$tool did not take the rule: $trouble" "see dmesg; another tool may work: with: nft, or iptables"
        rules_print >"$rules.new" && mv -f -- "$rules.new" "$rules" && sync -- "$keep" 2>/dev/null
        trouble=$(rules_trouble)
        [ -z "$trouble" ] || give_up "the rule is not in place: $trouble"
        say refuses "$(cat "$keep/$KEY.refuses" 2>/dev/null || echo reset)"
        tell_state
        """#

    private static let openBody = #"""
        if [ -f "$note" ]; then
          [ "$(id -u)" = 0 ] || fail "only root may remove a firewall rule" "say \`become: true\`"
          say was "$(noted run)"
          tool=$(noted with)
          trouble=$(rules_remove "$tool" 2>&1)
          left=$(rules_left)
          [ -z "$left" ] || fail "the client ports stay closed: $left $trouble" "remove it by hand"
          forget
        else
          # A note that was lost must not leave its rule behind.
          for tool in nft iptables; do
            if [ -n "$(rules_left)" ]; then
              rules_remove "$tool" >/dev/null 2>&1
              left=$(rules_left)
              [ -z "$left" ] || fail "the client ports stay closed: $left" "remove it by hand"
            fi
          done
        fi
        if [ -f "$lifted" ]; then say lifted "$(cat "$lifted")"; rm -f -- "$lifted"; fi
        rmdir -- "$keep" 2>/dev/null
        say state open
        """#

    /// The end is put off before anything is looked at: whoever renews it is alive.
    private static let renewBody = #"""
        if [ -f "$note" ] && [ "$(noted run)" = "$RUN" ]; then
          DEAD_MAN=$(noted dead_man)
          if [ "${DEAD_MAN:-0}" != 0 ]; then put_off; is_watched || start_watch || say trouble "$trouble"; fi
        fi
        tell_state
        """#
}
