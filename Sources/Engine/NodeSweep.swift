// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Playbooks
import Remote
import Rollout

/// Leaves no files of a run that is over on its nodes, but its backups and its marker.
///
/// It also removes jobs that other runs have left behind, a week after their last change and never one that is running.
/// A run whose jobs were removed by age is noted in `jobs/swept`: that none is found then proves nothing.
struct NodeSweep: Sendable {
    static let daysKept = 7

    let run: String
    /// The run that was taken back; what it prepared is beside the data of members that it never came to, too.
    var origin: String?
    let play: Play
    let hosts: HostDirectory

    /// Sweeps the hosts that the plan changes, or the run that was taken back may have changed, side by side.
    ///
    /// - Parameters:
    ///   - plan: what the run did or was to do.
    ///   - leave: how long to wait for nodes that are away.
    ///   - fence: what must hold on a node before it is swept.
    /// - Returns: what could not be swept, and why.
    func sweep(
        _ plan: Plan,
        _ leave: LeaveTaking,
        behind fence: @escaping @Sendable (String) -> [any MutationGuard] = { _ in [] }
    ) async -> [RemoteError] {
        await leave.visit(places(of: plan)) { await sweep($0, plan, behind: fence($0.host)) }
    }

    /// What there is to be swept: where the plan changes something, or the run that was taken back may have.
    func places(of plan: Plan) -> Set<ReplicaLedger.Place> {
        var places = Set(plan.steps.filter { $0.effect != .readOnly }.compactMap(place))
        if origin != nil {
            places.formUnion(play.hosts.map { Place(host: $0, become: play.playbook.become.value) })
        }
        return places
    }

    private typealias Place = ReplicaLedger.Place

    private func place(of step: PlannedStep) -> Place? {
        step.host.map { Place(host: $0, become: play.becomes(step)) }
    }

    /// Sweeps one place.
    ///
    /// - Returns: why it could not be swept, if so.
    func sweep(
        _ place: ReplicaLedger.Place,
        _ plan: Plan,
        behind guards: [any MutationGuard]
    ) async -> RemoteError? {
        guard let target = hosts.target(place.host, become: place.become), let script = script(at: place, plan) else {
            return nil
        }
        let command = RemoteCommand("remove the files of run \(run)", script: script, effect: .mutating)
        do throws(RemoteError) {
            let result = try await GuardedHost(target.host, guards: guards).runRepeatably(command)
            guard result.exitCode != 0 else { return nil }
            let said = result.errorOutput.split(whereSeparator: \.isNewline).first.map(String.init)
            return RemoteError(.refused, host: place.host, said ?? "exit code \(result.exitCode)")
        } catch {
            return error
        }
    }

    /// The shell that sweeps a place; `nil` where nobody knows the host.
    func script(at place: ReplicaLedger.Place, _ plan: Plan) -> String? {
        guard let target = hosts.target(place.host, become: place.become) else { return nil }
        let own = plan.steps.contains { $0.phase == .prepare } ? run : nil
        // And what a rehearsal left that was killed.
        let runs = [own, origin, Rehearsal.run].compactMap(\.self)
        return prepared(target, runs) + script(NodeState(variables: target.variables))
    }

    private func prepared(_ target: ActionTarget, _ runs: [String]) -> String {
        let settings = EtcdSettings(variables: target.variables)
        return runs.map { run in
            PreparedMigration.sweep(run, dataDir: settings.dataDir)
                + BackupAhead.sweep(run, host: target.host.name, backupDir: settings.backupDir)
        }.joined()
    }

    /// The notes in `service` and below /run are those of `ServiceScript`, each beginning with its run.
    ///
    /// Those of other runs go as well, which could not remove them, unless the node is in a run: a run that is done is swept
    /// behind its lock, so that another may have begun, and a run's replica is on the node before its first note.
    func script(_ state: NodeState) -> String {
        let prefix = ShellQuoting.quote(JobID.prefix(ofRun: run))
        return state.shell + UploadScript.sweep([run, origin].compactMap(\.self)) + """
            sweep_prefix=\(prefix)
            sweep_run=\(ShellQuoting.quote(run))
            notes=/run/pawl
            \(NodeState.user)\
            if [ "$node_user" != 0 ]; then notes=${XDG_RUNTIME_DIR:-/tmp}/pawl-$node_user; fi
            for file in "$state"/service/*.found "$notes"/*.restart "$notes"/*.instance; do
              [ -f "$file" ] && read -r word rest <"$file" || continue
              if [ "$word" = "$sweep_run" ] || [ ! -e "$state/run" ]; then rm -f -- "$file"; fi
            done
            for dir in "$notes" "$state/service"; do [ ! -d "$dir" ] || rmdir -- "$dir" 2>/dev/null; done
            \([run, origin].compactMap(\.self).map(ClientFirewall.sweep).joined())
            cd -- "$state/jobs" 2>/dev/null || exit 0
            # A job may be about to say that its end is on the disk.
            rm -rf -- "$sweep_prefix"* 2>/dev/null || { sleep 1; rm -rf -- "$sweep_prefix"*; } || exit 1
            umask 077
            find . -mindepth 1 -maxdepth 1 -type d -mtime +\(Self.daysKept) | while IFS= read -r old; do
              old=${old#./}
              if [ -f "$old/alive" ] && ! flock -s -n "$old/alive" true; then continue; fi
              echo "${old%%.*}." >>swept && rm -rf -- "$old"
            done
            cd -- "$state" && rmdir -- jobs 2>/dev/null && cd / && rmdir -- "$state" 2>/dev/null
            exit 0

            """
    }
}
