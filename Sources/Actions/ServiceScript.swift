// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote

/// The scripts of a ``Service``, over two sets of shell functions: systemd's and the operator's own commands.
///
/// Both sets define `look_now` (sets `up`, `state`, `pid`, `instance`), `hold`, `release`, `order_stop`, `judge_stop`
/// (sets `clean` and `proof`), `order_start`, `settled`, `last_words`, `forget_hold` and `left_behind` (whether there is
/// something to forget). Notes about what this run holds down are kept on the node's disk, those about processes in `/run/pawl`, which a
/// reboot empties together with them.
struct ServiceScript {
    var state: NodeState
    var name: String
    var commands: Service.Commands?
    var within: Duration
    var host: String
    var run: String
    var step: String

    private func command(
        _ label: String,
        _ body: String,
        _ effect: RemoteCommand.Effect,
        _ timeout: Duration
    )
        -> RemoteCommand
    {
        let unit = commands == nil && !Self.hasUnitSuffix(name) ? "\(name).service" : name
        var script =
            NodeReport.prelude
            + NodeReport.assignments([
                "UNIT": unit, "RUN": run, "STEP": step,
                "WITHIN": String(max(1, within.components.seconds)),
                "KEY": "\(ColdBackup.fileName(host)).\(ColdBackup.fileName(unit))",
            ]) + state.shell + Self.notes
        if let commands {
            script += NodeReport.assignments([
                "START": commands.start, "STOP": commands.stop, "STATUS": commands.status,
            ])
            script += Self.ownCommands
        } else {
            script += Self.systemd
        }
        return RemoteCommand("\(label) \(name)", script: script + body, effect: effect, timeout: timeout)
    }

    private static func hasUnitSuffix(_ name: String) -> Bool {
        [".service", ".socket", ".target", ".scope", ".slice"].contains { name.hasSuffix($0) }
    }

    func look(timeout: Duration) -> RemoteCommand {
        command("look at", Self.lookBody, .readOnly, timeout)
    }

    func stop(mustBeClean: Bool, timeout: Duration) -> RemoteCommand {
        command("stop", "MUST=\(mustBeClean ? "yes" : "")\n" + Self.stopBody, .mutating, timeout)
    }

    func start(timeout: Duration) -> RemoteCommand {
        command("start", Self.startFunction + "start_it\n" + Self.tellBody, .mutating, timeout)
    }

    func unstop(timeout: Duration) -> RemoteCommand {
        command("put back", Self.startFunction + Self.unstopBody + Self.tellBody, .mutating, timeout)
    }

    func restart(timeout: Duration) -> RemoteCommand {
        command(
            "restart",
            Self.startFunction + Self.restartFunction + "restart_it\n" + Self.tellBody,
            .mutating,
            timeout
        )
    }

    /// Restarts it twice: once with a setting in the environment of the new process, and again without.
    ///
    /// - Parameters:
    ///   - setting: `NAME=value`. A unit or a command that sets it itself has its own way.
    ///   - functions: shell functions `look_before`, run before anything is done, and `wait_between`, run while the
    ///     setting holds, which may set `lack` and `advice`: that fails the step, after the second restart.
    ///   - timeout: the deadline of all of it.
    /// - Returns: one command, which ends with the service as it was, or says that it does not run.
    func restartTwice(with setting: String, functions: String, timeout: Duration) -> RemoteCommand {
        let body =
            Self.startFunction + Self.restartFunction + NodeReport.assignments(["SETTING": setting])
            + functions + Self.restartTwiceBody + Self.tellBody
        return command("restart", body, .mutating, timeout)
    }

