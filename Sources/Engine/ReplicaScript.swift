// SPDX-License-Identifier: Apache-2.0

import Journal
import Remote

/// The shell by which replicas come on a node, are read there and go again.
///
/// Of the node's state directory, `run` is the replica of a run that is open, and `last-run` the marker of the one that
/// ended there last.
struct ReplicaScript: Sendable {
    let state: NodeState
    /// The first line of this run's replicas.
    let header: String
    /// First lines of other runs' replicas, which may be written over: those runs are known to have ended.
    var stale: [String] = []

    /// In place of a replica: what follows must not write the end of a command to it.
    static let nothing = "replica_written=; replica_turn="

    /// When a command's turn is: a step is done, taken back, done again.
    struct Turn: Sendable {
        var run: String
        var step: String
        /// Higher than that of any earlier one of the step.
        var number: Int
    }

    // MARK: - In front of a command

    /// Refuses unless the node is free of other runs; the whole file is written beside, flushed and renamed, and its new
    /// name is flushed.
    func replacing(with text: String, _ turn: Turn, mustSucceed: Bool) -> String {
        beginning + turns(turn)
            + """
            if ! make_state >/dev/null; then replica_why=$(make_state); elif replica_take && replica_mine ''; then
              if (umask 077; printf %s \(ShellQuoting.quote(text)) >"$state/run.new" && sync "$state/run.new") 2>/dev/null &&
                replica_demand && { mv -f -- "$state/run.new" "$state/run" && sync "$state"; } 2>/dev/null
              then replica_written=yes; else replica_why="$state/run cannot be written; is the disk full?"; fi
            fi

            """ + end(mustSucceed)
    }

    /// Refuses unless the node has the replica that is to grow; the new line is flushed.
    func appending(_ text: String, _ turn: Turn, mustSucceed: Bool) -> String {
        state.path + ownership + turns(turn)
            + """
            if replica_take && replica_mine "$state/run is not there any more"; then
              if { printf %s \(ShellQuoting.quote(text)) >>"$state/run" && sync "$state/run"; } 2>/dev/null
              then replica_written=yes; else replica_why="$state/run cannot be written; is the disk full?"; fi
            fi

            """ + end(mustSucceed)
    }

    /// Behind the command: how it ended.
    ///
    /// Not flushed, because the node is asked what is true in any case; and only while the replica is there: a command that
    /// was left at work may end when the run has.
    var ending: String {
        "if [ -n \"$replica_written\" ] && replica_mine gone; then { "
            + ReplicaText.endingShell(code: "\"$guard_code\"", file: "\"$state/run\"")
            + "; } 2>/dev/null || :; fi"
    }

    /// Defines `replica_take`, which puts the turn on the node, and `replica_demand`, which refuses where a later one has
    /// come while this command waited for the disk: its controller has given it up then.
    ///
    /// What never reaches the disk is not missed: of what waits on a node nothing is left when that goes down. Where its
    /// own line is not there any more, the run has ended. A line begins anew, for one that a full disk has cut short.
    private func turns(_ turn: Turn) -> String {
        """
        replica_turn=
        replica_step=\(ShellQuoting.quote("\(turn.run) \(turn.step)"))
        replica_take() {
          [ -e "$state/turns" ] || (umask 077; : >>"$state/turns") 2>/dev/null
          if { printf '\\n%s %s\\n' \(turn.number) "$replica_step" >>"$state/turns"; } 2>/dev/null
          then replica_turn=\(turn.number); return; fi
          replica_why="$state/turns cannot be written; is the disk full?"
          return 1
        }
        replica_turns() {
          replica_seen=1
          while read -r replica_number replica_line; do
            if [ "$replica_line" != "$replica_step" ]; then continue; fi
            if [ "$replica_number" -gt "$replica_turn" ]; then return 1; fi
            if [ "$replica_number" = "$replica_turn" ]; then replica_seen=0; fi
          done <"$state/turns"
          return "$replica_seen"
        }
        replica_demand() {
          replica_turns 2>/dev/null ||
            guard_refuse "not begun, because it waited until the step was taken back or begun anew" "" unrecorded
        }

        """
    }

    /// Looks once more whose turn it is.
    ///
    /// A command that takes something back and could not be put on record goes on.
    static let demandTurn = "[ -z \"$replica_turn\" ] || replica_demand\n"

    private var beginning: String { state.shell + ownership }

    private func end(_ mustSucceed: Bool) -> String {
        let refusal =
            "guard_refuse \"not begun, because the run cannot be put on record on the node: $replica_why\""
            + " \"$replica_remedy\" \"$replica_kind\""
        return mustSucceed ? "[ -n \"$replica_written\" ] || \(refusal)\n" : ""
    }

