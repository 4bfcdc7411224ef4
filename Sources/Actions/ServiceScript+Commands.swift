// SPDX-License-Identifier: Apache-2.0

/// The side of a ``ServiceScript`` that uses the operator's own commands.
extension ServiceScript {
    /// The functions over `START`, `STOP` and `STATUS`.
    ///
    /// What the commands print goes to a file: a service that keeps the standard output of its start command open
    /// would otherwise keep the step waiting. Such a service cannot be held down by pawl; that nothing starts it again
    /// is seen by the steps after it, which refuse data that is in use.
    static let ownCommands = #"""
        work=$(mktemp -d) || fail "no temporary directory"
        trap 'rm -rf -- "$work"' EXIT
        do_command() { timeout "$2" /bin/sh -c "$1" >"$work/out" 2>&1 </dev/null; }
        words() { tail -n 2 "$work/out" | cut -c 1-200 | tr '\n' ' '; }
        look_now() {
          do_command "$STATUS" 30
          code=$?; shown="status $code"; pid=0; instance=$(cat "$notes/$KEY.instance" 2>/dev/null)
          case "$code" in
            0) up=yes ;; 3) up=no ;;
            *) fail "the status command of $UNIT ended with $code: $(words)" "it must exit with 0 (runs) or 3 (stopped)" ;;
          esac
        }
        is_held() { [ -f "$note" ]; }
        hold() { make_keep; : >>"$note"; }
        release() { forget_note; }
        left_behind() { false; }
        forget_hold() { :; }
        order_stop() { do_command "$STOP" "$WITHIN"; stop_code=$?; stop_words=$(words); }
        judge_stop() {
          look_now
          clean=no
          if [ "$stop_code" = 124 ]; then proof="the stop command did not end within $WITHIN s"
          elif [ "$stop_code" != 0 ]; then proof="the stop command ended with $stop_code: $stop_words"
          elif [ "$up" != no ]; then proof="the stop command ended with 0, and the service still runs"
          else clean=yes; proof="the stop command ended with 0, and the status is stopped"; fi
        }
        judge_found() { clean=no; proof="commands of one's own do not tell how a service ended"; }
        order_start() {
          if [ -n "${setting-}" ]; then export "${setting?}"; fi
          do_command "$START" "$WITHIN"; start_code=$?
          cp "$work/out" "$work/start"
        }
        forget_setting() { unset "${SETTING%%=*}"; }
        at_end() { rm -rf -- "$work"; }
        settled() {
          if [ "$start_code" = 124 ]; then trouble="the start command did not end within $WITHIN s"; return 1; fi
          if [ "$start_code" != 0 ]; then trouble="the start command ended with $start_code: $(words)"; return 1; fi
          tries=0
          look_now
          while [ "$up" != yes ] && [ "$tries" -lt 20 ]; do nap; look_now; tries=$((tries + 1)); done
          if [ "$up" = yes ]; then nap; look_now; fi
          trouble="the start command ended with 0, and the status is stopped"
          [ "$up" = yes ] || return 1
          make_notes
          printf '%s %s\n' "$RUN" "$(milliseconds)" >"$notes/$KEY.instance"
        }
        last_words() {
          if [ -f "$work/start" ]; then tail -n 5 "$work/start" | cut -c 1-300 | sed 's/^/log=/'; fi
        }

        """#
}
