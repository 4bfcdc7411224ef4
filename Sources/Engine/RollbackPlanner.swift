// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Foundation
import Journal
import Playbooks
import Rollout

/// A rollback that can be shown and performed: a run of its own, made from the run that it takes back.
package struct Rollback: Sendable {
    /// What was found of a member, and whether it is to be taken back.
    package struct Member: Sendable, Hashable {
        package var host: String
        package var found: String
        package var isWanted: Bool
    }

    package var origin: RunRecord
    package var request: RunRequest
    package var play: Play
    package var plan: Plan
    package var members: [Member]
    package var hosts: HostDirectory
    /// Hosts whose client ports the run had closed and did not open.
    package var closed: [String] = []
}

/// Makes the plan of a rollback: which run, which members, in which order.
package struct RollbackPlanner: Sendable {
    /// What the user asked for.
    package struct Wish: Sendable {
        /// The run's id or its beginning; `nil` for the newest run that changed members.
        package var run: String?
        /// A host pattern; `nil` for all members that the run changed.
        package var limit: String?
        package var extraVariables: [String]
        package var losesV3Writes: Bool
        /// The rollback's playbook; `nil` to look for the shipped one.
        package var playbook: String?

        package init(
            run: String? = nil,
            limit: String? = nil,
            extraVariables: [String] = [],
            losesV3Writes: Bool = false,
            playbook: String? = nil
        ) {
            self.run = run
            self.limit = limit
            self.extraVariables = extraVariables
            self.losesV3Writes = losesV3Writes
            self.playbook = playbook
        }
    }

    private let store: any RunStore
    private let connector: HostDirectory.Connector

    package init(store: any RunStore, connector: @escaping HostDirectory.Connector) {
        self.store = store
        self.connector = connector
    }

    /// Looks at the members, read-only, and plans.
    ///
    /// - Returns: the rollback; its plan has no host when there is nothing to take back.
    /// - Throws: ``RunControllerError`` when no run can be taken back or a member cannot be asked; `DiagnosticsError` when
    ///   the run's inputs are not valid any more.
    package func plan(_ wish: Wish) async throws -> Rollback {
        let origin = try await choose(wish.run)
        try await refuseOpenRollback(of: origin)
        let before = try JSONDecoder().decode(Plan.self, from: Data(origin.planJSON.utf8))
        let (request, play) = try inputs(of: origin, before.inputs.discovered, wish)
        let hosts = HostDirectory(play, connector: connector)
        let health = await ClusterProbe.health(hosts.readOnly().etcdNodes(of: play))
        let history = try await RunJournal(store: store, run: origin.id).history()
        let machine = RolloutMachine(plan: before, history: history)
        let changed = Set(before.hosts.filter { machine.progress(of: $0) != .untouched })
        let facts = try await store.facts(of: origin.id)
        let survey = RollbackSurvey(
            order: before.hosts,
            changed: changed.intersection(try selected(play, request, limit: wish.limit)),
            health: health,
            facts: facts
        )
        guard survey.unreachable.isEmpty else {
            await hosts.closeAll()
            throw RunControllerError(
                .unreachable,
                "nothing was changed; not every node could be asked:\n  "
                    + survey.unreachable.joined(separator: "\n  "),
                remedy: "`pawl check` looks at each host by itself"
            )
        }
        var plan = Planner.plan(play, Survey(order: survey.wanted, memberIDs: before.inputs.members))
        // An empty order means the inventory's to the planner.
        if survey.wanted.isEmpty { plan.hosts = [] }
        plan.down = survey.down
        return Rollback(
            origin: origin,
            request: request,
            play: play,
            plan: plan,
            members: survey.members,
            hosts: hosts,
            closed: before.hosts.filter { facts["\($0):\(FreezeWatch.run)"]?.isEmpty == false }
        )
    }

    // MARK: - Which run

    private func choose(_ name: String?) async throws -> RunRecord {
        if let name {
            let record = try await store.run(name)
            guard try await hasChangedMembers(record) else {
                throw RunControllerError(
                    .nothingToDo,
                    "run \(record.id) changed no member's data; there is nothing to take back"
                )
            }
            try refuseNewCluster(record)
            return record
        }
        for record in try await store.runs() where record.state != .rolledBack {
            guard try await hasChangedMembers(record) else { continue }
            try refuseNewCluster(record)
            return record
        }
        throw RunControllerError(.unknownRun, "no run in this state directory changed a member's data")
    }

    /// Whether a step that changes data, or the backup before it, was begun; a rollback itself is not taken back.
    private func hasChangedMembers(_ record: RunRecord) async throws -> Bool {
        guard record.state != .refused else { return false }
        let plan = try JSONDecoder().decode(Plan.self, from: Data(record.planJSON.utf8))
        guard plan.steps.contains(where: { $0.phase == .steps && $0.effect == .once }) else { return false }
        let machine = RolloutMachine(plan: plan, history: try await RunJournal(store: store, run: record.id).history())
        return plan.hosts.contains { machine.progress(of: $0) != .untouched }
    }

    /// Members that joined a new cluster have other ids than their backups, so they go back all together or not at all.
    private func refuseNewCluster(_ record: RunRecord) throws {
        let plan = try JSONDecoder().decode(Plan.self, from: Data(record.planJSON.utf8))
        guard plan.steps.contains(where: { $0.action == EtcdNewCluster.schema.word }) else { return }
        throw RunControllerError(
            .refused,
            "run \(record.id) made a new cluster of its members, which cannot be taken back one by one",
            remedy:
                "while it is halted, `pawl resume` goes on with it; by hand, with writers stopped: (1) stop etcd on all hosts; "
                + "(2) on each, move `member` in the data directory away, and a WAL directory that is elsewhere, and copy them "
                + "back from `tree` in the run's backup with `cp -a`; (3) start etcd on all hosts together. v3 writes since are lost"
        )
    }

    private func refuseOpenRollback(of origin: RunRecord) async throws {
        guard let name = try await store.fact(RollbackOrigin.rolledBackBy, of: origin.id),
            let rollback = try? await store.run(name), rollback.state == .running,
            try await store.controller() != nil
        else { return }
        throw RunControllerError(.refused, "run \(name) is at work on taking run \(origin.id) back")
    }

    // MARK: - Inputs

    private func selected(_ play: Play, _ request: RunRequest, limit: String?) throws -> Set<String> {
        guard let limit else { return Set(play.hosts) }
        let names = try Inventory.load(request.inventory).hosts(matching: "all", limit: limit).map(\.name)
        return Set(names)
    }

    /// The rollback's playbook over the run's inventory, with the variables that the run's own playbook gave, and with
    /// what was discovered then.
    private func inputs(
        of origin: RunRecord,
        _ discovered: [String: [String: String]],
        _ wish: Wish
    ) throws -> (RunRequest, Play) {
        let past = try RunRequest(origin)
        var request = RunRequest(
            playbook: try playbook(wish.playbook, beside: past.playbook),
            inventory: past.inventory,
            limit: past.limit,
            extraVariables: past.extraVariables + wish.extraVariables + ["rollback_of=\(origin.id)"]
                + (wish.losesV3Writes ? ["lose_v3_writes=true"] : [])
        )
        let play = try PlayLoader.load(request, discovered: discovered)
        let differing = Self.differences(try PlayLoader.load(past, discovered: discovered), play)
        guard !differing.isEmpty else { return (request, play) }
        request.extraVariables.append(Value.map(differing).json())
        return (request, try PlayLoader.load(request, discovered: discovered))
    }

    /// Variables of etcd that the run's playbook gave and the rollback's does not, where all hosts have the same.
    ///
    /// What differs from host to host comes from the inventory, which both have.
    static func differences(_ past: Play, _ play: Play) -> [String: Value] {
        var found: [String: Value] = [:]
        let names = EtcdSettings.variableNames.union(["etcd_start", "etcd_stop", "etcd_status"])
        for name in names {
            let values = Set(past.allHosts.values.filter { past.hosts.contains($0.name) }.map { $0.variables[name] })
            guard values.count == 1, let value = values.first ?? nil else { continue }
            if play.hosts.contains(where: { play.allHosts[$0]?.variables[name] != value }) { found[name] = value }
        }
        return found
    }

    private func playbook(_ given: String?, beside other: String) throws -> String {
        if let given { return given }
        let name = "rollback_etcd.yaml"
        let program = URL(filePath: CommandLine.arguments.first ?? "").deletingLastPathComponent()
        let places = [
            URL(filePath: other).deletingLastPathComponent().appending(path: name).path,
            "playbooks/\(name)",
            program.appending(path: "../share/pawl/playbooks/\(name)").path,
        ]
        if let found = places.first(where: FileManager.default.fileExists(atPath:)) { return found }
        throw RunControllerError(
            .refused,
            "the playbook of the rollback is in none of these places: \(places.joined(separator: ", "))",
            remedy: "name it with --playbook"
        )
    }
}

