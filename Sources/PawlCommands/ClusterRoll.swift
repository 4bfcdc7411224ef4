// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal
import Reports
import Rollout
import Synchronization

/// Several clusters of one inventory, each a run of its own with its own plan, journal record, lock and halt: `--each`.
///
/// When one does not come to its end, those at work go on, and no further one is begun unless that was asked for: what is
/// wrong with a playbook is wrong on every cluster.
struct ClusterRoll: Sendable {
    /// A cluster as it was looked at before anything is begun.
    struct Cluster: Sendable {
        var group: String
        var request: RunRequest
        /// What the user agrees to.
        var plan: Plan
        /// Every host that a step is for, also those of a freeze.
        var touched: Set<String>
    }

    let session: Session
    let state: StateOptions
    let grace: Duration
    let isSuperseding: Bool
    /// How many at a time.
    let width: Int
    let keepsGoing: Bool
    /// Whether any plan is agreed to, so that nobody has looked at those of the preview.
    let isAgreed: Bool

    // MARK: - Preview

    /// Reads and looks at all clusters, and changes nothing.
    ///
    /// - Parameters:
    ///   - request: the files and the command line.
    ///   - patterns: the groups, as `--each` has them.
    /// - Returns: the clusters in their order.
    /// - Throws: why any of them may not begin; then none does.
    func preview(_ request: RunRequest, groups patterns: [String]) async throws -> [Cluster] {
        let groups = try Inventory.load(request.inventory).groups(matching: patterns)
        var clusters: [Cluster] = []
        for group in groups {
            var own = request
            own.limit = group
            let prepared: PreparedRun
            do {
                prepared = try await prepare(own) { play in
                    guard clusters.isEmpty else { return }
                    for warning in play.warnings { ExitReason.say(warning.description) }
                }
            } catch let error as RunControllerError {
                throw RunControllerError(error.code, "\(group): \(error.message)", remedy: error.remedy)
            }
            await prepared.hosts.closeAll()
            try demandAnswers(prepared, of: group)
            clusters.append(
                Cluster(
                    group: group,
                    request: own,
                    plan: prepared.plan,
                    touched: Set(prepared.play.allHosts.keys)
                )
            )
        }
        try demandApart(clusters)
        return clusters
    }

    private func prepare(_ request: RunRequest, onRead: (Play) throws -> Void = { _ in }) async throws -> PreparedRun {
        try await PreparedRun.prepare(
            request,
            superseding: isSuperseding,
            connector: session.connector,
            onRead: onRead
        )
    }

    /// The run would refuse what does not answer, after other clusters were changed.
    private func demandAnswers(_ prepared: PreparedRun, of group: String) throws(RunControllerError) {
        let failures = (prepared.locks?.failures ?? [:]).sorted { $0.key < $1.key }
        guard !failures.isEmpty else { return }
        let text = failures.map { "\n  \($0.key): \($0.value)" }.joined()
        throw RunControllerError(
            .unreachable,
            "\(group): nothing was changed; not every host could be asked:\(text)",
            remedy: "`pawl check` looks at each host by itself"
        )
    }

    /// A host of two clusters would be changed twice, and two freezes of one host would thaw each other.
    private func demandApart(_ clusters: [Cluster]) throws(DiagnosticsError) {
        var problems: [Diagnostic] = []
        for (index, one) in clusters.enumerated() {
            for other in clusters[(index + 1)...] {
                let members = Set(one.plan.hosts).intersection(other.plan.hosts).sorted()
                let shared = width > 1 ? one.touched.intersection(other.touched).sorted() : members
                guard !shared.isEmpty else { continue }
                let remedy =
                    members.isEmpty
                    ? "roll them one after the other, without --parallel" : "name groups that have no host in common"
                let names = FoldedNames.text(shared)
                problems.append(
                    Diagnostic(at: nil, "\(one.group) and \(other.group) both work on \(names)", remedy: remedy)
                )
            }
        }
        if !problems.isEmpty { throw DiagnosticsError(problems) }
    }

    // MARK: - Rolling

