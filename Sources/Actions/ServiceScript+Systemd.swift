// SPDX-License-Identifier: Apache-2.0

/// The systemd side of a ``ServiceScript``.
extension ServiceScript {
    /// The functions over `systemctl`.
    ///
    /// A stopped unit is held down by a drop-in with an assertion that fails as long as pawl's note is there. Both are on
    /// disk, so that a reboot in the middle of a migration does not start etcd on half of it; where `/etc` cannot be
    /// written to, the drop-in is below `/run`, and does not outlive one. `systemctl mask --runtime` would not do: it has no effect on a unit file in `/etc`, and it takes the
    /// settings of a running unit away (`ExecStop=`, `KillSignal=`, `TimeoutStopSec=`), so that the stop itself would
    /// be another one. Removing the note is enough to allow the start, so no `daemon-reload` lies in the outage; the one
    /// that forgets the drop-in, which does nothing any more, goes on behind the step, a second later, when the member has its
    /// quorum again. It loads what the disk holds when
    /// it runs, so one that is late does not undo a later hold.
    ///
    /// Properties are read as `NAME=value` because `--value` came with systemd 230, and CentOS 7 has 219; there
    /// `InvocationID` is missing and the start time stands in for it. A unit that did not fail may be forgotten by
    /// systemd as soon as it has stopped; one that failed is kept (`CollectMode=inactive`, systemd.unit(5)). So an
    /// inactive unit with the result `success` did not fail, and its exit status is looked at where it is still known.
    ///
    /// The journal knows the unit of a line from the process that sent it, as long as there is one: the lines of an etcd
    /// that dies at once belong to no unit where the journal is slow. Its process number is always with them.
    static let systemd = #"""
        dropin=/etc/systemd/system/$UNIT.d/99-pawl-hold.conf
        [ -w /etc/systemd/system ] || dropin=/run/systemd/system/$UNIT.d/99-pawl-hold.conf
        look_now() {
          props=$(systemctl show -p LoadState -p ActiveState -p SubState -p MainPID -p Result -p ExecMainCode \
            -p ExecMainPID -p ExecMainStatus -p ExecMainStartTimestampMonotonic -p InvocationID -p NRestarts -p Type -p ControlGroup \
            -p DropInPaths -- "$UNIT") || fail "systemctl does not answer on this node" "is systemd its init?"
          LoadState=; ActiveState=; SubState=; MainPID=0; Result=; ExecMainCode=0; ExecMainPID=0; ExecMainStatus=0
          ExecMainStartTimestampMonotonic=0; InvocationID=; NRestarts=0; Type=; ControlGroup=; DropInPaths=
          while IFS='=' read -r key value; do
            case "$key" in
              LoadState) LoadState=$value ;; ActiveState) ActiveState=$value ;; SubState) SubState=$value ;;
              MainPID) MainPID=$value ;; Result) Result=$value ;; ExecMainCode) ExecMainCode=$value ;;
              ExecMainPID) ExecMainPID=$value ;; ExecMainStatus) ExecMainStatus=$value ;; Type) Type=$value ;; ControlGroup) ControlGroup=$value ;;
              ExecMainStartTimestampMonotonic) ExecMainStartTimestampMonotonic=$value ;;
              InvocationID) InvocationID=$value ;; NRestarts) NRestarts=$value ;; DropInPaths) DropInPaths=$value ;;
            esac
          done <<PROPERTIES
        $props
        PROPERTIES
          case "$LoadState" in
            loaded) ;;
            masked) fail "$UNIT is masked, and not by pawl" "unmask it, or name the unit that runs etcd" ;;
            not-found) fail "there is no unit $UNIT on this node" "see systemctl list-units" ;;
            *) fail "$UNIT cannot be loaded ($LoadState)" "see systemctl status $UNIT" ;;
          esac
          shown=$ActiveState/$SubState; pid=$MainPID; instance=${InvocationID:-$ExecMainStartTimestampMonotonic}
          case "$ActiveState" in
            active) up=yes ;; inactive|failed) up=no ;; *) up=unknown ;;
          esac
        }
        is_held() {
          case " $DropInPaths " in *" $dropin "*) [ -f "$note" ] ;; *) return 1 ;; esac
        }
        hold() {
          make_keep; : >>"$note"
          word=Assert
          if [ -z "$InvocationID" ]; then
            version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
            if [ "${version:-0}" -lt 218 ]; then word=Condition; fi
          fi
          mkdir -p -m 755 -- "${dropin%/*}"
          path=$note
          case "$path" in *%*) path=$(printf '%s' "$note" | sed 's/%/%%/g') ;; esac
          printf '%s\n' "# pawl holds this unit down during a migration (run $RUN)." "[Unit]" \
            "${word}PathExists=!$path" >"$dropin" && chmod 644 "$dropin" || fail "cannot write $dropin"
          sync -- "$note" "$keep" "$dropin" "${dropin%/*}" || fail "cannot flush $dropin"
          systemctl daemon-reload || fail "systemctl daemon-reload failed"
          look_now
          is_held || fail "systemd does not read $dropin, so $UNIT could be started by others" "see systemctl cat $UNIT"
        }
        release() { forget_note; }
        left_behind() { [ -e "$dropin" ]; }
        forget_hold() {
          if left_behind; then
            rm -f -- "$dropin"; rmdir -- "${dropin%/*}" 2>/dev/null
            { sleep 1; systemctl daemon-reload; } >/dev/null 2>&1 </dev/null &
          fi
        }
        order_stop() {
          cgroup=$ControlGroup
          timeout "$WITHIN" systemctl stop -- "$UNIT" >/dev/null 2>&1
          stop_code=$?
        }
        judge_end() {
          clean=no
          proof="result $Result, main process "
          case "$ExecMainCode" in
            0) proof="${proof}not kept by systemd" ;;
            1) proof="${proof}exited with $ExecMainStatus" ;;
            *) proof="${proof}killed by signal $ExecMainStatus" ;;
          esac
          case "$ActiveState/$Result/$ExecMainCode/$ExecMainStatus" in
            inactive/success/0/*|inactive/success/1/0|inactive/success/1/143|inactive/success/1/130) clean=yes ;;
            inactive/success/2/15|inactive/success/2/2) clean=yes ;;
          esac
        }
        judge_stop() {
          look_now
          judge_end
          if [ "$stop_code" = 124 ]; then clean=no; proof="it did not stop within $WITHIN s"; fi
          if [ "$ActiveState" != inactive ]; then clean=no; proof="$shown, $proof"; fi
          if alive "$old" "$old_birth"; then clean=no; proof="process $old is still there"; fi
          for procs in "/sys/fs/cgroup$cgroup/cgroup.procs" "/sys/fs/cgroup/systemd$cgroup/cgroup.procs"; do
            if [ -n "$cgroup" ] && [ "$cgroup" != / ] && { read -r _ <"$procs"; } 2>/dev/null; then
              clean=no; proof="processes of it are left"
            fi
          done
        }
        judge_found() {
          judge_end
          if [ "$ExecMainStartTimestampMonotonic" = 0 ]; then clean=no; proof="it did not run since the node was booted"; fi
        }
        order_start() {
          restarts=$NRestarts
          if [ -n "${setting-}" ]; then systemctl set-environment "$setting" || fail "systemctl set-environment failed"; fi
          start_unit
          if [ "$start_code" = 0 ]; then return; fi
          look_now
          if [ "$Result" != start-limit-hit ]; then return; fi
          # systemd did not try, for the sake of starts before this one: of other runs, or by hand.
          systemctl reset-failed -- "$UNIT" >/dev/null 2>&1
          restarts=0
          start_unit
        }
        start_unit() {
          timeout "$WITHIN" systemctl start -- "$UNIT" >/dev/null 2>&1
          start_code=$?
        }
        forget_setting() { systemctl unset-environment "${SETTING%%=*}" 2>/dev/null; }
        at_end() { :; }
        settled() {
          look_now; first=$pid; count=$NRestarts
          if [ "$up" = yes ]; then
            case "$Type" in notify*) ;; *) nap; look_now ;; esac
          fi
          trouble="systemd shows it $shown, result $Result"
          if [ "$start_code" = 124 ]; then trouble="it was not up within $WITHIN s, and is $shown"; fi
          [ "$start_code" = 0 ] && [ "$up" = yes ] && [ "$pid" = "$first" ] && [ "${NRestarts:-0}" = "${count:-0}" ] &&
            [ "${count:-0}" -le "${restarts:-0}" ]
        }
        last_words() {
          timeout 5 journalctl --sync >/dev/null 2>&1
          lines=$(timeout 5 journalctl -b "_SYSTEMD_UNIT=$UNIT" + "_PID=$ExecMainPID" -n 5 --no-pager -q -o cat 2>/dev/null | cut -c 1-300)
          if [ -z "$lines" ]; then
            lines=$(timeout 5 journalctl -u "$UNIT" -n 5 --no-pager -q -o cat 2>/dev/null | cut -c 1-300)
          fi
          if [ -n "$lines" ]; then printf '%s\n' "$lines" | sed 's/^/log=/'; fi
        }

        """#
}
