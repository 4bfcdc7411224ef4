// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_rollback_ready`: everything that must be known before the first member is taken back, all findings at once.
///
/// It reads every backup whole, says which way back each member takes and why, and refuses what would lose acknowledged
/// writes.
package struct EtcdRollbackReady: Action {
    package static let schema = ActionSchema(
        word: "etcd_rollback_ready",
        summary: """
            Check that members can be taken back to before a run: backups are sound, the others are healthy, nothing \
            acknowledged would be lost. Belongs to `pawl rollback`. Changes nothing.
            """,
        parameters: [
            .init("run", .string, required: true, "The run that is taken back."),
            .init(
                "lose_v3_writes",
                .boolean,
                default: .bool(false),
                "Whether what was written to v3 since the migration may be given up."
            ),
        ],
        example: """
            - etcd_rollback_ready: { run: 20261121-101500-k7wx, lose_v3_writes: false }
            """
    )
    package static let scope = ActionScope.cluster

    private let run: String
    private let mayLoseV3Writes: Bool

    package init(_ parameters: Parameters) throws(ActionFailure) {
        run = parameters.string("run") ?? ""
        mayLoseV3Writes = parameters.boolean("lose_v3_writes") ?? false
    }

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(3600)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a check is made anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the step only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard !run.isEmpty, try await context.fact(RollbackFact.origin) == run else {
            throw ActionFailure(
                "what must be known of the run '\(run)' is not on record here",
                remedy: "use `pawl rollback RUN` with the state directory in which the run was recorded"
            )
        }
        let scope = try await RollbackScope(context)
        let answers = await ClusterProbe.facts(context.etcdNodes)
        let members = answers.compactMapValues { try? $0.get() }
        var problems = try await sickness(answers, scope, context)
        let stray = try await V3Writes(members, scope, context)
        problems += try await refusals(stray, members, scope, context)
        let backups = await BackupReview(scope, context).read()
        var ways: [String: MigrationRestore] = [:]
        for (name, result) in backups.sorted(by: { $0.key < $1.key }) {
            do throws(ActionFailure) {
                guard let state = try result.get() else { continue }
                let way = way(of: name, state, scope, isV3Written: stray.isAny)
                ways[name] = way
                if case .refused(let message, let remedy) = way {
                    problems.append("\(name): \(message); \(remedy)")
                } else if case .indexed = way, let node = members[name]?.node, !node.etcdctlHasMigrate {
                    problems.append("\(name): \(way.reason), which needs an etcdctl with `migrate` (3.0.14 to 3.4)")
                }
                if members.isEmpty, !state.isWALUnchanged { problems.append(nobodyServes(name, context)) }
            } catch {
                let remedy = error.isMissingMember ? await MemberReplacement(context, host: name).text : error.remedy
                problems.append("\(name): \(ActionFailure(error.message, remedy: remedy))")
            }
        }
        guard problems.isEmpty else {
            throw ActionFailure(
                "run \(run) cannot be taken back as things are; nothing was changed",
                problems: problems
            )
        }
        return try await record(ways, stray, members, scope, context)
    }

    // MARK: - What stands against it

    /// Members that must serve and do not, or are not who they were.
    private func sickness(
        _ answers: [String: Result<MemberFacts, EtcdProbeError>],
        _ scope: RollbackScope,
        _ context: ActionContext
    ) async throws(ActionFailure) -> [String] {
        var problems: [String] = []
        var healths: [String: MemberHealth] = [:]
        for (name, answer) in answers.sorted(by: { $0.key < $1.key }) {
            switch answer {
            case .success(let facts):
                healths[name] = facts.health
                if !facts.health.isHealthy {
                    problems.append("\(name) is not healthy: \(facts.health.complaints.joined(separator: "; "))")
                }
                if let recorded = try await context.fact("member_id", of: name), recorded != "\(facts.memberID)" {
                    problems.append("\(name) is member \(facts.memberID) now, and was \(recorded) when the run began")
                }
            case .failure(let error):
                if scope.down.contains(name), error.code != .node { continue }
                problems.append("\(error)")
            }
        }
        return problems
            + ClusterFacts.membershipProblems(
                healths,
                hosts: Set(answers.keys),
                clusterID: try await context.fact("cluster_id").flatMap { EtcdID(hexadecimal: $0) }
            )
    }

    private func refusals(
        _ stray: V3Writes,
        _ members: [String: MemberFacts],
        _ scope: RollbackScope,
        _ context: ActionContext
    ) async throws(ActionFailure) -> [String] {
        guard stray.isAny else { return [] }
        if !mayLoseV3Writes {
            return stray.lines + [
                "taking the members back would lose these writes; --lose-v3-writes (lose_v3_writes: true) gives them up"
            ]
        }
        for line in stray.lines { context.progress("given up: \(line)") }
        var problems = scope.wanted.filter(scope.down.contains).sorted().map {
            "\($0) is down, and would get the v3 writes from the others when it starts; \(Self.letStart($0, context))"
        }
        if !scope.isLimited {
            problems += stray.hosts.filter { !scope.wanted.contains($0) }.map {
                "\($0) holds v3 writes and was not changed by the run, so that nothing can take it back to before them"
            }
        }
        return problems
    }

    /// Whether v3 was written to since is asked of those who serve; where nobody does, a start cannot be told from a write.
    private func nobodyServes(_ name: String, _ context: ActionContext) -> String {
        "\(name) was started since its backup, and no member serves that could tell whether v3 was written to; "
            + Self.letStart(name, context)
    }

    /// How a member that an earlier run holds down is started by hand.
    private static func letStart(_ name: String, _ context: ActionContext) -> String {
        let service = context.etcdNodes.first { $0.name == name }?.settings.service ?? "etcd"
        let variables = context.cluster.first { $0.host.name == name }?.variables ?? [:]
        let state = NodeState(variables: variables).directory ?? "/var/lib/pawl"
        let holds = "\(ShellQuoting.quote(state))/service/\(ColdBackup.fileName(name)).*.hold"
        return "start it first: rm -f \(holds); systemctl start \(service)"
    }

    // MARK: - The way back

    /// What will be done with a member, as far as it can be told before it is stopped.
    private func way(
        of name: String,
        _ state: MigrationState,
        _ scope: RollbackScope,
        isV3Written: Bool
    ) -> MigrationRestore {
        // A member that serves will be stopped first; everything else is as it is.
        var stopped = state
        if !scope.down.contains(name) {
            stopped.isRunning = false
            if state.isRunning { stopped.isWALUnchanged = false }
        }
        return MigrationRestore.rollback(stopped, isV3Written: isV3Written)
    }

    private func record(
        _ ways: [String: MigrationRestore],
        _ stray: V3Writes,
        _ members: [String: MemberFacts],
        _ scope: RollbackScope,
        _ context: ActionContext
    ) async throws(ActionFailure) -> Evidence {
        var values: [String: String] = [:]
        for name in scope.wanted.sorted() {
            let way = ways[name]
            let text = way.map { "\($0.kind): \($0.reason)" } ?? "start: no data was changed without a backup"
            values["\(name):way"] = text
            context.progress("\(name): \(text)")
        }
        for (name, facts) in members {
            try await context.facts.record("\(name):\(RollbackFact.revision)", "\(facts.status.revision)")
        }
        var isUnchanged = false
        if case .success(let print)? = members.sorted(by: { $0.key < $1.key }).first?.value.fingerprint {
            isUnchanged = try await context.isAsFrozen(print)
            if !isUnchanged { context.progress("v2 was written to since the run; what was written stays") }
        }
        try await context.facts.record(RollbackFact.v2Unchanged, isUnchanged ? "yes" : "no")
        // Last: its presence says that the others are there.
        try await context.facts.record(RollbackFact.v3Written, stray.isAny ? "yes" : "no")
        let kinds = ways.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.kind)" }.joined(separator: ", ")
        return Evidence(
            "\(scope.wanted.count) members can be taken back to before \(run)" + (kinds.isEmpty ? "" : ": \(kinds)")
                + (stray.isAny ? "; v3 writes are given up" : ""),
            values
        )
    }
}