    /// Performs the plans.
    ///
    /// - Parameter clusters: as the preview gave them.
    /// - Returns: the worst exit code.
    /// - Throws: when the journal cannot be had.
    func perform(_ clusters: [Cluster]) async throws -> Int32 {
        session.endQuestions()
        let store = try await session.store(state, for: .writing)
        let lock = try await store.acquireController(run: clusters.map(\.group).joined(separator: ","))
        defer { lock.release() }
        let relay = SignalRelay()
        let source = await SignalSource.install()
        // Ends with this scope.
        async let _: Void = relay.pass(on: source.signals)
        let mayBegin = Atomic(true)
        let endings = await FanOut(width: width).answers(of: clusters) { cluster in
            guard mayBegin.load(ordering: .relaxed), !relay.hasSeenSignal else { return notBegun(cluster) }
            let ending = await perform(cluster, store, relay)
            if ending.exitCode != 0, !keepsGoing { mayBegin.store(false, ordering: .relaxed) }
            return ending
        }.compactMap(\.self)
        switch session.output {
        case .json: Terminal.write(try ClusterEnding.line(endings))
        case .text: Terminal.write("\n" + ClusterEnding.table(endings).render(width: Terminal.width) + "\n")
        }
        return ClusterEnding.worst(endings)
    }

    private func perform(_ cluster: Cluster, _ store: any RunStore, _ relay: SignalRelay) async -> ClusterEnding {
        let view = ClusterView(group: cluster.group, output: session.output)
        var ending = ClusterEnding(group: cluster.group, result: "failed", exitCode: ExitReason.unexpected.rawValue)
        do {
            // The look of the preview may be old: who leads, and what runs, is asked for again.
            let prepared = try await prepare(cluster.request)
            if !isAgreed {
                try PlanFile.demand(
                    prepared.plan,
                    is: cluster.plan,
                    called: "the plan that was shown",
                    remedy: "nothing was changed; begin this cluster again to see its plan as it is now"
                )
            }
            var controller = session.controller(store, state, grace: grace)
            controller.isJournalHeld = true
            let conclusion = try await controller.run(
                prepared.plan,
                of: prepared.play,
                request: prepared.request,
                over: prepared.hosts,
                locks: prepared.locks,
                superseding: isSuperseding ? .everything : .nothing,
                observer: view,
                signals: relay.stream()
            )
            ending.exitCode = conclusion.exitCode
            ending.result = "done"
            if case .halted(let report) = conclusion.kind {
                ending.result = report.verdict
                ending.nextCommand = report.nextCommands.first?.command
            }
        } catch let error as RunControllerError {
            ExitReason.say("\(cluster.group): error: \(error.description)")
            ending.exitCode = error.exitCode
            ending.result = error.code == .locked ? "locked" : error.code == .drift ? "drift" : "refused"
            ending.nextCommand = again(cluster)
        } catch {
            ExitReason.say("\(cluster.group): error: \(error)")
        }
        ending.run = view.run
        return ending
    }

    private func notBegun(_ cluster: Cluster) -> ClusterEnding {
        ClusterEnding(group: cluster.group, result: "not begun", exitCode: nil, nextCommand: again(cluster))
    }

    private func again(_ cluster: Cluster) -> String { session.commandLine("run", cluster.request, state) }
}

/// A view of one of several runs: its lines carry the group.
///
/// ## Concurrency
/// The run's id is behind its mutex.
private final class ClusterView: RunObserver {
    private let view: any RunView
    private let seen = Mutex<String?>(nil)

    init(group: String, output: OutputOptions.Format) {
        view =
            switch output {
            case .json: JSONLinesView(group: group, sink: Terminal.write)
            case .text:
                PlainView { text in
                    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                    Terminal.write(lines.map { "\(group)\($0.isEmpty ? "" : "  \($0)")\n" }.joined())
                }
            }
    }

    var run: String? { seen.withLock { $0 } }

    func receive(_ event: RunEvent) async {
        seen.withLock { $0 = event.run }
        await view.receive(event)
    }
}
