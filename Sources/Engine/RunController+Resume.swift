// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Journal
import Playbooks
import Rollout

/// Going on with a run that did not end.
extension RunController {
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
        return try await holdingCluster(for: open, "resume", over: hosts, nil) { lock in
            let stale = try await demandAgreement(of: open, over: hosts, lock)
            // Another controller may have gone on between the reading and the lock, or the nodes knew more.
            var open = open
            open.history = try await RunJournal(store: store, run: open.id).history()
            return try await perform(open, over: hosts, lock, replacing: stale, observer, signals)
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
}
