// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Journal
import Playbooks
import Rollout

/// Takes a request to its verdict: survey, plan, journal, engine, conclusion.
///
/// What the commands call.
package struct RunController: Sendable {
    private let store: any RunStore
    private let connector: HostDirectory.Connector
    /// As the user would repeat it, for the commands that reports print: `--state DIR`.
    private let stateArguments: String
    private let version: String
    /// The command of pawl that is at work.
    private let command: RepeatedCommands.Command

    package init(
        store: any RunStore,
        connector: @escaping HostDirectory.Connector,
        stateArguments: String,
        version: String,
        command: RepeatedCommands.Command = .run
    ) {
        self.store = store
        self.connector = connector
        self.stateArguments = stateArguments
        self.version = version
        self.command = command
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
    ///   - observer: the view.
    ///   - signals: SIGINT and SIGTERM.
    /// - Returns: the last words and the exit code.
    /// - Throws: ``JournalError`` when the run cannot be put on record, or another controller holds the journal;
    ///   ``RunControllerError`` when another controller holds the cluster.
    package func run(
        _ plan: Plan,
        of play: Play,
        request: RunRequest,
        over hosts: HostDirectory,
        locks: LockSurvey? = nil,
        observer: any RunObserver,
        signals: AsyncStream<RunEngine.Signal>
    ) async throws -> RunConclusion {
        let run = RunName.new()
        let lock = try await store.acquireController(run: run)
        defer { lock.release() }
        let open = OpenRun(id: run, plan: plan, play: play, request: request, history: [])
        let reason = plan.steps.contains { $0.action == EtcdRollback.schema.word } ? "rollback" : "run"
        return try await holdingCluster(for: open, reason, over: hosts, locks) { cluster in
            try await store.create(try record(run, plan, request))
            return try await perform(open, over: hosts, cluster, observer, signals)
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
        let request = try RunRequest(record)
        let play = try PlayLoader.load(request)
        let plan = try JSONDecoder().decode(Plan.self, from: Data(record.planJSON.utf8))
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
    /// - Throws: ``JournalError`` when another controller holds the journal or it cannot be written.
    package func resume(
        _ open: OpenRun,
        observer: any RunObserver,
        signals: AsyncStream<RunEngine.Signal>
    ) async throws -> RunConclusion {
        let lock = try await store.acquireController(run: open.id)
        defer { lock.release() }
        let hosts = HostDirectory(open.play, connector: connector)
        return try await holdingCluster(for: open, "resume", over: hosts, nil) { cluster in
            // Another controller may have gone on between the reading and the lock.
            var open = open
            open.history = try await RunJournal(store: store, run: open.id).history()
            return try await perform(open, over: hosts, cluster, observer, signals)
        }
    }

    private func resumable(_ name: String?) async throws -> RunRecord {
        if let name {
            let record = try await store.run(name)
            try await RollbackOrigin.refuseResume(of: record, in: store)
            guard record.state != .done, record.state != .rolledBack else {
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
    private func refuseDrift(of play: Play, from plan: Plan, run: String) throws {
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

    /// Takes the lock on the nodes, and gives it back also when the run cannot be begun.
    private func holdingCluster(
        for open: OpenRun,
        _ reason: String,
        over hosts: HostDirectory,
        _ seen: LockSurvey?,
        _ body: (ClusterLock?) async throws -> RunConclusion
    ) async throws -> RunConclusion {
        // A look that keeps no journal changes nothing.
        guard command == .run else { return try await body(nil) }
        let cluster = try await ClusterLock.acquire(
            for: .init(run: open.id, reason: reason, unlock: open.request.unlockCommand),
            on: LockNodes(open.play, hosts),
            seen: seen
        )
        do {
            return try await body(cluster)
        } catch {
            _ = await cluster.release()
            throw error
        }
    }

    private func perform(
        _ open: OpenRun,
        over hosts: HostDirectory,
        _ cluster: ClusterLock?,
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
        var runner = StepRunner(run: open.id, play: open.play, hosts: hosts, facts: facts)
        if let cluster { runner.guards = { _, host in [cluster.fence(on: host)] } }
        let engine = RunEngine(
            run: open.id,
            plan: open.plan,
            runner: runner,
            quorum: QuorumObserver(play: open.play, hosts: hosts, members: open.plan.inputs.members, lock: cluster),
            journal: RunJournal(store: store, run: open.id),
            observer: observer,
            facts: facts
        )
        await engine.tell(.runStarted(open.header))
        for gone in cluster?.replaced ?? [] {
            await engine.announce("took the lock over, its process is gone: \(gone)")
        }
        let result = await engine.perform(history: open.history, signals: signals)
        async let left = leave(cluster, after: result)
        let look = result.verdict == .done ? [:] : await ClusterLook.members(of: open.play, hosts)
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
        if result.verdict == .done {
            let sweep = NodeSweep(run: open.id, play: open.play, hosts: hosts)
            for trouble in await sweep.sweep(open.plan) {
                let text = "files of this run are left on the node: \(trouble.reason)"
                await engine.tell(.notice(Notice(.warning, host: trouble.host, text)))
            }
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

    private func record(_ run: String, _ plan: Plan, _ request: RunRequest) throws -> RunRecord {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return RunRecord(
            id: run,
            createdAt: Date(),
            playbookPath: request.playbook,
            inventoryPaths: request.inventory,
            limit: request.limit,
            extraVariablesJSON: String(
                decoding: try encoder.encode(["arguments": request.extraVariables]),
                as: UTF8.self
            ),
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
