// SPDX-License-Identifier: Apache-2.0

import Remote

/// A migration that is made on a copy while the member serves, so that only a rename is left for the time in which it
/// is out.
///
/// `etcdctl migrate` reads nothing but WAL and snapshots. Once writers are frozen these can be copied from a running
/// member, with a db from `etcdctl snapshot save`; entries that etcd logs after the copy are replayed when it starts on
/// the result. The copy lies beside the data directory, because it is to be renamed into it:
///
///     DIR/.pawl-RUN-NAME/      beside the data directory DIR/NAME, and not writable for etcd
///       db                     migrated and proven
///       prepared               its identity (inode, size, time, owner, mode), written last
package struct PreparedMigration: Sendable, Hashable {
    package var dataDir: String
    /// Where the WAL is when it is not in the data dir.
    package var walDir: String?
    package var run: String

    package init(dataDir: String, walDir: String?, run: String) {
        self.dataDir = dataDir
        self.walDir = walDir
        self.run = run
    }

    /// A prepared db as it was recorded, for the swap to find it unchanged.
    package struct Record: Sendable, Hashable {
        package var path: String
        /// Inode, size, time, owner and mode.
        package var identity: String
        /// The v3 revision of the db that the copy was made from.
        package var revisionBefore: Int

        package init(path: String, identity: String, revisionBefore: Int) {
            self.path = path
            self.identity = identity
            self.revisionBefore = revisionBefore
        }

        /// Reads what the making of a copy, or a look for one, told of it; `nil` when there is none.
        package init?(_ report: NodeReport) {
            guard let path = report["path"], let identity = report["identity"],
                let before = MigrationDatabaseStatus(report["before"])
            else { return nil }
            self.init(path: path, identity: identity, revisionBefore: before.revision)
        }
    }

    /// Compares a copy that was found with the baseline.
    package static func judge(
        found report: NodeReport,
        baseline: MigrationBaseline
    ) throws(MigrationOutcome.Failure) -> (revision: Int, keys: Int, remark: String?) {
        let baseline = try baseline.judgingTransformer(report)
        return try MigrationOutcome.judgeContent(
            before: MigrationDatabaseStatus(report["before"]),
            after: MigrationDatabaseStatus(report["after"]),
            hadIndex: report["index_before"] == "yes",
            baseline: baseline
        )
    }

    private var head: String {
        NodeReport.prelude
            + NodeReport.assignments([
                "DATA": dataDir, "WALDIR": walDir ?? "", "RUN": ColdBackup.fileName(run),
            ]) + ColdBackup.shellFunctions + Transformer.shellFunctions + MigrationCopy.shellFunctions
            + Self.locate
    }

    /// Sets `data`, `snap`, `wal` and `prep`; `told` reads a line of what was noted.
    private static let locate = #"""
        locate
        prep=${data%/*}/.pawl-$RUN-${data##*/}
        identity() { stat -c '%i %s %.Y %U:%G %a' -- "$1" 2>/dev/null; }
        told() { sed -n "s/^$1=//p" "$prep/prepared" 2>/dev/null; }

        """#

    /// The command that copies and migrates; ``MigrationOutcome`` reads its answer and judges.
    ///
    /// It is a job of minutes where there is much data. What an earlier attempt left is thrown away. Where no copy can
    /// lie beside the data directory, it says why as `unfit`, and nothing else. Where v2 holds no keys there is no copy
    /// either, and it says `nothing`.
    package func makeCommand(_ options: Migration.Options, settings: EtcdSettings) -> RemoteCommand {
        let seconds = options.timeout.components.seconds
        let values = NodeReport.assignments([
            "ETCDCTL": options.etcdctl, "AS": options.user, "NOTTL": options.noTTL ? "yes" : "",
            "TRANSFORMER": options.transformer ?? "",
            "LIMIT": String(max(1, seconds - min(10, seconds / 4))),
            // A rehearsal gives way within a second or two.
            "PATIENCE": "15",
        ])
        let save = settings.commandLine(.snapshotSave(path: "saved"), seconds: Int(clamping: seconds))
        var command = RemoteCommand(
            "prepare the migration of \(dataDir)",
            script: EtcdSettings.scriptPrelude + head + values
                + "answers() { \(settings.commandLine(.endpointStatus)); }\n"
                + "save() (cd \"$prep\" && \(save))\n" + Self.copyScript
                + Self.migrateScript,
            effect: .mutating,
            timeout: options.timeout
        )
        command.isDetached = true
        return command
    }

    /// Looks for a prepared copy of the run: `path`, `identity`, `revision_before`, `before`, `after`, `index_before`.
    package func findCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "look for a prepared migration of \(dataDir)",
            script: head + #"""
                if [ -f "$prep/prepared" ]; then
                  if [ "$(identity "$prep/db")" = "$(told identity)" ]; then sed '/^$/d' "$prep/prepared"; say path "$prep"
                  else say damaged "$prep/db is not the file that was prepared"; fi
                fi
                """#,
            effect: .readOnly,
            timeout: timeout
        )
    }

    /// Shell that throws away what a run prepared and did not use, where that run is taken back.
    ///
    /// Where the data directory is not there, neither is a copy beside it.
    package static func sweep(_ run: String, dataDir: String) -> String {
        NodeReport.assignments(["prepared_data": dataDir, "prepared_run": ColdBackup.fileName(run)]) + #"""
            if prepared_data=$(cd -P -- "$prepared_data" 2>/dev/null && pwd -P); then
              rm -rf -- "${prepared_data%/*}/.pawl-$prepared_run-${prepared_data##*/}" || exit 1
            fi

            """#
    }

    /// Throws the copy away.
    package func removeCommand(timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "remove the prepared migration of \(dataDir)",
            script: head + #"""
                exec 9<"$data"
                flock -w 5 9 || fail "another step of pawl is at work on $data" "wait for it to end"
                if [ -e "$prep" ]; then say removed "$prep"; rm -rf -- "$prep" || fail "cannot remove $prep"; fi
                """#,
            effect: .mutating,
            timeout: timeout
        )
    }

    private static let copyScript = #"""
        refuse_unfit
        # Of a rehearsal that was killed.
        rm -rf -- "${data%/*}/.pawl-rehearsal-${data##*/}"
        if [ -L "$prep" ]; then fail "$prep is a link" "remove it"; fi
        rm -rf -- "$prep"
        drop() { rm -rf -- "$prep"; fail "$@"; }
        # There can be no copy here, and none is needed: it saves time only.
        unfit() { rmdir -- "$prep" 2>/dev/null; say unfit "$1"; exit 0; }
        said=$(mkdir -m 711 -- "$prep" 2>&1) || unfit "cannot make $prep: ${said##*: }"
        [ "$(stat -c %d -- "$prep")" = "$(stat -c %d -- "$snap")" ] ||
          unfit "$snap is on another file system than ${data%/*}, so a copy cannot be renamed into it"
        # Twice: the copies, and the v3 keys beside what they are made from.
        need=$(du -skc -- "$wal" "$snap" | { while read -r size _; do total=$size; done; echo "$((total * 2))"; })
        free=$(df -Pk -- "$prep" | { read -r _; read -r _ _ _ free _; echo "$free"; })
        [ "$free" -gt "$need" ] || drop "disk full at ${data%/*}: needs $((need / 1024 + 1)) MiB, free $((free / 1024)) MiB" \
          "make room there"
        began=$(milliseconds)
        live=$prep/data/member
        work=$(mktemp -d) || drop "no temporary directory"
        trap 'rm -rf -- "$work"' EXIT
        take_copy() {
          say progress "WAL and snapshots are copied"
          copy_files "$live" || drop "$problem"
          say progress "a snapshot of the v3 store is taken"
          save >"$work/out" 2>&1 </dev/null 9<&- || drop "etcdctl snapshot save failed: $(tail -n 1 "$work/out")"
          # What follows the db are 32 bytes of its SHA-256 (etcdserver/api/v3rpc/maintenance.go).
          truncate -s -32 -- "$prep/saved" && mv -T -- "$prep/saved" "$live/snap/db" || drop "cannot write to $prep"
          if [ -e "$snap/db" ]; then
            chown --reference="$snap/db" -- "$live/snap/db" && chmod --reference="$snap/db" -- "$live/snap/db" ||
              drop "cannot give the copy of the db its owner"
          fi
          chown --reference="$snap" -- "$prep/data" "$live" "$live/wal" "$live/snap" || drop "cannot change owners in $prep"
        }
        take_copy

        """#

    /// As ``Migration`` does it in place, on the copy, which nothing else has open.
    private static let migrateScript = #"""
        wrap_transformer "$prep" || drop "$problem" "nothing was changed"
        say progress "etcdctl migrate is at work on the copy${TRANSFORMER:+, through $TRANSFORMER}"
        migrate_copy "$prep/data"
        while comes_too_early; do
          rm -rf -- "$prep/data"
          take_copy
          wrap_transformer "$prep" || drop "$problem" "nothing was changed"
          migrate_copy "$prep/data"
        done
        tell_transformer >"$work/transformed"
        [ "$(db_lock "$data")" = held ] || drop "etcd stopped while the copy was made" "start it"
        if [ "$code" = 0 ] && [ "$last" = "no v2 keys to migrate" ]; then
          # Then the tool gives the db no index (etcd refuses to start on such a one beside a snapshot): not to be swapped in.
          rm -rf -- "$prep"; say nothing yes
        elif [ "$code" = 0 ] && [ ! -s "$work/noise" ] && [ ! -L "$live/snap/db" ]; then
          mv -T -- "$live/snap/db" "$prep/db" && rm -rf -- "$prep/data" "$prep/transformer" && sync -- "$prep/db" || drop "cannot write to $prep"
          if command -v selinuxenabled >/dev/null 2>&1 && selinuxenabled && [ -e "$snap/db" ]; then
            chcon --reference="$snap/db" -- "$prep/db"
          fi
          sed -n '/^transformer_[io]/p' "$work/transformed" >"$prep/prepared.new"
          printf '%s\n' "index_before=$index_before" "before=$before" "after=$after" "no_ttl=${NOTTL:-no}" \
            "identity=$(identity "$prep/db")" >>"$prep/prepared.new" && sync -- "$prep/prepared.new" &&
            mv -T -- "$prep/prepared.new" "$prep/prepared" && sync -- "$prep" "${prep%/*}" || drop "cannot write to $prep"
          say path "$prep"; say identity "$(told identity)"
        else
          rm -rf -- "$prep"
        fi
        cat "$work/transformed"; area=
        tell_migration
        say milliseconds "$(($(milliseconds) - began))"
        """#
}