    /// What this run did to the service.
    ///
    /// In the node's state directory, `service/KEY.hold` says that this run holds the service down and how it ended, and
    /// `service/KEY.found` whether it ran when this run came to it first. They outlive a reboot, which must not start etcd
    /// on half a migration. `/run/pawl/KEY.restart` says which step restarted it, and `KEY.instance` who started it;
    /// those speak of processes, and go with them. All but the first begin with the run, and are swept when it has ended
    /// well.
    private static let notes =
        NodeState.user + #"""
            notes=/run/pawl
            if [ "$node_user" != 0 ]; then notes=${XDG_RUNTIME_DIR:-/tmp}/pawl-$node_user; fi
            keep=$state/service
            note=$keep/$KEY.hold
            noted() { sed -n "s/^$1=//p" "$note" 2>/dev/null; }
            make_notes() {
              mkdir -p -m 700 -- "$notes" 2>/dev/null
              [ -d "$notes" ] && [ ! -L "$notes" ] && [ -O "$notes" ] || fail "cannot keep notes in $notes"
            }
            make_keep() {
              trouble=$(make_state) || fail "cannot keep notes: $trouble" "set pawl_state_dir to another directory"
              [ -d "$keep" ] || mkdir -m 700 -- "$keep" || fail "cannot make $keep"
            }
            found() {
              if read -r word rest 2>/dev/null <"$keep/$KEY.found" && [ "$word" = "$RUN" ]; then printf '%s' "$rest"; fi
            }
            forget_note() { rm -f -- "$note"; sync -- "$keep" 2>/dev/null; }
            write_note() {
              make_keep
              printf '%s\n' "run=$RUN" "clean=$1" "proof=$2" >"$note.new" && mv -f -- "$note.new" "$note" ||
                fail "cannot write $note"
            }
            tell() { say up "$up"; say state "$shown"; say pid "$pid"; say instance "$instance"; }
            alive() { [ "$1" != 0 ] && [ -d "/proc/$1" ] && [ "$(birth "$1")" = "$2" ]; }
            birth() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }
            nap() { sleep 0.2 2>/dev/null || sleep 1; }
            goes_down() { [ -d /run/systemd/system ] && [ "$(systemctl is-system-running 2>/dev/null)" = stopping ]; }

            """#

    private static let lookBody = #"""
        look_now; tell
        held=no
        if [ -f "$note" ] && [ "$(noted run)" = "$RUN" ] && is_held; then held=yes; fi
        if left_behind; then say left_behind yes; fi
        say held "$held"; say clean "$(noted clean)"
        if [ -f "$notes/$KEY.restart" ]; then
          read -r word rest <"$notes/$KEY.restart"
          if [ "$word" = "$RUN" ]; then say restarted "$rest"; fi
        fi
        """#

    /// Tells what was looked at last; what follows it is not waited for.
    private static let tellBody = #"""
        tell
        forget_hold
        """#

    private static let stopBody = #"""
        look_now
        if [ "$up" = no ] && [ -f "$note" ] && [ "$(noted run)" = "$RUN" ] && is_held && [ "$(noted clean)" = yes ]; then
          tell; say clean yes; say proof "$(noted proof)"; exit 0
        fi
        # What a shutdown has stopped is not found stopped: it would be left so when the step is taken back.
        if [ "$up" != yes ] && goes_down; then
          fail "this node is going down, and has stopped $UNIT" "wait until it is up again, then \`pawl resume\`"
        fi
        if [ "$up" = no ] && [ -n "$MUST" ]; then
          judge_found
          [ "$clean" = yes ] || fail "$UNIT is stopped already, and how it ended is not known: $proof" \
            "start it, see that it is healthy, and let pawl stop it"
        fi
        was=$up
        make_keep
        if [ -z "$(found)" ]; then printf '%s %s\n' "$RUN" "$was" >"$keep/$KEY.found"; fi
        hold
        write_note no ""
        if [ "$up" != no ]; then
          old=$pid; old_birth=$(birth "$pid")
          ordered=$(milliseconds)
          order_stop
          judge_stop
        elif [ -z "$MUST" ]; then
          clean=unknown; proof="it did not run"
        else
          # It ended between the first look and the hold.
          judge_found
        fi
        write_note "$clean" "$proof"
        if [ -n "$MUST" ] && [ "$clean" != yes ]; then
          fail "$UNIT did not stop cleanly: $proof" \
            "do not migrate: what etcd had not flushed would be lost for good; start it, and find out why it does not stop"
        fi
        # The judgement has looked at it, behind the hold.
        tell
        [ "$up" = no ] || fail "$UNIT runs again after it was stopped" "something starts it: find and stop that first"
        say clean "$clean"; say proof "$proof"
        if [ -n "${ordered-}" ]; then
          took=$(($(milliseconds) - ordered)); say since_order "$took"; say milliseconds "$took"
        fi
        """#

    private static let startFunction = #"""
        start_it() {
          look_now
          if [ "$up" = yes ] && ! is_held; then say already yes; forget_note; return; fi
          began=$(milliseconds)
          release
          order_start
          settled || {
            last_words
            fail "$UNIT did not start: $trouble" "it is not held down any more"
          }
          say milliseconds "$(($(milliseconds) - began))"
        }

        """#

    private static let unstopBody = #"""
        if [ "$(found)" = no ]; then
          release; say left stopped; look_now
        else
          start_it
        fi

        """#

    /// Stop and start by themselves, not `systemctl restart`, because a restart hides how the old process ended.
    private static let restartFunction = #"""
        restart_it() {
          look_now
          if [ "$up" = yes ] && ! is_held; then
            old=$pid; old_birth=$(birth "$pid"); old_instance=$instance
            order_stop
            judge_stop
          else
            old_instance=; clean=yes; proof="it did not run before"
          fi
          start_it
          look_now
          [ "$instance" != "$old_instance" ] || fail "$UNIT is still the old process"
          make_notes
          printf '%s %s %s\n' "$RUN" "$STEP" "$instance" >"$notes/$KEY.restart"
          say clean "$clean"; say proof "$proof"
        }

        """#

    private static let restartTwiceBody = #"""
        lack=; advice=
        look_now
        look_before
        trap 'forget_setting; at_end' EXIT
        setting=$SETTING
        told=$(restart_it); code=$?
        # For nothing that is started later.
        setting=; forget_setting
        if [ "$code" != 0 ]; then
          words=$(printf '%s\n' "$told" | sed -n 's/^error=//p' | head -n 1)
          start_it
          fail "with $SETTING: $words" "$UNIT runs again without it"
        fi
        printf '%s\n' "$told"
        wait_between
        restart_it
        [ -z "$lack" ] || fail "$lack" "$advice"

        """#
}
