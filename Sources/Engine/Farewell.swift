// SPDX-License-Identifier: Apache-2.0

import Journal
import Playbooks
import Remote
import Rollout
import Synchronization

/// The end of a run that is done, on its nodes: each is told, left by its lock and swept in one command.
///
/// Nodes do not wait for one another, as long as none is away. One that another run takes then knows that this one is over,
/// and whoever wants the whole cluster needs those, too, that were not left yet.
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
        let note: Note = { trouble in box.withLock { _ = $0.insert(trouble) } }
        let wait: @Sendable ([String]) async -> Void = {
            await announce("waits for \($0.joined(separator: ", ")), to tell that the run is done")
        }
        let marker = await marker(note)
        let told = marker == nil ? [] : closing?.places ?? []
        let swept = sweep.places(of: plan)
        let hosts = lock.holders.union(told.union(swept).map(\.host))
        for error in await leave.visit(hosts, wait: wait, { await leaveHost($0, marker, told, swept, note) }) {
            let text = "it is not known whether the node was told that the run is done, and left by its lock"
            note(Trouble(host: error.host, text: "\(text): \(error.message)"))
        }
        return box.withLock { $0 }.sorted { ($0.host, $0.text) < ($1.host, $1.text) }
    }

    private typealias Note = @Sendable (Trouble) -> Void

    private func marker(_ note: (Trouble) -> Void) async -> String? {
        do throws(JournalError) {
            return try await closing?.doneMarker()
        } catch {
            note(Self.untold(RemoteError(.refused, host: "all nodes", "the run's end: \(error.message)")))
            return nil
        }
    }

    // MARK: - One node

    /// Leaves the places of a host, the one with the lock last.
    ///
    /// - Returns: why nobody knows what came of it, or why the lock is still there.
    private func leaveHost(
        _ host: String,
        _ marker: String?,
        _ told: Set<ReplicaLedger.Place>,
        _ swept: Set<ReplicaLedger.Place>,
        _ note: Note
    ) async -> RemoteError? {
        let home = ReplicaLedger.Place(host: host, become: sweep.play.playbook.become.value)
        // Where steps ran as another user than the lock was taken by, or without a lock.
        let others = told.union(swept).filter { $0.host == host && ($0 != home || !lock.isHeld(on: host)) }
        for place in others {
            if told.contains(place), let marker, let error = await closing?.leave(marker, at: place) {
                if error.isAway { return error }
                note(Self.untold(error))
            }
            if swept.contains(place), let error = await sweep.sweep(place, plan, behind: []) {
                if error.isAway { return error }
                note(Self.unswept(error))
            }
        }
        guard lock.holders.contains(host) else { return nil }
        let leaving = LockScript.Leaving(
            told: others.contains(home) || !told.contains(home)
                ? nil : marker.flatMap { closing?.script(leaving: $0, at: home) },
            sign: marker.map { String($0.dropLast()) } ?? "",
            swept: others.contains(home) || !swept.contains(home) ? nil : sweep.script(at: home, plan)
        )
        return await release(host, leaving, note)
    }

    private func release(_ host: String, _ leaving: LockScript.Leaving, _ note: Note) async -> RemoteError? {
        do throws(RemoteError) {
            let failures = try await lock.release(on: host, leaving)
            if let why = failures.told { note(Self.untold(RemoteError(.refused, host: host, why))) }
            if let why = failures.swept { note(Self.unswept(RemoteError(.refused, host: host, why))) }
            // To be tried again.
            return failures.lock.map { RemoteError(.unreachable, host: host, "the lock is still there: \($0)") }
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
}
