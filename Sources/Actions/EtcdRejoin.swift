// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_rejoin`: adds a stopped member, whose data was set aside, to the new cluster, and proves that it got everything.
package struct EtcdRejoin: Action {
    package static let schema = ActionSchema(
        word: "etcd_rejoin",
        summary: """
            Adds a member whose data was set aside to the cluster that `etcd_new_cluster` founded, under its old name and peer \
            URLs, starts it empty, and waits until it is a voter that holds the same v3 store.
            """,
        parameters: [
            .etcdUnit,
            .dataDir,
            .walDir,
            .init("within", .duration, default: .int(300), "How long it may take until it has caught up."),
        ],
        example: """
            - etcd_rejoin: { service: etcd, data_dir: /var/lib/etcd/default }
              only: others
              throttle: 1
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
        within = parameters.duration("within") ?? .seconds(300)
    }

    package var traits: ActionTraits {
        ActionTraits(
            effect: .repeatable,
            availability: .bringsBack,
            resource: "service \(service)",
            hasUndo: true,
            defaultTimeout: within * 3
        )
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        let started = try Service.step(service, "started", within: within)
        let look = try await context.unitSettings(service).findCommand(timeout: context.timeout)
        let hasSettings = try await context.requiredTarget().report(look)["settings"] == "yes"
        let hasJoined = try await context.hostFact(Self.rejoined) != nil
        switch try await started.observe(context) {
        case .done where !hasSettings && hasJoined:
            return .done(Evidence("the member runs, and has joined the new cluster"))
        case .notBegun(let why) where !hasSettings: return .notBegun(why)
        default: return .inDoubt("the member was on its way into the new cluster")
        }
    }

    /// Every piece may be found done: what was begun earlier is looked at, and gone on with.
    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        let node = target.etcdNode
        let seed = try await seed(context)
        let (name, urls) = try await identity(context)
        let deadline = ContinuousClock.now + within
        let list = try await list(name, urls, seed, context, until: deadline)
        let settings = try await context.unitSettings(
            service,
            ["initial-cluster": Self.initialCluster(list, name, urls), "initial-cluster-state": "existing"]
        )
        _ = try await target.report(settings.putCommand(timeout: context.timeout))
        _ = try await Service.step(service, "started", within: within).perform(context)
        try await promote(urls, seed, context, until: deadline)
        let health = try await catchUp(node, with: seed.etcdNode, until: deadline)
        _ = try await target.report(settings.removeCommand(timeout: context.timeout))
        let hash = try await compare([seed.etcdNode, node])
        try await context.replaceMemberID(by: health.memberID)
        try await context.record(Self.rejoined, "\(health.memberID)")
        return Evidence(
            "\(name) is member \(health.memberID) of \(health.list.voters.count) voters and equal to \(seed.host.name): \(hash)",
            ["member_id": "\(health.memberID)", "hash": "\(hash.hash)", "revision": "\(hash.revision)"]
        )
    }

    /// Stops it; the data that it got goes when what was set aside comes back.
    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        let stop = try Service.step(service, "stopped", within: within, mustBeClean: false)
        let evidence = try await stop.perform(context)
        _ = try await target.report(try await context.unitSettings(service).removeCommand(timeout: context.timeout))
        try await context.putMemberIDBack()
        try await context.record(Self.rejoined, "")
        return evidence
    }

    /// Of a host: its id in the new cluster, which it has joined.
    static let rejoined = "rejoined"

    // MARK: - Pieces

    private func seed(_ context: ActionContext) async throws(ActionFailure) -> ActionTarget {
        guard let name = try await context.fact(ReseedFact.seed),
            let seed = context.cluster.first(where: { $0.host.name == name })
        else {
            throw ActionFailure(
                "no member has founded a new cluster in this run",
                remedy: "put a step `etcd_new_cluster` before `etcd_rejoin`"
            )
        }
        return seed
    }

    private func identity(_ context: ActionContext) async throws(ActionFailure) -> (name: String, urls: [String]) {
        guard let name = try await context.hostFact(ReseedFact.name),
            let urls = try await context.hostFact(ReseedFact.peerURLs)
        else {
            throw ActionFailure(
                "name and peer URLs of the member are not known",
                remedy: "put `etcd_reseed_ready` under `preflight`"
            )
        }
        return (name, urls.split(separator: ",").map(String.init))
    }

    /// Who is in the new cluster, asked again while it has no answer: it may be without a leader for a moment, or
    /// its node out of reach.
    private func members(
        _ seed: ActionTarget,
        _ context: ActionContext,
        until deadline: ContinuousClock.Instant
    ) async throws(ActionFailure) -> MemberList {
        while true {
            switch await ClusterProbe.health([seed.etcdNode])[seed.host.name] {
            case .success(let health)?: return health.list
            case .failure(let error)? where error.code != .noAnswer && error.code != .node:
                throw ActionFailure("the new cluster cannot be asked for its members: \(error)")
            case let answer:
                let why = answer.flatMap { if case .failure(let error) = $0 { error.message } else { nil } } ?? ""
                try await wait("the new cluster does not name its members: \(why)", seed, context, until: deadline)
            }
        }
    }

    /// A moment, unless time is up.
    private func wait(
        _ why: String,
        _ seed: ActionTarget,
        _ context: ActionContext,
        until deadline: ContinuousClock.Instant
    ) async throws(ActionFailure) {
        guard ContinuousClock.now < deadline, !Task.isCancelled else {
            throw ActionFailure(
                "\(why), after \(within)",
                remedy: "look at the log of \(service) on \(seed.host.name)"
            )
        }
        context.progress(why)
        try? await Task.sleep(for: .milliseconds(300))
    }

    /// All members that have a name, and this one, as `initial-cluster` wants them.
    static func initialCluster(_ list: MemberList, _ name: String, _ urls: [String]) -> String {
        let others = list.members.filter { $0.isStarted && Set($0.peerURLs).isDisjoint(with: urls) }
        return
            (others.flatMap { member in member.peerURLs.map { "\(member.name)=\($0)" } } + urls.map { "\(name)=\($0)" })
            .joined(separator: ",")
    }

    /// Has the member in the list under a name that nobody came up with yet, or as the one that is up.
    private func list(
        _ name: String,
        _ urls: [String],
        _ seed: ActionTarget,
        _ context: ActionContext,
        until deadline: ContinuousClock.Instant
    ) async throws(ActionFailure) -> MemberList {
        var list = try await members(seed, context, until: deadline)
        let isLearner = try await context.fact(ReseedFact.hasLearners) == "yes"
        if let stale = Self.member(at: urls, in: list), !stale.isStarted, !isLearner, list.members.count == 2 {
            // The one that is there has no quorum to remove it, and all that was ever agreed on.
            try await empty(context)
            return list
        }
        if let stale = Self.member(at: urls, in: list), !stale.isStarted {
            // Who has not come up under this id may have left half of its data.
            list = try await change(seed, context, until: deadline) { list in
                list.members.contains { $0.id == stale.id } ? .remove(stale.id) : nil
            }
        }
        if Self.member(at: urls, in: list) != nil { return list }
        try await empty(context)
        try await context.facts.record(ReseedFact.hasAdded, "yes")
        return try await change(seed, context, until: deadline) { list in
            Self.member(at: urls, in: list) == nil ? .add(name: name, peerURLs: urls, isLearner: isLearner) : nil
        }
    }

    private func empty(_ context: ActionContext) async throws(ActionFailure) {
        _ = try await Service.step(service, "stopped", within: within, mustBeClean: false).perform(context)
        let data = MemberData(dataDir: dataDir, walDir: walDir, run: context.run)
        _ = try await context.requiredTarget().report(data.emptyCommand(timeout: context.timeout))
    }

    /// A learner may vote when it has caught up, which the leader judges.
    private func promote(
        _ urls: [String],
        _ seed: ActionTarget,
        _ context: ActionContext,
        until deadline: ContinuousClock.Instant
    ) async throws(ActionFailure) {
        let list = try await change(seed, context, until: deadline) { list in
            Self.member(at: urls, in: list).flatMap { $0.isLearner ? .promote($0.id) : nil }
        }
        if Self.member(at: urls, in: list) != nil { return }
        throw ActionFailure(
            "the member is not in the list of the new cluster any more",
            remedy: "look who removed it"
        )
    }

    private static func member(at urls: [String], in list: MemberList) -> ListedMember? {
        list.members.first { !Set($0.peerURLs).isDisjoint(with: urls) }
    }

    /// Changes the member list until there is nothing to change, however often the cluster says that it cannot do it yet.
    ///
    /// The list is read before each try, so that a change whose answer was lost is not made twice.
    private func change(
        _ seed: ActionTarget,
        _ context: ActionContext,
        until deadline: ContinuousClock.Instant,
        _ next: (MemberList) -> MembershipChange?
    ) async throws(ActionFailure) -> MemberList {
        while true {
            let list = try await members(seed, context, until: deadline)
            guard let change = next(list) else { return list }
            guard case .notYet(let why) = try await seed.change(change, context) else { continue }
            let what = "the new cluster does not take a change of its members yet: \(why)"
            try await wait(what, seed, context, until: deadline)
        }
    }

    private func catchUp(
        _ node: EtcdNode,
        with seed: EtcdNode,
        until deadline: ContinuousClock.Instant
    ) async throws(ActionFailure) -> MemberHealth {
        let index = await ClusterProbe.statuses([seed])[seed.name].flatMap { try? $0.get().raftAppliedIndex } ?? 0
        let left = max(.seconds(5), deadline - ContinuousClock.now)
        do throws(EtcdProbeError) {
            let outcome = try await HealthyScript(settings: node.settings, within: left, raftIndex: index).run(on: node)
            if outcome.isSettled, outcome.health.isHealthy { return outcome.health }
            let complaints =
                outcome.health.complaints + (outcome.isSettled ? [] : ["it has not come to raft index \(index)"])
            throw EtcdProbeError(.noAnswer, host: node.name, complaints.joined(separator: "; "))
        } catch {
            throw ActionFailure(
                "the member has joined, and is not healthy after \(DurationText.of(within)): \(error.message)",
                remedy: "look at the log of \(service) on \(node.name)"
            )
        }
    }

    private func compare(_ nodes: [EtcdNode]) async throws(ActionFailure) -> HashKV {
        let comparison = await ClusterProbe.compareHashes(nodes)
        if let hash = comparison.common { return hash }
        throw ActionFailure(
            "the member did not get the migrated data",
            problems: comparison.problems,
            remedy: "the member that founded the cluster has no snapshot behind the migration (etcd #8804)"
        )
    }
}
