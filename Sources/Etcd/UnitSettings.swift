// SPDX-License-Identifier: Apache-2.0

import Remote

/// Settings that etcd gets for one start, by a drop-in beside its unit.
///
/// etcd takes a setting from a flag or from the environment, and refuses to start with both (3.4, `pkg/flags`
/// `verifyEnv`). So a setting goes to where the unit has it: to the environment, by a file that is read behind the unit's own, or
/// to the command line, where of a repeated flag the last one counts.
package struct UnitSettings: Sendable, Hashable {
    /// Of the unit, with its suffix.
    package var unit: String
    /// By the names of the flags, as `initial-cluster`.
    package var values: [String: String]
    /// Flags that the member's command line has.
    package var flags: Set<String>

    package init(service: String, values: [String: String] = [:], flags: Set<String> = []) {
        unit = service.contains(".") ? service : service + ".service"
        self.values = values
        self.flags = flags
    }

    /// What would have to be quoted differently in each of the places that it goes through.
    package var isPlain: Bool {
        values.values.allSatisfy { value in
            value.unicodeScalars.allSatisfy { scalar in
                scalar.isASCII && scalar.value > 32 && !"\"'\\%$;`#".unicodeScalars.contains(scalar)
            }
        }
    }

    private var head: String {
        let sorted = values.sorted { $0.key < $1.key }
        let environment = sorted.filter { !flags.contains($0.key) }.map { name, value in
            "ETCD_" + name.uppercased().replacing("-", with: "_") + "=\"\(value)\""
        }
        let words = sorted.filter { flags.contains($0.key) }.map { "--\($0.key)=\($0.value)" }
        return NodeReport.prelude
            + NodeReport.assignments([
                "UNIT": unit, "ENVIRONMENT": environment.joined(separator: "\n"), "FLAGS": words.joined(separator: " "),
            ]) + Self.functions
    }

    /// Puts the settings in place, to be there at the next start.
    package func putCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "give \(unit) settings for one start",
            script: head + Self.put,
            effect: .mutating,
            timeout: timeout
        )
    }

    /// Takes them away; the process that was started with them goes on.
    package func removeCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand("take the settings of \(unit) away", script: head + "drop\n", effect: .mutating, timeout: timeout)
    }

    /// Whether they are there: `settings` is `yes` or `no`.
    package func findCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "look for settings of \(unit)",
            script: head + "if [ -e \"$dropin\" ]; then say settings yes; else say settings no; fi\n",
            effect: .readOnly,
            timeout: timeout
        )
    }

    /// How the running member was started: `flag` for each flag of its command line, `config` where it reads a file,
    /// `discovery` where it was bootstrapped by one, and `extensible` for whether flags can be added to the unit.
    package func lookCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand("look how \(unit) starts etcd", script: head + Self.look, effect: .readOnly, timeout: timeout)
    }

    private static let functions = #"""
        # systemd reads drop-ins in the order of their names; that of `systemctl edit` is override.conf.
        dropin=/etc/systemd/system/$UNIT.d/zzz-pawl-settings.conf
        settings=/etc/systemd/system/$UNIT.d/zzz-pawl-settings.env
        drop() {
          if [ -e "$dropin" ] || [ -e "$settings" ]; then
            rm -f -- "$dropin" "$settings"; rmdir -- "${dropin%/*}" 2>/dev/null
            systemctl daemon-reload || fail "systemctl daemon-reload failed"
          fi
        }
        exec_start() {
          systemctl cat -- "$UNIT" 2>/dev/null | awk '
            /^# \// { own = ($2 ~ /zzz-pawl-settings/) }
            own { next }
            { line = line $0; if (sub(/\\$/, " ", line)) next
              if (line ~ /^ExecStart=/) { sub(/^ExecStart=/, "", line); if (line == "") n = 0; else all[++n] = line }
              line = "" }
            END { if (n == 1) print all[1] }'
        }

        """#

    private static let put = #"""
        line=
        if [ -n "$FLAGS" ]; then
          line=$(exec_start)
          [ -n "$line" ] || fail "$UNIT has no single ExecStart to which flags could be added"
        fi
        mkdir -p -m 755 -- "${dropin%/*}" || fail "cannot make ${dropin%/*}"
        printf '%s\n' "$ENVIRONMENT" >"$settings" || fail "cannot write $settings"
        {
          printf '%s\n' "# pawl gives etcd these settings for one start." "[Service]" "EnvironmentFile=$settings"
          if [ -n "$line" ]; then printf '%s\n' "ExecStart=" "ExecStart=$line $FLAGS"; fi
        } >"$dropin" && chmod 644 "$dropin" "$settings" || fail "cannot write $dropin"
        sync -- "$dropin" "$settings"
        systemctl daemon-reload || fail "systemctl daemon-reload failed"
        case " $(systemctl show -p DropInPaths -- "$UNIT") " in
          *"$dropin"*) ;;
          *) fail "systemd does not read $dropin" "see systemctl cat $UNIT" ;;
        esac
        # What is read behind it, as a drop-in whose name sorts later, would win.
        case $(systemctl show -p ExecStart -- "$UNIT") in
          *"$FLAGS"*) ;;
          *) fail "$UNIT does not start etcd with $FLAGS" "see systemctl cat $UNIT" ;;
        esac
        case $(systemctl show -p EnvironmentFiles -- "$UNIT" | tail -n 1) in
          *"$settings"*) ;;
          *) fail "$UNIT reads another file of the environment behind $settings" "see systemctl cat $UNIT" ;;
        esac
        """#

    private static let look = #"""
        [ -d /run/systemd/system ] || fail "systemd is not the init of this node"
        pid=$(systemctl show -p MainPID -- "$UNIT"); pid=${pid#*=}
        [ "${pid:-0}" != 0 ] || fail "$UNIT does not run"
        name=$(cat "/proc/$pid/comm" 2>/dev/null)
        tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n 's/^--*\([a-z0-9-]*\).*/flag=\1/p' | sort -u
        if tr '\0' '\n' <"/proc/$pid/cmdline" | grep -q '^--*config-file' ||
          tr '\0' '\n' <"/proc/$pid/environ" | grep -q '^ETCD_CONFIG_FILE=.'; then say config yes; fi
        if tr '\0' '\n' <"/proc/$pid/cmdline" | grep -q '^--*discovery' ||
          tr '\0' '\n' <"/proc/$pid/environ" | grep -q '^ETCD_DISCOVERY\(_SRV\)\{0,1\}=.'; then say discovery yes; fi
        line=$(exec_start); word=${line%% *}
        case "${word##*/}" in "$name") say extensible yes ;; *) say extensible no ;; esac
        """#
}
