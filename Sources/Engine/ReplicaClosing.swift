// SPDX-License-Identifier: Apache-2.0

import Actions
import Journal
import Playbooks
import Remote
import Rollout

/// Tells the nodes how a run ended, all at the same time and as well as it goes.
struct ReplicaClosing: Sendable {
    let ledger: ReplicaLedger
    let play: Play
    let plan: Plan
    let planDigest: String
    let hosts: HostDirectory
    /// What must hold on a node before it is told anything: the lock.
    let fence: @Sendable (String) -> [any MutationGuard]
    /// First lines of replicas that may be written over.
    let stale: [String]

    /// Writes the end to every node of the play.
    ///
    /// - Parameters:
    ///   - state: the end.
    ///   - leave: how long to wait for nodes that are away.
    ///   - announce: gets a line when it takes longer.
    /// - Returns: what could not be written, one error a node; the run's end does not depend on it.
    func tell(
        _ state: RunState,
        _ leave: LeaveTaking,
        announce: @Sendable (String) async -> Void
    ) async -> [RemoteError] {
        let content: Content
        do throws(JournalError) {
            switch state {
            case .halted: content = .standing(try await ledger.standing(.halted))
            case .interrupted: content = .standing(try await ledger.standing(.interrupted))
            default:
                let marker = try await ledger.marker(state, playbook: plan.name, planDigest: planDigest)
                content = .marker(try marker.text(), onlyWhereOpen: state == .refused)
            }
        } catch {
            return [RemoteError(.refused, host: "all nodes", "the run's end: \(error.message)")]
        }
        return await leave.visit(
            places,
            wait: { await announce("waits for \($0.joined(separator: ", ")), to tell that the run is done") },
            { await write(content, at: $0) }
        )
    }

    /// What is to be on the nodes of a run that is done, one line.
    func doneMarker() async throws(JournalError) -> String {
        try await ledger.marker(.done, playbook: plan.name, planDigest: planDigest).text()
    }

    private enum Content: Sendable {
        case standing(String)
        case marker(String, onlyWhereOpen: Bool)
    }

    /// Wherever this run may have put a replica, and each host of the play.
    var places: Set<ReplicaLedger.Place> {
        var places = Set(play.hosts.map { ReplicaLedger.Place(host: $0, become: play.playbook.become.value) })
        for step in plan.steps where step.effect != .readOnly {
            guard let host = step.host else { continue }
            places.insert(ReplicaLedger.Place(host: host, become: play.becomes(step)))
        }
        return places
    }

    /// The shell that leaves the marker of a run that is done; `nil` where nobody knows the host.
    func script(leaving marker: String, at place: ReplicaLedger.Place) -> String? {
        hosts.target(place.host, become: place.become).map { script($0).closing(marker, onlyWhereOpen: false) }
    }

    /// Leaves the marker of a run that is done in one place.
    ///
    /// - Returns: why that failed, if it did.
    func leave(_ marker: String, at place: ReplicaLedger.Place) async -> RemoteError? {
        await write(.marker(marker, onlyWhereOpen: false), at: place)
    }

    private func script(_ target: ActionTarget) -> ReplicaScript {
        ReplicaScript(state: NodeState(variables: target.variables), header: ledger.header, stale: stale)
    }

    private func write(_ content: Content, at place: ReplicaLedger.Place) async -> RemoteError? {
        guard let target = hosts.target(place.host, become: place.become) else { return nil }
        var command = RemoteCommand("tell the node how the run ended", script: "", effect: .mutating)
        switch content {
        case .standing(let text):
            command.script = script(target).standing
            command.standardInput = Array(text.utf8)
        case .marker(let text, let onlyWhereOpen):
            command.script = script(target).closing(text, onlyWhereOpen: onlyWhereOpen)
        }
        do throws(RemoteError) {
            let result = try await GuardedHost(target.host, guards: fence(place.host)).runRepeatably(command)
            guard result.exitCode != 0 else { return nil }
            let said = result.errorOutput.split(separator: "\n").last.map(String.init) ?? "exit code \(result.exitCode)"
            return RemoteError(.refused, host: place.host, "\(command.label): \(said)")
        } catch {
            return error
        }
    }
}

extension Play {
    /// Whether a step runs with elevated privilege, as far as the playbook says.
    func becomes(_ planned: PlannedStep) -> Bool {
        step(planned)?.become ?? playbook.become.value
    }
}
