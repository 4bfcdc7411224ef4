// SPDX-License-Identifier: Apache-2.0

import Journal
import Playbooks
import Remote
import Rollout
import Synchronization

/// The end of a run that is done, on its nodes: each is told, swept and left by its lock in one command.
///
/// Nodes do not wait for one another. A node that another run has already taken by then knows that this one is over, and
/// whoever wants the whole cluster needs those, too, that were not left yet.
struct Farewell: Sendable {
    /// `nil` where the nodes were told nothing of the run.
    let closing: ReplicaClosing?
    let sweep: NodeSweep
    let plan: Plan
    let lock: ClusterLock

    /// What could not be done, in the words of a warning.
    struct Trouble: Sendable, Hashable {
        var host: String
        var text: String
    }

    /// Leaves every node, as well as it goes.
    ///
    /// - Parameters:
    ///   - leave: how long to wait for nodes that are away.
    ///   - announce: gets a line when it takes longer.
    /// - Returns: what is left on nodes, in the order of the hosts.
    func say(_ leave: LeaveTaking, announce: @Sendable (String) async -> Void) async -> [Trouble] {
        let box = Mutex<Set<Trouble>>([])
        let note: @Sendable (Trouble) -> Void = { trouble in box.withLock { _ = $0.insert(trouble) } }
        let wait: @Sendable ([String]) async -> Void = {
            await announce("waits for \($0.joined(separator: ", ")), to tell that the run is done")
        }
        let marker = await marker(note)
        let places = (marker == nil ? [] : closing?.places ?? []).union(sweep.places(of: plan))
        // As another user than the one who has the lock, and while it is there.
        let others = places.filter { $0 != home(on: $0.host) || !lock.holders.contains($0.host) }
        for error in await leave.visit(others, wait: wait, { await leaveBehindFence($0, marker, note) }) {
            note(Self.untold(error))
        }
        for error in await leave.visit(lock.holders, wait: wait, { await leaveWithLock($0, places, marker, note) }) {
            note(Self.kept(error))
        }
        return box.withLock { $0 }.sorted { ($0.host, $0.text) < ($1.host, $1.text) }
    }

    private func marker(_ note: (Trouble) -> Void) async -> String? {
        do throws(JournalError) {
            return try await closing?.doneMarker()
        } catch {
            note(Self.untold(RemoteError(.refused, host: "all nodes", "the run's end: \(error.message)")))
            return nil
        }
    }

    // MARK: - One node

    /// Where a host has the lock.
    private func home(on host: String) -> ReplicaLedger.Place {
        ReplicaLedger.Place(host: host, become: sweep.play.playbook.become.value)
    }

    private func leaveBehindFence(
        _ place: ReplicaLedger.Place,
        _ marker: String?,
        _ note: @Sendable (Trouble) -> Void
    ) async -> RemoteError? {
        if let marker, let error = await closing?.leave(marker, at: place) { return error }
        if let error = await sweep.sweep(place, plan, behind: [lock.fence(on: place.host)]) {
            note(Self.unswept(error))
        }
        return nil
    }

    private func leaveWithLock(
        _ host: String,
        _ places: Set<ReplicaLedger.Place>,
        _ marker: String?,
        _ note: @Sendable (Trouble) -> Void
    ) async -> RemoteError? {
        let home = home(on: host)
        let isSwept = sweep.places(of: plan).contains(home)
        let deeds = [
            marker.flatMap { closing?.script(leaving: $0, at: home) }.map { LockScript.Deed(name: "told", script: $0) },
            (isSwept ? sweep.script(at: home, plan) : nil).map { LockScript.Deed(name: "swept", script: $0) },
        ].compactMap(\.self)
        do throws(RemoteError) {
            let leaving = try await lock.leave(
                host,
                behind: places.contains(home) ? deeds : [],
                sign: marker.map { String($0.dropLast()) } ?? ""
            )
            for (deed, why) in leaving.failures {
                let error = RemoteError(.refused, host: host, why)
                note(deed == "told" ? Self.untold(error) : Self.unswept(error))
            }
            if let why = leaving.lockFailure { note(Self.kept(RemoteError(.refused, host: host, why))) }
            return nil
        } catch {
            return error
        }
    }

    // MARK: - Words

    private static func untold(_ error: RemoteError) -> Trouble {
        Trouble(host: error.host, text: "the node was not told that the run is done: \(error.message)")
    }

    private static func unswept(_ error: RemoteError) -> Trouble {
        Trouble(host: error.host, text: "files of this run are left on the node: \(error.message)")
    }

    private static func kept(_ error: RemoteError) -> Trouble {
        Trouble(host: error.host, text: "the node may still have the lock, and files of this run: \(error.message)")
    }
}
