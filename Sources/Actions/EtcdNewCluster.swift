// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_new_cluster`: makes a stopped, migrated member the only one of its cluster, with a snapshot for those to come.
///
/// The member is started with `--force-new-cluster`, which throws the other members out of its list, and with
/// `--snapshot-count=1`, until a snapshot is behind the migration. Then it is stopped again: what is begun on that snapshot has
/// no older entries, so that who is added gets the snapshot with the migrated db, and not the log without it (etcd #8804).
package struct EtcdNewCluster: Action {
    package static let schema = ActionSchema(
        word: "etcd_new_cluster",
        summary: """
            Makes a stopped member the only one of its cluster and has it write a snapshot; then it is stopped again, to be \
            started as it was always started. All other members must be stopped.
            """,
        parameters: [
            .etcdUnit,
            .dataDir,
            .walDir,
            .init("within", .duration, default: .int(120), "How long it may take to serve, and to write the snapshot."),
        ],
        example: """
            - etcd_new_cluster: { service: etcd, data_dir: /var/lib/etcd/default }
              only: last
            """
    )
    package static let scope = ActionScope.host

    private let service: String
    private let dataDir: String
    private let walDir: String?
    private let within: Duration

    package init(_ parameters: Parameters) throws(ActionFailure) {
        service = try requireUnit(parameters)
        (dataDir, walDir) = try requireDataDirectories(parameters)
        within = parameters.duration("within") ?? .seconds(120)
    }

    package var traits: ActionTraits {
        // It starts the member and stops it again, so that what is true of the service is asked of this step.
        ActionTraits(effect: .repeatable, resource: "service \(service)", hasUndo: true, defaultTimeout: within * 5)
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        let look = try await context.unitSettings(service).findCommand(timeout: context.timeout)
        let report = try await context.requiredTarget().report(look)
        if report["settings"] == "yes" {
            return .inDoubt("etcd has the settings of a new cluster, and was not stopped again")
        }
        guard try await context.fact(ReseedFact.seed) == (try context.requiredTarget().host.name) else {
            return .notBegun("no new cluster was founded here")
        }
        // Only asked while nobody is to be in it: what was added was taken back since, and its list has it still.
        guard try await context.fact(ReseedFact.hasAdded) != "yes" else {
            return .inDoubt("members were added to the new cluster, which are not in it any more")
        }
        switch try await Service.step(service, "stopped", within: within).observe(context) {
        case .done: return .done(Evidence("the member is the only one of its cluster, and stopped"))
        case .notBegun(let why), .inDoubt(let why): return .inDoubt("a new cluster was founded, and \(why)")
        }
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        let node = target.etcdNode
        try await refuseOthers(context, "a new cluster beside them would answer to the same id")
        let settings = try await context.unitSettings(service, ["force-new-cluster": "true", "snapshot-count": "1"])
        _ = try await control("stopped", context)
        _ = try await target.report(settings.putCommand(timeout: context.timeout))
        _ = try await control("started", context)
        let before = try await serving(node)
        context.progress("\(node.name) serves as the only member; waiting for its snapshot")
        let snapshot = try await target.report(
            SnapshotScript(settings: node.settings, within: within).command(from: before.status.raftAppliedIndex)
        )
        for stray in before.list.members where stray.id != before.memberID {
            context.progress(
                "removing \(stray.isStarted ? stray.name : "\(stray.id)"), which is not of the new cluster"
            )
            if case .notYet(let why) = try await target.change(.remove(stray.id), context) {
                throw ActionFailure(
                    "\(stray.name) cannot be removed from the new cluster: \(why)",
                    remedy: "look at the log of \(service) on \(node.name)"
                )
            }
        }
        let after = try await serving(node)
        guard after.list.members.map(\.id) == [after.memberID] else {
            throw ActionFailure(
                "the new cluster has more members than one: \(after.list.members.map(\.name).joined(separator: ", "))",
                remedy: "see `etcdctl member list` on \(node.name)"
            )
        }
        _ = try await control("stopped", context)
        // First, so that a run that ends in between finds the settings, and asks once more.
        try await keep(after, context)
        _ = try await target.report(settings.removeCommand(timeout: context.timeout))
        return Evidence(
            "member \(after.memberID) is the only one of cluster \(after.clusterID); snapshot \(snapshot["snapshot"] ?? "")",
            [
                "member_id": "\(after.memberID)", "cluster_id": "\(after.clusterID)",
                "snapshot": snapshot["snapshot"] ?? "",
            ]
        )
    }

    /// Takes the member back to its backup whole, log and all.
    ///
    /// That is sound because it has acknowledged nothing to anybody since: it was alone, and nobody wrote. Who was added to it
    /// was taken back before.
    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        try await refuseOthers(context, "they belong to the new cluster")
        _ = try await control("stopped", context, mustBeClean: false)
        _ = try await target.report(try await context.unitSettings(service).removeCommand(timeout: context.timeout))
        guard let path = try await context.hostFact("backup_path") else {
            throw ActionFailure("there is no backup of this run", remedy: "the member must not be started")
        }
        let data = MemberData(dataDir: dataDir, walDir: walDir, run: context.run)
        _ = try await target.report(data.restoreCommand(from: ColdBackup(path: path), timeout: context.timeout))
        try await context.facts.record(ReseedFact.seed, "")
        try await context.facts.record(ReseedFact.hasAdded, "")
        return Evidence("the member is back as it was at its backup, log and all", ["backup": path])
    }

    private func keep(_ health: MemberHealth, _ context: ActionContext) async throws(ActionFailure) {
        // Both are as before: they come from the log, which the member keeps.
        if let old = try await context.hostFact("member_id"), old != "\(health.memberID)" {
            throw ActionFailure(
                "it is member \(health.memberID) now, and was \(old)",
                remedy: "was its data exchanged?"
            )
        }
        try await context.facts.record(ReseedFact.seed, try context.requiredTarget().host.name)
        try await context.facts.record(ReseedFact.hasAdded, "")
    }

    private func refuseOthers(_ context: ActionContext, _ why: String) async throws(ActionFailure) {
        let name = try context.requiredTarget().host.name
        try await context.demandStopped(context.etcdNodes.filter { $0.name != name }, because: why)
    }

    private func serving(_ node: EtcdNode) async throws(ActionFailure) -> MemberHealth {
        do throws(EtcdProbeError) {
            let outcome = try await HealthyScript(settings: node.settings, within: within).run(on: node)
            if outcome.isSettled, outcome.health.isHealthy { return outcome.health }
            throw EtcdProbeError(.noAnswer, host: node.name, outcome.health.complaints.joined(separator: "; "))
        } catch {
            throw ActionFailure(
                "the member does not serve by itself after \(within): \(error.message)",
                remedy: "look at the log of \(service) on \(node.name)"
            )
        }
    }

    private func control(
        _ state: String,
        _ context: ActionContext,
        mustBeClean: Bool = true
    ) async throws(ActionFailure) -> Evidence {
        try await Service.step(service, state, within: within, mustBeClean: mustBeClean).perform(context)
    }
}