    /// Defines `replica_mine ABSENT`, which says in `replica_why` when `run` is another run's, or what to complain of
    /// where there is none.
    ///
    /// Another run's replica fences like a lost lock: nothing is taken back either. Anything else is a plain failure.
    /// The first line is read without a further process.
    private var ownership: String {
        let mine = ([header] + stale).map(ShellQuoting.quote).joined(separator: "|")
        return """
            \(Self.nothing)
            replica_kind=unrecorded
            replica_mine() {
              replica_remedy=
              if [ ! -e "$state/run" ]; then replica_why=$1; [ -z "$1" ]; return; fi
              replica_line=
              if [ -f "$state/run" ] && [ ! -L "$state/run" ]; then IFS= read -r replica_line <"$state/run" || :; fi
              case $replica_line in \(mine)) return 0 ;; esac
              replica_kind=fenced
              replica_why="$state/run is of another run, which is open"
              replica_remedy="pawl status -i INVENTORY shows it"
              return 1
            }

            """
    }

    // MARK: - At the end of a run

    /// Puts what standard input holds on a node that nothing is being done on: the whole replica of a run that stopped.
    var standing: String {
        beginning
            + """
            if ! make_state >/dev/null; then replica_why=$(make_state); elif replica_mine ''; then
              umask 077
              if cat >"$state/run.new" && sync "$state/run.new" && mv -f -- "$state/run.new" "$state/run" &&
                sync "$state"; then replica_written=yes; else replica_why="$state/run cannot be written"; fi
            fi
            [ -n "$replica_written" ] || { echo "$replica_why" >&2; exit 1; }

            """
    }

    /// Takes the replica off the node and leaves the marker; at no moment is there neither.
    ///
    /// A run that changed nothing leaves a marker only where it had begun something.
    func closing(_ marker: String, onlyWhereOpen: Bool) -> String {
        beginning
            + (onlyWhereOpen
                ? "[ -e \"$state/run\" ] || { [ ! -e \"$state/turns\" ] || rm -f \"$state/turns\"; exit 0; }\n" : "")
                + """
                if ! make_state >/dev/null; then replica_why=$(make_state); elif replica_mine ''; then
                  umask 077
                  if printf %s \(ShellQuoting.quote(marker)) >"$state/last-run.new" && sync "$state/last-run.new" &&
                    mv -f -- "$state/last-run.new" "$state/last-run" && rm -f -- "$state/run" "$state/run.new" "$state/turns" &&
                    sync "$state"; then replica_written=yes; else replica_why="$state/last-run cannot be written"; fi
                fi
                [ -n "$replica_written" ] || { echo "$replica_why" >&2; exit 1; }

                """
    }

    /// Takes the replica of a run that was given up off the node and leaves its marker; where it cannot be read, and so
    /// nobody knows which run it is of, it is put aside.
    static func givingUp(_ path: String, marker: String?) -> String {
        let file = ShellQuoting.quote(path)
        guard let marker else { return "mv -f -- \(file) \(file).unreadable" }
        let directory = path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        let (beside, turns) = (ShellQuoting.quote(directory + "/last-run"), ShellQuoting.quote(directory + "/turns"))
        return """
            umask 077
            printf %s \(ShellQuoting.quote(marker)) >\(beside).new && sync \(beside).new &&
              mv -f -- \(beside).new \(beside) && rm -f -- \(file) \(file).new \(turns)
            """
    }

    // MARK: - Reading

    /// Prints the files of the state directories of a node: `file PATH BYTES`, and then that many bytes and a newline.
    ///
    /// A step without `become` has its state where the login user has it, so that root looks there too. Nothing of a
    /// file that is no regular one is printed.
    static func reading(_ state: NodeState) -> String {
        state.path + """
            replica_show() {
              for replica_file in "$1/run" "$1/last-run"; do
                if [ ! -e "$replica_file" ]; then continue; fi
                if [ ! -f "$replica_file" ] || [ -L "$replica_file" ]; then printf 'odd %s\\n' "$replica_file"; continue; fi
                replica_size=$(wc -c <"$replica_file") || { printf 'odd %s\\n' "$replica_file"; continue; }
                [ "$replica_size" -le \(ReplicaText.mostBytes) ] || { printf 'odd %s\\n' "$replica_file"; continue; }
                printf 'file %s %s\\n' "$replica_size" "$replica_file"
                head -c "$replica_size" <"$replica_file"
                printf '\\n'
              done
            }
            replica_show "$state"
            case ${SUDO_USER-} in
              ''|*[!a-zA-Z0-9._-]*) ;;
              *) eval "replica_home=~$SUDO_USER"
                [ "$replica_home/.local/state/pawl" = "$state" ] || replica_show "$replica_home/.local/state/pawl" ;;
            esac

            """
    }
}
