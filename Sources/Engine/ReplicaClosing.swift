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

    /// How long a run that is done waits for nodes that are away, as one that reboots.
    ///
    /// What is left there is removed by the next run only. A run that is not done has news that must not wait.
    private static let patience = Duration.seconds(30)

    /// Writes the end to every node of the play.
    ///
    /// - Parameters:
    ///   - state: the end.
    ///   - announce: gets a line when it takes longer.
    /// - Returns: what could not be written, one error a node; the run's end does not depend on it.
    func tell(_ state: RunState, announce: @Sendable (String) async -> Void) async -> [RemoteError] {
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
        var errors = await write(content, at: places)
        let end = ContinuousClock.now + Self.patience
        var away = Self.away(errors)
        if state == .done, !away.isEmpty {
            await announce("waits for \(away.sorted().joined(separator: ", ")), to tell that the run is done")
        }
        while state == .done, !away.isEmpty, ContinuousClock.now < end {
            do { try await Task.sleep(for: .seconds(1)) } catch { break }
            let again = places.filter { away.contains($0.host) }
            errors = errors.filter { !away.contains($0.host) } + (await write(content, at: again))
            away = Self.away(errors)
        }
        return errors
    }

    private static func away(_ errors: [RemoteError]) -> Set<String> {
        Set(errors.filter { $0.code == .unreachable || $0.code == .inDoubt }.map(\.host))
    }

    private func write(_ content: Content, at places: Set<ReplicaLedger.Place>) async -> [RemoteError] {
        await withTaskGroup(of: RemoteError?.self) { group in
            for place in places { group.addTask { await write(content, at: place) } }
            var errors: [RemoteError] = []
            for await error in group { if let error { errors.append(error) } }
            return errors.sorted { $0.host < $1.host }
        }
    }

    private enum Content: Sendable {
        case standing(String)
        case marker(String, onlyWhereOpen: Bool)
    }

    /// Wherever this run may have put a replica, and each host of the play.
    private var places: Set<ReplicaLedger.Place> {
        var places = Set(play.hosts.map { ReplicaLedger.Place(host: $0, become: play.playbook.become.value) })
        for step in plan.steps where step.effect != .readOnly {
            guard let host = step.host else { continue }
            places.insert(ReplicaLedger.Place(host: host, become: play.becomes(step)))
        }
        return places
    }

    private func write(_ content: Content, at place: ReplicaLedger.Place) async -> RemoteError? {
        guard let target = hosts.target(place.host, become: place.become) else { return nil }
        let script = ReplicaScript(state: NodeState(variables: target.variables), header: ledger.header, stale: stale)
        var command = RemoteCommand("tell the node how the run ended", script: "", effect: .mutating)
        switch content {
        case .standing(let text):
            command.script = script.standing
            command.standardInput = Array(text.utf8)
        case .marker(let text, let onlyWhereOpen):
            command.script = script.closing(text, onlyWhereOpen: onlyWhereOpen)
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
