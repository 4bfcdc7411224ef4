// SPDX-License-Identifier: Apache-2.0

import Remote

/// Running `etcdctl migrate` on a stopped member, in one script.
extension Migration {
    /// How the migration is to be run.
    package struct Options: Sendable, Hashable {
        package var etcdctl: String
        /// Who owns the data.
        package var user: String
        package var noTTL: Bool
        package var attempt: Int
        package var timeout: Duration
        /// A program on the node that every key goes through.
        package var transformer: String?
        /// The db that is swapped in, where one was prepared.
        package var prepared: PreparedMigration.Record?

        package init(
            etcdctl: String,
            user: String,
            noTTL: Bool,
            attempt: Int,
            timeout: Duration,
            transformer: String? = nil,
            prepared: PreparedMigration.Record? = nil
        ) {
            self.transformer = transformer
            self.prepared = prepared
            self.etcdctl = etcdctl
            self.user = user
            self.noTTL = noTTL
            self.attempt = attempt
            self.timeout = timeout
        }
    }

    /// The command that migrates; ``MigrationOutcome`` reads its answer and judges.
    ///
    /// The tool gets a little less time than the step, so that its end is seen by the script and not only by the
    /// controller. That is so for each of its calls: one that never came back would keep the data's lock for ever.
    package func runCommand(_ options: Options) -> RemoteCommand {
        let values = NodeReport.assignments([
            "ETCDCTL": options.etcdctl, "AS": options.user, "NOTTL": options.noTTL ? "yes" : "",
            "ATTEMPT": String(options.attempt), "LIMIT": Self.limit(options.timeout),
            "TRANSFORMER": options.transformer ?? "", "PREPARED": options.prepared?.path ?? "",
            "IDENTITY": options.prepared?.identity ?? "",
            "REVISION": options.prepared.map { String($0.revisionBefore) } ?? "",
        ])
        return RemoteCommand(
            "etcdctl migrate on \(dataDir)",
            script: head + Transformer.shellFunctions + values + Self.lookScript + Self.checkScript + Self.beginScript
                + Self.swapScript
                + Self.migrateScript
                + Self.gateScript,
            effect: .mutating,
            timeout: options.timeout
        )
    }

    /// What each call of the tool gets of a step's time, in seconds.
    static func limit(_ timeout: Duration) -> String {
        let seconds = timeout.components.seconds
        return String(max(1, seconds - min(10, seconds / 4)))
    }

    /// The look at the backup's db, which nothing here changes, runs beside the checks: a start of etcdctl takes its time.
    private static let lookScript = #"""
        if [ -e "$saved" ]; then
          status_of "$saved" >"$work/before" 8>&- &
          status=$!
        else
          echo '{"revision":0,"totalKey":0}' >"$work/before"; status=
        fi

        """#

    /// Nothing is migrated unless the member is stopped, its WAL is the one of the backup, and its db is too.
    private static let checkScript = #"""
        exec 9<"$data"
        flock -n 9 || fail "another step of pawl is at work on $data" "wait for it to end"
        refuse_in_use "$data"
        case "$wal/" in "$data"/*) ;; *) refuse_in_use "$wal" ;; esac
        compare_with_backup
        if [ "$snap_same" = no ]; then unbreak; compare_with_backup; fi
        if [ "$wal_same" = no ] || [ "$snap_same" = no ]; then
          fail "the WAL or the snapshots are not those of the backup: etcd was started after it" "take a new backup"
        fi
        command -v "$ETCDCTL" >/dev/null 2>&1 || fail "$ETCDCTL is not on this node" "install etcdctl 3.0.14 to 3.4"
        owner=$(stat -c %U -- "$snap")
        [ "$owner" = "$AS" ] || fail "the data belongs to $owner, and etcd_user is $AS" "set etcd_user to $owner"
        restored=no
        case $(db_state) in
          equal|absent) ;;
          *) restore_db; restored=yes ;;
        esac
        say restored "$restored"

        """#

    /// Notes that the db will be another one from now on.
    private static let beginScript = #"""
        printf 'begun %s\n' "$ATTEMPT" >"$BACKUP/migration" && sync -- "$BACKUP/migration" "$BACKUP" ||
          fail "cannot write $BACKUP/migration" "make room there"
        if [ -e "$saved" ] && grep -aqm 1 consistent_index "$saved"; then say index_before yes; else say index_before no; fi

        """#

    /// Renames the prepared db into place, where it is the one that was proven, and was made of a db that is as far as
    /// this one.
    ///
    /// Its content was judged when it was made; here only its identity is, so that this takes no longer for more data.
    private static let swapScript = #"""
        swapped=no
        if [ -n "$PREPARED" ]; then
          identity() { stat -c '%i %s %.Y %U:%G %a' -- "$1" 2>/dev/null; }
          if [ -n "$status" ]; then wait "$status"; status=; fi
          revision=$(sed -n 's/.*"revision":\([0-9]*\).*/\1/p' "$work/before")
          if [ "$(identity "$PREPARED/db")" != "$IDENTITY" ]; then say unprepared "$PREPARED/db is not what was prepared"
          elif [ "$revision" != "$REVISION" ]; then
            say unprepared "the v3 store is at revision $revision, and was at $REVISION when the copy was made"
          else
            mv -f -T -- "$PREPARED/db" "$snap/db" && sync -- "$snap" || fail "cannot rename $PREPARED/db to $snap/db"
            swapped=yes; code=0; last="finished transforming keys"; : >"$work/noise"
            say code 0; say last "$last"; say milliseconds 0
            told() { sed -n "s/^$1=//p" "$PREPARED/prepared"; }
            sed -n '/^transformer_[io]/p' "$PREPARED/prepared"
            told before >"$work/before"; told after >"$work/now"; say index_before "$(told index_before)"
          fi
          say swapped "$swapped"
        fi

