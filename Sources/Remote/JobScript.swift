// SPDX-License-Identifier: Apache-2.0

/// The node's part of jobs: POSIX shell with `flock`, `setsid` and `timeout`, and few forks.
///
/// What the files mean, and why no moment of a crash makes them lie, is in docs/design/jobs.md.
struct JobScript {
    var id: JobID
    var state: NodeState
    /// Tells this command's own words from those of the job.
    var nonce: String

    /// The most that is read of each of a job's streams; a job that printed more is in doubt.
    static let longestOutput = 64 << 20

    /// Begins the job and follows it to its end, in one command.
    func begin(_ command: RemoteCommand) -> RemoteCommand {
        let seconds = max(1, command.timeout.components.seconds)
        let values: KeyValuePairs = [
            "job_label": Self.line(command.label), "job_limit": String(seconds), "job_runner": Self.runner,
            "job_script": command.script,
        ]
        var begin = RemoteCommand(
            command.label,
            script: head + values.map { "\($0.key)=\(ShellQuoting.quote($0.value))\n" }.joined() + Self.beginning
                + "job_follow yes\n",
            effect: .mutating,
            // The node ends the job at its deadline, and that end is to be seen.
            timeout: command.timeout + .seconds(15)
        )
        begin.asksAgain = true
        return begin
    }

