// SPDX-License-Identifier: Apache-2.0

import Journal
import Remote
import Rollout

/// One performance of a run: the engine with all that it works with, from its first event to the last words.
struct RunPerformance: Sendable {
    let controller: RunController
    let open: OpenRun
    let hosts: HostDirectory
    /// The lock that it holds; `nil` for a look.
    let lock: ClusterLock?
    /// Runs whose replicas on the nodes are replaced.
    let stale: [String]
    let facts: JournalledFacts
    /// Of a rollback: the run that is taken back.
    let origin: RollbackOrigin?
    let ledger: ReplicaLedger

    /// Performs it.
    ///
    /// - Parameters:
    ///   - observer: the view.
    ///   - signals: SIGINT and SIGTERM.
    /// - Returns: the last words and the exit code.
    func run(_ observer: any RunObserver, _ signals: AsyncStream<RunEngine.Signal>) async -> RunConclusion {
        let engine = engine(observer)
        await engine.tell(.runStarted(open.header))
        for gone in lock?.replaced ?? [] {
            await engine.announce("takes the lock over, whose process is gone: \(gone)")
        }
        let keeper = FreezeKeeper(play: open.play, hosts: hosts, facts: facts, fence: fence)
        await keeper.begin(open.plan)
        let keeping = Task { await keeper.keep(open.plan) }
        let result = await engine.perform(history: open.history, signals: signals)
        keeping.cancel()
        await keeping.value
        let leaving = LeaveTaking(isDone: result.verdict == .done)
        let closing = await closing()
        if let lock, result.verdict == .done, !result.machine.isAnyStepInFlight {
            await sayFarewell(to: lock, closing, engine, leaving)
            return await conclude(result, await look(after: result), engine)
        }
        if let closing { await tellNodes(RunState(result.verdict), closing, engine, leaving) }
        if result.verdict != .done, let news = await keeper.leave() {
            await engine.announce(news)
        }
        async let look = look(after: result)
        await leaveNodes(after: result, engine, leaving)
        return await conclude(result, await look, engine)
    }

    /// The lock in front of each change on a node.
    private var fence: @Sendable (String) -> [any MutationGuard] {
        let lock = lock
        return { host in lock.map { [$0.fence(on: host)] } ?? [] }
    }

    private func engine(_ observer: any RunObserver) -> RunEngine {
        // The lock first: a controller that has lost it must not write its replica either.
        let runner = StepRunner(run: open.id, play: open.play, hosts: hosts, facts: facts) { [self, fence] call, host in
            let replica = controller.replicaGuard(ledger, call, host, of: open.play, over: hosts, replacing: stale)
            return fence(host) + [replica]
        }
        return RunEngine(
            run: open.id,
            plan: open.plan,
            runner: runner,
            quorum: QuorumObserver(
                play: open.play,
                hosts: hosts,
                members: open.plan.inputs.members,
                lock: lock
            ),
            journal: RunJournal(store: controller.store, run: open.id),
            observer: observer,
            facts: facts,
            grace: controller.grace
        )
    }

    // MARK: - Leaving the nodes

    /// What is told to the nodes at the end; `nil` where they were told nothing before.
    private func closing() async -> ReplicaClosing? {
        guard controller.keepsReplicas else { return nil }
        guard await ledger.hasWritten || !open.history.isEmpty else { return nil }
        return ReplicaClosing(
            ledger: ledger,
            play: open.play,
            plan: open.plan,
            planDigest: (try? open.plan.digest()) ?? "",
            hosts: hosts,
            fence: fence,
            stale: stale
        )
    }

    private var sweep: NodeSweep {
        NodeSweep(run: open.id, origin: origin?.origin, play: open.play, hosts: hosts)
    }

    /// Leaves each node in one command, which a run does that is done.
    private func sayFarewell(
        to lock: ClusterLock,
        _ closing: ReplicaClosing?,
        _ engine: RunEngine,
        _ leaving: LeaveTaking
    ) async {
        let farewell = Farewell(closing: closing, sweep: sweep, plan: open.plan, lock: lock)
        let troubles = await farewell.say(leaving) { await engine.tell(.notice(Notice(.warning, $0))) }
        for trouble in troubles { await engine.tell(.notice(Notice(.warning, host: trouble.host, trouble.text))) }
    }