        """#

    /// Runs the tool under a deadline and under watch.
    ///
    /// `etcdctl` reads the v2 state before it asks for the db's lock, so once it waits for the lock what it read is
    /// stale, and it must not go on (etcdctl/ctlv3/command/migrate_command.go, `rebuildStoreV2` before
    /// `prepareBackend`). It warns on standard error after one second; the watcher looks for that. Its `sleep` outlives it,
    /// so it must not keep descriptor 8, by which a job is known to be running, nor the script's own output, to which it
    /// tells every second how far the tool is: etcdctl itself says nothing before its end, and has the db locked.
    private static let migrateScript = #"""
        if [ "$swapped" = no ]; then
        set -- "$ETCDCTL" migrate "--data-dir=$data"
        if [ -n "$WALDIR" ]; then set -- "$@" "--wal-dir=$wal"; fi
        if [ -n "$NOTTL" ]; then set -- "$@" --no-ttl; fi
        # Its owner is the one who runs it, and must come to it.
        chmod 711 -- "$work" && wrap_transformer "$work" || fail "$problem"
        if [ -n "$area" ]; then set -- "$@" "--transformer=$area/run"; fi
        set -- env ETCDCTL_API=3 "$@"
        if [ "$(id -u)" = 0 ] && [ "$AS" != root ]; then set -- runuser -u "$AS" -- "$@"; fi
        cd /
        at_work() {
          echo "etcdctl migrate has been at work for $1 s, the db has $(($(stat -c %s -- "$snap/db" 2>/dev/null || echo 0) / 1048576)) MiB"
        }
        began=$(milliseconds)
        timeout -k 2 "$LIMIT" "$@" >"$work/out" 2>"$work/err" </dev/null &
        tool=$!
        ( sleep 1 3>&-
          told=0
          while kill -0 "$tool"; do
            if grep -q 'waiting for etcd to close' "$work/err"; then kill -KILL "-$tool"; exit; fi
            seconds=$((($(milliseconds) - began) / 1000))
            if [ "$seconds" -gt "$told" ]; then told=$seconds; say progress "$(at_work "$seconds")" >&3; fi
            sleep 0.3 3>&-
          done ) 3>&1 >/dev/null 2>&1 </dev/null 9<&- 8>&- &
        watcher=$!
        wait "$tool"; code=$?
        say milliseconds "$(($(milliseconds) - began))"
        kill "$watcher" 2>/dev/null
        last=; while IFS= read -r line || [ -n "$line" ]; do last=$line; done <"$work/out"
        last=$(printf '%.300s' "$last")
        tell_transformer | tee "$work/transformed"
        say code "$code"; say last "$last"
        # capnslog lines of 3.0 to 3.3 at the levels information and notice are no complaint.
        grep -v -e '^[0-9][0-9-]* [0-9:.]* [IN] | ' -e '^$' "$work/err" >"$work/noise"
        if [ -s "$work/noise" ]; then head -n 8 "$work/noise" | cut -c 1-400 | sed 's/^/stderr=/'; fi
        fi

        """#

    private static let gateScript = #"""
        if [ "$code" = 0 ] && [ "$last" = "no v2 keys to migrate" ]; then
          case $(db_state) in equal|absent) ;; *) restore_db ;; esac
        fi
        if [ -e "$snap/db" ]; then
          if [ ! -e "$saved" ]; then
            chown "$(stat -c %u:%g -- "$snap")" "$snap/db" 2>/dev/null; chmod 600 "$snap/db"
          fi
          relabel
          looking=
          if [ "$swapped" = no ]; then
            status_of "$snap/db" "$work/err" >"$work/now" 9<&- &
            looking=$!
          fi
          sync -- "$snap/db" "$snap" || fail "the migrated db cannot be flushed to its disk"
          say owner "$(stat -c '%U %a' -- "$snap/db")"
          say owner_expected "$owner $(if [ -e "$saved" ]; then stat -c %a -- "$saved"; else echo 600; fi)"
          if [ -n "$looking" ]; then wait "$looking"; fi
          say after "$(cat "$work/now")"
        else
          say after '{"revision":0,"totalKey":0}'
        fi
        if [ -n "$status" ]; then wait "$status"; fi
        say before "$(cat "$work/before")"
        compare_with_backup
        say wal_same "$wal_same"; say snap_same "$snap_same"
        case $(db_lock "$data") in free) say lock free ;; *) say lock held ;; esac
        if [ "$code" = 0 ] && [ ! -s "$work/noise" ]; then
          case "$last" in
            "finished transforming keys"|"no v2 keys to migrate")
              printf 'begun %s\nfinished %s\n' "$ATTEMPT" "$(db_identity)" >"$work/marker"
              if [ "$swapped" = yes ]; then sed -n '/^transformer_[io]/p' "$PREPARED/prepared" >>"$work/marker"
              elif [ -n "$TRANSFORMER" ]; then sed -n '/^transformer_[io]/p' "$work/transformed" >>"$work/marker"; fi
              cat "$work/marker" >"$BACKUP/migration" && sync -- "$BACKUP/migration" || say marker unwritten
              case "$PREPARED" in */.pawl-"$RUN"-*) rm -rf -- "$PREPARED" ;; esac ;;
          esac
        fi
        """#
}