    /// Finds out what became of the job, and makes sure that it does not begin any more when it has not.
    ///
    /// It changes nothing but the job's own files, so it needs no guard.
    ///
    /// - Parameters:
    ///   - waits: whether to wait for the end of a job that is running.
    ///   - timeout: of the look.
    /// - Returns: a command whose answer `JobReport` reads.
    func attach(waits: Bool, timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "attach to the job \(id)",
            script: head + "job_follow \(waits ? "yes" : "no")\n",
            effect: .readOnly,
            timeout: timeout
        )
    }

    /// A text as one line.
    private static func line(_ text: String) -> String {
        String(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : Character($0) })
    }

    private var head: String {
        state.shell + """
            job_id=\(ShellQuoting.quote(id.directoryName))
            job_run=\(ShellQuoting.quote(JobID.prefix(ofRun: id.run)))
            job_nonce=\(nonce)
            job_most=\(Self.longestOutput)

            """ + Self.following
    }

    /// Functions of every command about a job.
    ///
    /// - `job_claim TEXT`: creates `intent`, which only one can (`O_EXCL`): either the starter, with the lock on
    ///   `alive` in its hands, or somebody who then may say that the job never begins. `job_claimed` is 1 when another
    ///   has, and 2 when the text could not be written. Who dies between the two leaves an empty one; so the boot, by
    ///   which is known whether files may have been lost since, stands in `alive` before.
    /// - `job_has_ended`: whether `exit` is whole: `CODE NONCE BEGAN ENDED NONCE`.
    /// - `job_call_off`: claims a job that nobody is about to begin.
    /// - `job_follow yes|no`: tells the state of the job, after its end if so wanted, and ends the script. While it
    ///   waits it shows the last line of what the job prints; `flock` returns in the moment in which the job ends.
    private static let following = #"""
        job_dir=$state/jobs/$job_id
        job_mark() { printf '\036%s %s\n' "$job_nonce" "$1"; }
        job_end() { job_mark "$1"; exit "${2-75}"; }
        job_claim() {
          job_claimed=1
          set -C
          { job_claimed=0; printf '%s\n' "$1" >&6 || job_claimed=2; } 2>/dev/null 6>"$job_dir/intent"
          set +C
          return "$job_claimed"
        }
        job_holds() {
          if [ ! -f "$job_dir/alive" ]; then return 1; fi
          exec 7<"$job_dir/alive"
          flock -s "$@" 7; job_free=$?
          exec 7<&-
          case "$job_free" in 0) return 1 ;; 1) return 0 ;; esac
          job_end "in-doubt cannot test the lock of $job_dir/alive: flock (util-linux) ended with $job_free"
        }
        job_copy() {
          if [ ! -f "$job_dir/$1" ]; then job_end "in-doubt what it printed is gone"; fi
          if [ ! -s "$job_dir/$1" ]; then return; fi
          head -c "$((job_most + 1))" -- "$job_dir/$1" || job_end "in-doubt what it printed cannot be read"
        }
        job_news() {
          job_file=$job_dir/stdout
          if [ "$job_dir/stderr" -nt "$job_file" ]; then job_file=$job_dir/stderr; fi
          job_line=$(tail -c 300 -- "$job_file" 2>/dev/null)
          : "${job_return=$(printf '\r')}"
          job_line=${job_line##*"$job_newline"}; job_line=${job_line##*"$job_return"}
          job_beat=$((job_beat + 1))
          # Now and then without news too, so that this ends when nobody listens any more.
          if [ "$job_line" != "$job_told" ] || [ $((job_beat % 10)) = 0 ]; then job_mark "live $job_line"; fi
          job_told=$job_line
        }
        job_has_ended() {
          job_code=; job_key=; job_seal=
          { read -r job_code job_key job_began job_ended job_seal <"$job_dir/exit"; } 2>/dev/null
          [ -n "$job_seal" ] && [ "$job_seal" = "$job_key" ]
        }
        job_note_boot() {
          job_boot=
          { while read -r job_key; do job_boot=$job_key; done <"$job_dir/alive"; } 2>/dev/null
          read -r job_now </proc/sys/kernel/random/boot_id
        }
        job_judge() {
          if grep -qsx void=yes "$job_dir/intent"; then job_end "not-begun it was called off before it began"; fi
          job_note_boot
          if [ "$job_boot" != "$job_now" ]; then job_end "in-doubt the node went down before the job had ended"; fi
          if [ ! -f "$job_dir/pid" ]; then job_end "not-begun what was to begin it was cut off"; fi
          job_end "in-doubt it was killed, and its end is not known"
        }
        job_call_off() {
          if grep -qsxF -- "$job_run" "$state/jobs/swept"; then
            job_end "in-doubt old jobs of this run were cleaned up on the node"
          fi
          read -r job_now </proc/sys/kernel/random/boot_id
          [ -s "$job_dir/alive" ] || (umask 077; printf '%s\n' "$job_now" >>"$job_dir/alive") 2>/dev/null
          job_claim void=yes
          if [ "$job_claimed" != 1 ]; then job_end "not-begun it was called off before it began"; fi
          [ -f "$job_dir/intent" ] || job_end "in-doubt $job_dir cannot be written"
        }
        job_follow() {
          job_newline='
        '; job_told=; job_beat=0
          if [ ! -d "$job_dir" ]; then
            make_state >/dev/null || job_end "in-doubt $(make_state)"
            (umask 077; mkdir -p -- "$job_dir") || job_end "in-doubt $job_dir cannot be made"
          fi
          until job_has_ended; do
            if [ "$1" = yes ]; then set -- yes -w 1; else set -- no -n; fi
            if ! job_holds "$2" ${3+"$3"}; then
              if job_has_ended; then break; fi
              if [ -f "$job_dir/intent" ]; then job_judge; fi
              job_call_off
              continue
            fi
            if [ "$1" = no ]; then job_end running; fi
            job_news
          done
          if [ ! -f "$job_dir/flushed" ]; then
            job_note_boot
            [ "$job_boot" = "$job_now" ] || job_end "in-doubt the node went down as it ended; what it printed may be lost"
          fi
          job_mark out
          job_copy stdout
          job_mark err >&2
          job_copy stderr >&2
          job_end "ended $job_code $job_began $job_ended" "$job_code"
        }

        """#

    /// Begins the job, unless it is there already.
    ///
    /// The lock on `alive` is taken first and handed down to the job: from the moment in which `intent` is there, an
    /// `alive` without a lock means that nobody is left who could begin it. The names are brought to the disk before
    /// the job begins; what stands in the files may be lost with the node, and then is missed. `exit` is filled
    /// beforehand, so that the end can be written on a disk that has become full.
    ///
    /// - `job_is_kept`: whether a process that is left behind outlives the connection: not where sshd has a unit of its
    ///   own for each, and not in a session that logind clears (`KillUserProcesses=yes`). Only there is the job put into
    ///   a scope of its own, which costs a call to systemd (some 20 ms where `setsid` takes 2).
    /// - `job_detach WORDS`: not with `&` where that can be, because the shell would make the job ignore SIGINT.
    private static let beginning = #"""
        job_is_kept() {
          if [ ! -w /run/systemd/system ]; then return 0; fi
          while read -r job_cgroup; do
            case "$job_cgroup" in
              0::*/ssh*@*.service|*:name=systemd:*/ssh*@*.service) return 1 ;;
              0::*/session-*.scope|*:name=systemd:*/session-*.scope)
                ! grep -qsiE '^[[:space:]]*KillUserProcesses[[:space:]]*=[[:space:]]*(yes|true|on|1)' \
                  /etc/systemd/logind.conf /etc/systemd/logind.conf.d/*.conf /run/systemd/logind.conf.d/*.conf \
                  /usr/lib/systemd/logind.conf.d/*.conf; return ;;
            esac
          done </proc/self/cgroup
        }
        job_detach() {
          if ! job_is_kept && systemd-run --scope --quiet -- setsid -f "$@"; then return; fi
          setsid -f "$@" || { setsid "$@" & }
        }
        job_full() { job_end "refused $job_dir cannot be written: is its disk full?"; }
        make_state >/dev/null || job_end "refused $(make_state)"
        job_fresh=
        if [ ! -d "$state/jobs" ]; then job_fresh=$state; fi
        job_umask=$(umask); umask 077
        mkdir -p -- "$job_dir" 2>/dev/null || job_full
        printf '' >>"$job_dir/alive" || job_full
        exec 8>>"$job_dir/alive"
        flock -n 8; job_free=$?
        case "$job_free" in
          0)
            read -r job_now </proc/sys/kernel/random/boot_id
            printf '%s\n' "$job_now" >&8 || job_full
            job_claim "label=$job_label
        job=$job_id
        limit=$job_limit
        nonce=$job_nonce" ;;
          1) job_claimed=1 ;;
          *) job_end "refused cannot lock $job_dir/alive: flock (util-linux) ended with $job_free" ;;
        esac
        if [ "$job_claimed" != 1 ]; then
          { [ "$job_claimed" = 0 ] && printf '%s\n' "$job_script" >"$job_dir/script" &&
            printf '%-120s\n' - >"$job_dir/exit" && printf '' >"$job_dir/stdout" && printf '' >"$job_dir/stderr"
          } 2>/dev/null || { rm -rf -- "$job_dir"; job_full; }
          sync -- "$job_dir" "$state/jobs" ${job_fresh:+"$job_fresh"} 2>/dev/null || sync
          # The disk may have stood still for long.
          if command -v guard_again >/dev/null; then guard_again; fi
          set -- sh -c "$job_runner" pawl-job "$job_dir" "$job_limit" "$job_nonce" "$job_umask"
          job_detach "$@" </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 9>&-
        fi
        exec 8>&-
        umask "$job_umask"

        """#

    /// The job's own shell: `DIRECTORY LIMIT NONCE UMASK`, with the lock on `alive` as descriptor 8.
    ///
    /// A hangup is caught and not ignored, because what it starts would inherit that. `pid` is written before the
    /// script's first command, and nothing is begun when it cannot be. The end is written in one piece with a seal
    /// behind it, and told at once; that it is on the disk with all the output is said by `flushed`, which only counts
    /// when the node went down meanwhile.
    private static let runner = #"""
        trap : HUP
        read -r stat </proc/$$/stat
        read -r began rest </proc/uptime
        set -- "$@" ${stat##*) }
        { printf '%s %s\n' "$$" "${23}" >"$1/pid"; } 2>/dev/null || { rm -f -- "$1/pid"; exit; }
        umask "$4"
        timeout -k 10 "$2" /bin/sh "$1/script" >>"$1/stdout" 2>>"$1/stderr"
        code=$?
        read -r ended rest </proc/uptime
        umask 077
        printf '%-119s\n' "$code $3 $began $ended $3" 1<>"$1/exit"
        exec 8>&-
        { sync -- "$1/stdout" "$1/stderr" "$1/exit" 2>/dev/null || sync; } && : >"$1/flushed" && sync -- "$1" 2>/dev/null

        """#
}