    /// Tells the nodes how the run ended, as well as it goes: the verdict does not depend on it.
    private func tellNodes(
        _ state: RunState,
        _ closing: ReplicaClosing,
        _ engine: RunEngine,
        _ leaving: LeaveTaking
    ) async {
        let errors = await closing.tell(state, leaving) { await engine.tell(.notice(Notice(.warning, $0))) }
        for error in errors {
            let text = "the node was not told that the run is \(state.rawValue): \(error.message)"
            await engine.tell(.notice(Notice(.warning, host: error.host, text)))
        }
    }

    /// Removes what the run had no use for, and gives the lock back at an orderly end; it stays while a step that nobody
    /// waited for may be at work.
    private func leaveNodes(after result: RunEngine.Result, _ engine: RunEngine, _ leaving: LeaveTaking) async {
        var troubles: [RemoteError] = []
        // Before the lock is given back: this run may be taken over.
        if result.verdict == .done || result.isTakenBack {
            troubles = await sweep.sweep(open.plan, leaving, behind: fence)
        }
        for trouble in troubles {
            let text = "files of this run are left on the node: \(trouble.message)"
            await engine.tell(.notice(Notice(.warning, host: trouble.host, text)))
        }
        for warning in await giveLockBack(after: result, leaving) {
            await engine.tell(.notice(Notice(.warning, warning)))
        }
    }

    private func giveLockBack(after result: RunEngine.Result, _ leaving: LeaveTaking) async -> [String] {
        guard let lock else { return [] }
        if result.machine.isAnyStepInFlight {
            return [
                "a step was left at work, so the lock stays on the nodes; `pawl resume` on this machine takes it over"
            ]
        }
        return await leaving.visit(lock.holders) { host in
            await lock.release(on: host).map { RemoteError(.unreachable, host: host, $0) }
        }.map { "\($0.host): the lock could not be given back: \($0.message)" }
    }

    // MARK: - The end

    /// What the members show, where the run has not just proven it.
    private func look(after result: RunEngine.Result) async -> [String: ClusterLook] {
        if result.verdict == .done, result.hasPerformed { return [:] }
        return await ClusterLook.members(of: open.play, hosts)
    }

    /// Says what became of the run.
    private func conclude(
        _ result: RunEngine.Result,
        _ look: [String: ClusterLook],
        _ engine: RunEngine
    ) async -> RunConclusion {
        if result.verdict == .done { await warn(of: look, engine) }
        let conclusion = await conclusion(result, look)
        await engine.tell(conclusion.kind)
        // The verdict is on the screen already; a journal that cannot take it must not hide it.
        do {
            if result.verdict == .done { try await origin?.close(open.plan) }
            try await controller.store.setState(
                of: open.id,
                RunState(result.verdict),
                exitCode: conclusion.exitCode
            )
        } catch {
            await engine.tell(.notice(Notice(.warning, "the verdict is not in the journal: \(error)")))
        }
        await hosts.closeAll()
        return conclusion
    }

    private func conclusion(_ result: RunEngine.Result, _ look: [String: ClusterLook]) async -> RunConclusion {
        await RunConclusion.draw(
            from: .init(
                run: open.id,
                play: open.play,
                result: result,
                facts: facts,
                look: look,
                commands: RepeatedCommands(
                    command: controller.command,
                    request: open.request,
                    state: controller.stateArguments,
                    rollbackOf: origin?.origin
                )
            )
        )
    }

    /// A run that had come to its end before, but for telling so, was proven then; how the members are now is another
    /// question.
    private func warn(of look: [String: ClusterLook], _ engine: RunEngine) async {
        for (host, look) in look.sorted(by: { $0.key < $1.key }) where !look.isWell {
            let text = "the run had come to its end before, and this member is not well now: \(look.words)"
            await engine.tell(.notice(Notice(.warning, host: host, text)))
        }
    }
}
