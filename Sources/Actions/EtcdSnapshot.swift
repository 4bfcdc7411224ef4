// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_snapshot`: has a member write a raft snapshot, by two restarts of which the first has `--snapshot-count` 1.
///
/// What `etcdctl migrate` writes is in no member's log. A member that is added later gets the log from its first entry as
/// long as nobody has a snapshot, and so gets none of the migrated keys, and nothing tells (etcd #8804). Once each
/// member was restarted from a snapshot, an added one gets the whole db. The same snapshot is what etcd 3.6 looks into for
/// v2 keys.
///
/// etcd takes the count from its environment (`ETCD_SNAPSHOT_COUNT`), where no flag and no configuration file sets it. With
/// 1 it writes a snapshot for nearly every entry, so the member is restarted without it as soon as there is one.
package struct EtcdSnapshot: Action {
    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "etcd_snapshot",
        summary: """
            Has a member write a raft snapshot: restarts it with --snapshot-count 1 in its environment, waits for the snapshot, \
            and restarts it as it was. Behind it, members that are added get migrated data (etcd #8804).
            """,
        parameters: [
            .init("name", .string, required: true, "The unit that runs etcd; with commands of its own, any name."),
            .dataDir,
            .init(
                "start",
                .string,
                "A shell command in place of `systemctl start`; needs `stop` and `status` too, and must give etcd its environment."
            ),
            .init("stop", .string, "A shell command in place of `systemctl stop`."),
            .init("status", .string, "A shell command that exits with 0 when it runs and with 3 when it is stopped."),
            .init("within", .duration, default: .int(120), "How long each stop, each start and the snapshot may take."),
        ],
        example: """
            - name: Snapshot
              etcd_snapshot: { name: etcd, data_dir: /var/lib/etcd/default }
            """
    )

    private let service: Service
    private let dataDir: String
    private let within: Duration

    package init(_ parameters: Parameters) throws(ActionFailure) {
        var values = parameters.values
        values["state"] = .string(Service.State.restarted.rawValue)
        service = try Service(Parameters(values))
        dataDir = try requirePath(parameters.string("data_dir"), "data_dir")
        within = parameters.duration("within") ?? .seconds(120)
    }

    package var traits: ActionTraits {
        var traits = service.traits
        traits.defaultTimeout = within * 5 + .seconds(30)
        traits.job = .always
        return traits
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        let report = try await context.requiredTarget().report(
            RemoteCommand(
                "look for a snapshot",
                script: NodeReport.prelude + functions(context) + "say newest \"$(newest)\"\n",
                effect: .readOnly
            )
        )
        guard let before = try await context.hostFact("snapshot_before"), let newest = report["newest"],
            newest[...] > before.dropFirst()
        else { return .notBegun("there is no snapshot of this step") }
        let restarted = try await service.observe(context)
        guard case .done = restarted else { return restarted }
        return .done(Evidence("the snapshot \(newest) is there", ["snapshot": newest]))
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let look = RemoteCommand(
            "look for a snapshot",
            script: NodeReport.prelude + functions(context) + "say newest \"$(newest)\"\n",
            effect: .readOnly
        )
        let before = try await context.requiredTarget().report(look)["newest"] ?? ""
        // An empty fact would count as none.
        try await context.record("snapshot_before", "." + before)
        var command = try service.restartTwice(
            context,
            with: "ETCD_SNAPSHOT_COUNT=1",
            functions: functions(context) + Self.waiting
        )
        command.isDetached = context.isJob
        let report = try await context.requiredTarget().report(command)
        guard let snapshot = report["snapshot"] else {
            throw ActionFailure("the snapshot was not told of")
        }
        let isClean = report.all("clean").allSatisfy { $0 == "yes" }
        return Evidence(
            "snapshot \(snapshot) is written" + (isClean ? "" : "; the stop was not clean: \(report["proof"] ?? "")"),
            ["snapshot": snapshot, "before": before]
        )
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        throw ActionFailure("a snapshot is not taken back: etcd removes old ones by itself")
    }

    private func functions(_ context: ActionContext) -> String {
        let settings = EtcdSettings(variables: context.target?.variables ?? [:])
        return NodeReport.assignments([
            "SNAPSHOTS": dataDir + "/member/snap", "SECONDS_TO_WAIT": String(max(5, within.components.seconds)),
        ]) + """
            # Names are term and index in hexadecimal, so that the newest is the last.
            newest() { LC_ALL=C ls -- "$SNAPSHOTS" 2>/dev/null | grep '\\.snap$' | LC_ALL=C sort | tail -n 1; }
            poke() { \(settings.healthLine) >/dev/null 2>&1; }

            """
    }

    /// A health check is an entry in the log, and an entry is what a snapshot is taken at.
    private static let waiting = #"""
        etcd_process() {
          if [ "${pid:-0}" != 0 ]; then process=/proc/$pid; return; fi
          for comm in /proc/[0-9]*/comm; do
            read -r word <"$comm" || continue
            case $word in etcdctl*) continue ;; etcd*) ;; *) continue ;; esac
            for file in "${comm%comm}"fd/*; do
              if [ "$file" -ef "$SNAPSHOTS/db" ]; then process=${comm%/comm}; return; fi
            done
          done 2>/dev/null
          return 1
        }
        # etcd does not start where a flag and its environment set the same, and reads no environment beside a
        # configuration file.
        look_before() {
          before=$(newest)
          etcd_process || return 0
          set_by=$({ tr '\0' '\n' <"$process/cmdline"; tr '\0' '\n' <"$process/environ"; } 2>/dev/null |
            grep -E '^(--?snapshot-count|--?config-file|ETCD_SNAPSHOT_COUNT=|ETCD_CONFIG_FILE=.)' | head -n 1)
          [ -z "$set_by" ] || fail "etcd runs with $set_by, so that its environment cannot set the snapshot count" \
            "set snapshot-count to 1 there, restart it, wait for a new file in $SNAPSHOTS, and put it back; nothing was done"
        }
        wait_between() {
          waited=0
          while now=$(newest); [ -z "$now" ] || [ "$now" = "$before" ]; do
            if [ "$waited" -ge $((SECONDS_TO_WAIT * 5)) ]; then
              lack="etcd wrote no snapshot within $SECONDS_TO_WAIT s of its start; it runs as before"
              advice="see that the start command gives etcd its environment, or set --snapshot-count 1 by hand for one start"
              return
            fi
            poke; nap; waited=$((waited + 1))
          done
          say snapshot "$now"
        }

        """#
}
