// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Journal
import Playbooks
import Remote
import Rollout

/// Takes a request to its verdict: survey, plan, journal, engine, conclusion.
///
/// What the commands call.
package struct RunController: Sendable {
    let store: any RunStore
    let connector: HostDirectory.Connector
    /// As the user would repeat it, for the commands that reports print: `--state DIR`.
    let stateArguments: String
    let version: String
    /// The command of pawl that is at work.
    let command: RepeatedCommands.Command
    /// How long after the first signal the current member may take to come to a safe point.
    private let grace: Duration

    package init(
        store: any RunStore,
        connector: @escaping HostDirectory.Connector,
        stateArguments: String,
        version: String,
        command: RepeatedCommands.Command = .run,
        grace: Duration = RunEngine.defaultGrace
    ) {
        self.store = store
        self.connector = connector
        self.stateArguments = stateArguments
        self.version = version
        self.command = command
        self.grace = grace
    }

    // MARK: - A new run

    /// Performs a plan to its verdict.
    ///
    /// - Parameters:
    ///   - plan: made from this play, and shown to the user.
    ///   - play: inventory, playbook and variables.
    ///   - request: kept in the journal for a later resume.
    ///   - hosts: the ways to the nodes, as the survey used them.
    ///   - locks: what the survey saw of the nodes' locks; `nil` to look now.
    ///   - superseding: what the nodes may be in the middle of.
    ///   - observer: the view.
    ///   - signals: SIGINT and SIGTERM.
    /// - Returns: the last words and the exit code.
    /// - Throws: ``JournalError`` when the run cannot be put on record, or another controller holds the journal;
    ///   ``RunControllerError`` when another controller holds the cluster, or the nodes are in the middle of another run.
    package func run(
        _ plan: Plan,
        of play: Play,
        request: RunRequest,
        over hosts: HostDirectory,
        locks: LockSurvey? = nil,
        superseding: Supersession = .nothing,
        observer: any RunObserver,
        signals: AsyncStream<RunEngine.Signal>
    ) async throws -> RunConclusion {
        let run = RunName.new()
        let lock = try await store.acquireController(run: run)
        defer { lock.release() }
        let open = OpenRun(id: run, plan: plan, play: play, request: request, history: [])
        let reason = plan.steps.contains { $0.action == EtcdRollback.schema.word } ? "rollback" : "run"
        return try await holdingCluster(for: open, reason, over: hosts, locks) { admission in
            let stale = try await free(open, over: hosts, admission, superseding)
            try await store.create(try record(run, plan, request))
            return try await perform(open, over: hosts, admission, replacing: stale, observer, signals)
        }
    }

    /// Makes sure that the nodes are free for a new run.
    ///
    /// Who is at work on them is told before what they are in the middle of, and nothing is given up without the lock.
    private func free(
        _ open: OpenRun,
        over hosts: HostDirectory,
        _ admission: LockAdmission?,
        _ superseding: Supersession
    ) async throws -> [String] {
        if case .everything = superseding, let refusal = await admission?.refusal { throw refusal }
        do {
            return try await prepareNodes(for: open.id, of: open.play, open.request, over: hosts, superseding)
        } catch {
            if let refusal = await admission?.refusal { throw refusal }
            throw error
        }
    }

    // MARK: - Resume

    /// Reads a run that did not end, with its inputs as they are now.
    ///
    /// - Parameter name: the run's id or the beginning of it; `nil` for the newest run that is open.
    /// - Returns: the run, ready for ``resume(_:observer:signals:)``.
    /// - Throws: ``RunControllerError`` when there is nothing to resume or the inputs have changed;
    ///   `DiagnosticsError` when they have become invalid.
    package func open(_ name: String?) async throws -> OpenRun {
        let record = try await resumable(name)
        return try await open(record, try RunRequest(record))
    }

    func open(_ record: RunRecord, _ request: RunRequest) async throws -> OpenRun {
        let plan = try JSONDecoder().decode(Plan.self, from: Data(record.planJSON.utf8))
        let play = try PlayLoader.load(request, discovered: plan.inputs.discovered)
        try refuseDrift(of: play, from: plan, run: record.id)
        let history = try await RunJournal(store: store, run: record.id).history()
        return OpenRun(id: record.id, plan: plan, play: play, request: request, history: history)
    }

    /// Goes on with a halted, interrupted or killed run.
    ///
    /// - Parameters:
    ///   - open: what ``open(_:)`` found.
    ///   - observer: the view.
    ///   - signals: SIGINT and SIGTERM.
    /// - Returns: the last words and the exit code.
    /// - Throws: ``JournalError`` when another controller holds the journal or it cannot be written;
    ///   ``RunControllerError`` when the nodes know more of the run than the journal does.
    package func resume(
        _ open: OpenRun,
        observer: any RunObserver,
        signals: AsyncStream<RunEngine.Signal>
    ) async throws -> RunConclusion {
        let lock = try await store.acquireController(run: open.id)
        defer { lock.release() }
        let hosts = HostDirectory(open.play, connector: connector)
        return try await holdingCluster(for: open, "resume", over: hosts, nil) { admission in
            if let refusal = await admission?.refusal { throw refusal }
            let stale = try await demandAgreement(of: open, over: hosts)
            // Another controller may have gone on between the reading and the lock, or the nodes knew more.
            var open = open
            open.history = try await RunJournal(store: store, run: open.id).history()
            return try await perform(open, over: hosts, admission, replacing: stale, observer, signals)
        }
    }

    func resumable(_ name: String?) async throws -> RunRecord {
        if let name {
            let record = try await store.run(name)
            try await RollbackOrigin.refuseResume(of: record, in: store)
            guard ![.done, .abandoned, .rolledBack].contains(record.state) else {
                throw RunControllerError(
                    .nothingToDo,
                    "run \(record.id) is \(record.state.rawValue); there is nothing to resume"
                )
            }
            return record
        }
        guard let open = try await store.latestRun(in: [.running, .halted, .interrupted]) else {
            throw RunControllerError(.unknownRun, "no run in this state directory is open")
        }
        try await RollbackOrigin.refuseResume(of: open, in: store)
        return open
    }

    /// A changed way to a host is no drift; a changed step is.
    func refuseDrift(of play: Play, from plan: Plan, run: String) throws {
        let now = Planner.plan(play, Survey(order: plan.hosts, memberIDs: plan.inputs.members))
        let current = Dictionary(uniqueKeysWithValues: now.steps.map { ($0.id, $0) })
        let changed = plan.steps.filter { current[$0.id]?.digest != $0.digest }
        guard changed.isEmpty, now.steps.count == plan.steps.count, Set(now.hosts) == Set(plan.hosts) else {
            let names = changed.prefix(5).map { "\($0.id) (\($0.name))" }.joined(separator: ", ")
            let what = names.isEmpty ? "hosts or steps were added" : "changed or gone: \(names)"
            throw RunControllerError(
                .drift,
                "run \(run) was planned from other inputs than inventory, playbook and variables give now; \(what)",
                remedy: "put the inputs back as they were, or start a new run"
            )
        }
    }

    // MARK: - Both

    /// Begins to take the lock on the nodes, and gives it back also when the run cannot be begun.
    private func holdingCluster(
        for open: OpenRun,
        _ reason: String,
        over hosts: HostDirectory,
        _ seen: LockSurvey?,
        _ body: (LockAdmission?) async throws -> RunConclusion
    ) async throws -> RunConclusion {
        // A look that keeps no journal changes nothing.
        guard command == .run else { return try await body(nil) }
        let nodes = LockNodes(open.play, hosts)
        let survey = if let seen { seen } else { await nodes.look(at: nodes.nodes.keys) }
        let purpose = ClusterLock.Purpose(run: open.id, reason: reason, unlock: open.request.unlockCommand)
        try await ClusterLock.demandFree(survey, by: purpose.run, unlock: purpose.unlock, on: nodes)
        let admission = LockAdmission(replacing: Set(survey.sights.values.compactMap(\.lock))) {
            () async throws(RunControllerError) in
            try await ClusterLock.acquire(for: purpose, on: nodes, seen: survey)
        }
        do {
            return try await body(admission)
        } catch {
            _ = await admission.release()
            throw error
        }
    }

    private func perform(
        _ open: OpenRun,
        over hosts: HostDirectory,
        _ admission: LockAdmission?,
        replacing stale: [String],
        _ observer: any RunObserver,
        _ signals: AsyncStream<RunEngine.Signal>
    ) async throws -> RunConclusion {
        let process = ProcessInfo.processInfo
        try await store.setState(of: open.id, .running)
        try await store.setController(
            of: open.id,
            host: process.hostName,
            pid: process.processIdentifier,
            version: version
        )
        let facts = JournalledFacts(store: store, run: open.id)
        let origin = RollbackOrigin(of: open.play, run: open.id, store: store)
        try await origin?.carry(to: open.plan)
        let openRuns = try await store.runs().filter { $0.isOpen && $0.id != open.id }.map(\.id)
        try await store.recordFact(Backup.openRuns, openRuns.joined(separator: " "), of: open.id)
        let ledger = try await replicaLedger(of: open)
        let fence: @Sendable (String) -> [any MutationGuard] = { host in admission.map { [$0.fence(on: host)] } ?? [] }
        // The lock first: a controller that has lost it must not write its replica either.
        let runner = StepRunner(run: open.id, play: open.play, hosts: hosts, facts: facts) { call, host in
            fence(host) + [replicaGuard(ledger, call, host, of: open.play, over: hosts, replacing: stale)]
        }
        let engine = RunEngine(
            run: open.id,
            plan: open.plan,
            runner: runner,
            quorum: QuorumObserver(
                play: open.play,
                hosts: hosts,
                members: open.plan.inputs.members,
                admission: admission
            ),
            journal: RunJournal(store: store, run: open.id),
            observer: observer,
            facts: facts,
            grace: grace,
            admission: admission
        )
        await engine.tell(.runStarted(open.header))
        for gone in admission?.replaced ?? [] {
            await engine.announce("takes the lock over, whose process is gone: \(gone)")
        }
        let keeper = FreezeKeeper(play: open.play, hosts: hosts, facts: facts, fence: fence)
        await keeper.begin(open.plan)
        let keeping = Task { await keeper.keep(open.plan) }
        let result = await engine.perform(history: open.history, signals: signals)
        keeping.cancel()
        await keeping.value
        if let refusal = await admission?.refusal {
            try await store.setState(of: open.id, .refused, exitCode: refusal.exitCode)
            await hosts.closeAll()
            throw refusal
        }
        await tellNodes(
            RunState(result.verdict),
            of: open,
            ledger,
            engine,
            over: hosts,
            behind: fence,
            replacing: stale
        )
        if result.verdict != .done, await admission?.refusal == nil, let news = await keeper.leave() {
            await engine.announce(news)
        }
        let sweep = NodeSweep(run: open.id, origin: origin?.origin, play: open.play, hosts: hosts)
        // Under the lock: unlike a run that is done, this one may have been taken over.
        let removed = result.isTakenBack ? await sweep.sweep(open.plan, behind: fence) : []
        async let left = leave(await admission?.lock, after: result)
        async let swept = result.verdict == .done ? sweep.sweep(open.plan) : []
        let isProvenNow = result.verdict == .done && result.hasPerformed
        let look = isProvenNow ? [:] : await ClusterLook.members(of: open.play, hosts)
        if result.verdict == .done { await warn(of: look, engine) }
        let conclusion = await RunConclusion.draw(
            from: .init(
                run: open.id,
                play: open.play,
                result: result,
                facts: facts,
                look: look,
                commands: RepeatedCommands(
                    command: command,
                    request: open.request,
                    state: stateArguments,
                    rollbackOf: origin?.origin
                )
            )
        )
        for warning in await left { await engine.tell(.notice(Notice(.warning, warning))) }
        await engine.tell(conclusion.kind)
        for trouble in await swept + removed {
            let text = "files of this run are left on the node: \(trouble.reason)"
            await engine.tell(.notice(Notice(.warning, host: trouble.host, text)))
        }
        // The verdict is on the screen already; a journal that cannot take it must not hide it.
        do {
            if result.verdict == .done { try await origin?.close(open.plan) }
            try await store.setState(of: open.id, RunState(result.verdict), exitCode: conclusion.exitCode)
        } catch {
            await engine.tell(.notice(Notice(.warning, "the verdict is not in the journal: \(error)")))
        }
        await hosts.closeAll()
        return conclusion
    }

    /// A run that had come to its end before, but for telling so, was proven then; how the members are now is another
    /// question.
    private func warn(of look: [String: ClusterLook], _ engine: RunEngine) async {
        for (host, look) in look.sorted(by: { $0.key < $1.key }) where !look.isWell {
            let text = "the run had come to its end before, and this member is not well now: \(look.words)"
            await engine.tell(.notice(Notice(.warning, host: host, text)))
        }
    }

    /// Gives the lock back at an orderly end; it stays while a step that nobody waited for may be at work.
    private func leave(_ cluster: ClusterLock?, after result: RunEngine.Result) async -> [String] {
        guard let cluster else { return [] }
        if result.machine.isAnyStepInFlight {
            return [
                "a step was left at work, so the lock stays on the nodes; `pawl resume` on this machine takes it over"
            ]
        }
        return await cluster.release().sorted { $0.key < $1.key }.map { host, why in
            "\(host): the lock could not be given back: \(why)"
        }
    }

    func extraVariablesJSON(_ request: RunRequest) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(["arguments": request.extraVariables]), as: UTF8.self)
    }

    private func record(_ run: String, _ plan: Plan, _ request: RunRequest) throws -> RunRecord {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return RunRecord(
            id: run,
            createdAt: Date(),
            playbookPath: request.playbook,
            inventoryPaths: request.inventory,
            limit: request.limit,
            extraVariablesJSON: try extraVariablesJSON(request),
            planJSON: String(decoding: try encoder.encode(plan), as: UTF8.self),
            planDigest: try plan.digest(),
            state: .running,
            exitCode: nil,
            endedAt: nil,
            controllerHost: ProcessInfo.processInfo.hostName,
            controllerPID: ProcessInfo.processInfo.processIdentifier,
            version: version
        )
    }
}

extension Plan {
    /// SHA-256 of the plan; a plan file and a journal name the plan by it.
    package func digest() throws -> String { try Digest.sha256(json: self) }
}

extension RunRecord {
    /// Whether it may still be gone on with or taken back step by step, so that its backups are needed.
    var isOpen: Bool { [.running, .halted, .interrupted].contains(state) }
}

extension RunState {
    init(_ verdict: Verdict) {
        self =
            switch verdict {
            case .done: .done
            case .refused: .refused
            case .halted, .drifted: .halted
            case .interrupted: .interrupted
            }
    }
}

extension RunRequest {
    init(_ record: RunRecord) throws {
        let extra = try JSONDecoder().decode([String: [String]].self, from: Data(record.extraVariablesJSON.utf8))
        self.init(
            playbook: record.playbookPath,
            inventory: record.inventoryPaths,
            limit: record.limit,
            extraVariables: extra["arguments"] ?? []
        )
    }
}