extension Service {
    /// A stop or a start within another step.
    static func step(
        _ name: String,
        _ state: String,
        within: Duration,
        mustBeClean: Bool = true
    ) throws(ActionFailure) -> Service {
        try Service(
            Parameters([
                "name": .string(name), "state": .string(state), "within": .int(Int(within.components.seconds)),
                "must_be_clean": .bool(mustBeClean),
            ])
        )
    }
}

extension ActionContext {
    /// Refuses where members may serve: they answer, or their nodes cannot be asked.
    func demandStopped(_ nodes: [EtcdNode], because why: String) async throws(ActionFailure) {
        var problems: [String] = []
        for (host, answer) in await ClusterProbe.statuses(nodes).sorted(by: { $0.key < $1.key }) {
            switch answer {
            case .success: problems.append("\(host): its member serves")
            case .failure(let error) where error.code == .node: problems.append("\(error)")
            case .failure: break
            }
        }
        if problems.isEmpty { return }
        throw ActionFailure(
            "other members are not known to be stopped: \(why)",
            problems: problems,
            remedy: "stop them, and see that nothing starts them again"
        )
    }
}

extension ActionTarget {
    /// Has a member change the member list.
    ///
    /// - Returns: what came of it.
    /// - Throws: ``ActionFailure`` where the cluster will not do it however often it is asked.
    func change(
        _ change: MembershipChange,
        _ context: ActionContext
    ) async throws(ActionFailure) -> MembershipChange.Outcome {
        let report = try await report(change.command(etcdNode.settings, timeout: .seconds(40)))
        let said = report["said"] ?? ""
        guard let outcome = MembershipChange.Outcome(code: report["code"], said: said) else {
            throw ActionFailure(
                "the member list cannot be changed on \(host.name): "
                    + (said.isEmpty ? "etcdctl ended with \(report["code"] ?? "nothing")" : said),
                remedy: "see `etcdctl member list` there"
            )
        }
        return outcome
    }
}
