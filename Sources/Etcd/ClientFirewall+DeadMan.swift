// SPDX-License-Identifier: Apache-2.0

/// The dead-man timer: what opens the ports again when nobody renews the rule.
extension ClientFirewall {
    /// Shell functions `write_watch`, `start_watch` (sets `trouble`), `stop_watch`, `is_watched`, `put_off`, `forget`.
    ///
    /// To renew is to replace one file, so that there is no moment without a timer. What reads it is a script of its own
    /// on the node, which holds all that it needs: a timer of systemd runs it again and again (one that was killed is
    /// simply run the next time), or a loop where there is no systemd. The time is counted from the boot, so that a clock
    /// that is set neither opens the ports nor keeps them closed.
    static let watch = #"""
        put_off() {
          printf '%s\n' "$(($(uptime_now) + DEAD_MAN))" >"$until.$$" && mv -f -- "$until.$$" "$until" ||
            fail "cannot write $until"
        }
        has_systemd() { [ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1; }
        # A zombie has its entry still.
        alive() {
          fields=$(sed 's/.*) //' "/proc/${1:-none}/stat" 2>/dev/null)
          case $fields in ''|Z*) return 1 ;; esac
          [ "$(printf '%s' "$fields" | cut -d ' ' -f 20)" = "$2" ]
        }
        is_watched() {
          if has_systemd; then systemctl is-active --quiet "$UNIT.timer"; return; fi
          read -r pid birth 2>/dev/null <"$watcher" && alive "$pid" "$birth"
        }
        stop_watch() {
          if has_systemd; then systemctl stop "$UNIT.timer" >/dev/null 2>&1; fi
          # A loop ends by itself when its file is gone.
          rm -f -- "$watcher"
        }
        start_watch() {
          stop_watch
          every=$((DEAD_MAN / 10)); [ "$every" -ge 1 ] || every=1; [ "$every" -le 15 ] || every=15
          if has_systemd; then
            systemctl reset-failed "$UNIT.service" >/dev/null 2>&1
            trouble=$(systemd-run --quiet --unit="$UNIT" --on-active="$every" --on-unit-active="$every" \
              --timer-property=AccuracySec=1s --description="pawl: opens the client ports of etcd when run $RUN is gone" \
              /bin/sh "$watch" due 2>&1)
          else
            setsid sh "$watch" loop "$every" >/dev/null 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
            n=0
            until is_watched; do
              n=$((n + 1))
              [ "$n" -lt 50 ] || { trouble="its loop does not start"; return 1; }
              sleep 0.1 2>/dev/null || sleep 1
            done
          fi
        }
        forget() {
          stop_watch
          rm -f -- "$note" "$rules" "$until" "$watch" "$keep/$KEY.refuses" "$keep/$KEY.new"
        }
        quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }
        write_watch() {
          {
            echo "# Written by pawl. It opens the client ports of etcd: at once with the word open, else when nobody renews them."
            printf '%s\n' "RUN=$(quoted "$RUN")" "KEY=$(quoted "$KEY")" "MARK=$MARK" "WITH=$tool" "state=$(quoted "$state")"
            cat <<'PAWL_WATCH'
        \#(NodeReport.prelude + places + rules + loop)
        PAWL_WATCH
          } >"$watch.new" && mv -f -- "$watch.new" "$watch" || fail "cannot write $watch"
        }

        """#

    /// What the script on the node does; `due` looks once whether the time is over.
    private static let loop = #"""
        tool=$WITH
        open_now() {
          rules_remove "$tool"
          [ -z "$(rules_left)" ] || return 1
          rm -f -- "$note" "$rules" "$until" "$keep/$KEY.refuses" "$watcher" "$0"
        }
        due() {
          [ -f "$until" ] && [ "$(uptime_now)" -ge "$(cat "$until")" ]
        }
        lift() {
          run=$(noted run)
          open_now || return 1
          printf '%s\n' "$run $(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$lifted"
          logger -t pawl "the controller of run $run is gone: the client ports of etcd are open again" 2>/dev/null
        }
        over() { if [ -d /run/systemd/system ]; then systemctl stop "pawl-thaw-$MARK.timer" 2>/dev/null; fi; exit "$1"; }
        case ${1-due} in
          open) open_now || exit 1; over 0 ;;
          due)
            [ -f "$until" ] || over 0
            if due; then lift || exit 1; over 0; fi ;;
          loop)
            birth=$(sed 's/.*) //' "/proc/$$/stat" | cut -d ' ' -f 20)
            printf '%s\n' "$$ $birth" >"$watcher"
            while sleep "$2"; do
              read -r pid rest 2>/dev/null <"$watcher" && [ "$pid" = "$$" ] || exit 0
              if due && lift; then exit 0; fi
            done ;;
        esac
        """#
}