/// What the members show before a rollback, and what follows for who is taken back, and in which order.
struct RollbackSurvey: Sendable {
    /// Hosts to be taken back, in order.
    private(set) var wanted: [String] = []
    /// Those of them whose member is down.
    private(set) var down: Set<String> = []
    private(set) var unreachable: [String] = []
    private(set) var members: [Rollback.Member] = []

    /// Members that are down come first, because nobody else may be stopped before they serve; then those that were
    /// changed last; the leader at the end, so that the cluster elects a new one once.
    init(
        order: [String],
        changed: Set<String>,
        health: [String: Result<MemberHealth, EtcdProbeError>],
        facts: [String: String]
    ) {
        var leading: [String] = []
        var serving: [String] = []
        var stopped: [String] = []
        for host in order.reversed() {
            let isChanged = changed.contains(host)
            switch health[host] {
            case .success(let answer)?:
                let before = facts["\(host):v3_revision"].flatMap { Int64($0) } ?? 1
                let isBack = answer.status.revision == before
                let isWanted = isChanged && !isBack
                let what =
                    isBack
                    ? "its v3 store is as before the run" : "v3 revision \(answer.status.revision), before \(before)"
                members.append(.init(host: host, found: "serves, \(what)", isWanted: isWanted))
                guard isWanted else { continue }
                if answer.memberID == answer.status.leader { leading.append(host) } else { serving.append(host) }
            case .failure(let error)? where error.code == .node:
                unreachable.append("\(error)")
            case .failure(let error)?:
                members.append(.init(host: host, found: "down: \(error.message)", isWanted: isChanged))
                if isChanged { stopped.append(host) }
            case nil:
                unreachable.append("\(host): not asked")
            }
        }
        wanted = stopped + serving + leading
        down = Set(stopped)
        members.reverse()
    }
}
