// SPDX-License-Identifier: Apache-2.0

import Actions
import Foundation
import Journal
import Remote
import Rollout

extension RunController {
    /// Performs a run that the nodes are free for.
    ///
    /// - Parameters:
    ///   - open: the run, with what was done of it.
    ///   - hosts: the ways to the nodes.
    ///   - lock: what is held for it; `nil` for a look.
    ///   - stale: runs whose replicas on the nodes are replaced.
    ///   - observer: the view.
    ///   - signals: SIGINT and SIGTERM.
    /// - Returns: the last words and the exit code.
    /// - Throws: when the journal cannot be written.
    func perform(
        _ open: OpenRun,
        over hosts: HostDirectory,
        _ lock: ClusterLock?,
        replacing stale: [String],
        _ observer: any RunObserver,
        _ signals: AsyncStream<RunEngine.Signal>
    ) async throws -> RunConclusion {
        try await putAtWork(open)
        let performance = RunPerformance(
            controller: self,
            open: open,
            hosts: hosts,
            lock: lock,
            stale: stale,
            facts: JournalledFacts(store: store, run: open.id),
            origin: RollbackOrigin(of: open.play, run: open.id, store: store),
            ledger: try await replicaLedger(of: open)
        )
        return await performance.run(observer, signals)
    }

    /// Notes who is at work on the run, and which others need their backups.
    private func putAtWork(_ open: OpenRun) async throws {
        let process = ProcessInfo.processInfo
        try await store.setState(of: open.id, .running)
        try await store.setController(
            of: open.id,
            host: process.hostName,
            pid: process.processIdentifier,
            version: version
        )
        try await RollbackOrigin(of: open.play, run: open.id, store: store)?.carry(to: open.plan)
        let openRuns = try await store.runs().filter { $0.isOpen && $0.id != open.id }.map(\.id)
        try await store.recordFact(Backup.openRuns, openRuns.joined(separator: " "), of: open.id)
    }
}
