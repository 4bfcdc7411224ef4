// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
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
    let grace: Duration
    /// Whether whoever performs several runs side by side holds the journal for all of them.
    package var isJournalHeld = false

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
        let lock = isJournalHeld ? nil : try await store.acquireController(run: run)
        defer { lock?.release() }
        let open = OpenRun(id: run, plan: plan, play: play, request: request, history: [])
        let reason = plan.steps.contains { $0.action == EtcdRollback.schema.word } ? "rollback" : "run"
        return try await holdingCluster(for: open, reason, over: hosts, locks) { lock in
            let stale = try await prepareNodes(for: run, of: play, request, over: hosts, lock, superseding)
            try await store.create(try record(run, plan, request))
            return try await perform(open, over: hosts, lock, replacing: stale, observer, signals)
        }
    }

    /// Takes the lock on the nodes, and gives it back also when the run cannot be begun.
    ///
    /// Who is at work on the nodes is told before what they are in the middle of.
    func holdingCluster(
        for open: OpenRun,
        _ reason: String,
        over hosts: HostDirectory,
        _ seen: LockSurvey?,
        _ body: (ClusterLock?) async throws -> RunConclusion
    ) async throws -> RunConclusion {
        // A look that keeps no journal changes nothing.
        guard command == .run else { return try await body(nil) }
        let purpose = ClusterLock.Purpose(run: open.id, reason: reason, unlock: open.request.unlockCommand)
        let lock = try await ClusterLock.acquire(for: purpose, on: LockNodes(open.play, hosts), seen: seen)
        do {
            return try await body(lock)
        } catch {
            _ = await lock.release()
            throw error
        }
    }
}
