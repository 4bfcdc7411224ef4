// SPDX-License-Identifier: Apache-2.0

import Actions
import Journal
import Playbooks
import Rollout

/// The postflight of a playbook by itself, over hosts that refuse every mutating command.
package struct Verification: Sendable {
    private let play: Play
    private let request: RunRequest
    /// The steps of the postflight that only look.
    package let plan: Plan

    package init(_ play: Play, _ request: RunRequest) {
        var postflight = play
        postflight.steps = play.steps.filter { $0.phase == .postflight && Self.onlyLooks($0) }
        self.play = postflight
        self.request = request
        plan = Planner.plan(postflight, Survey(order: play.hosts, memberIDs: [:]))
    }

    /// A postflight may also write, as leases; that is a run's to do.
    private static func onlyLooks(_ step: Play.Step) -> Bool {
        step.byHost.values.allSatisfy { resolved in
            (try? ActionRegistry.make(resolved.action, resolved.parameters))?.traits.effect == .readOnly
        }
    }

    /// Runs the postflight.
    ///
    /// - Parameters:
    ///   - hosts: the ways to the nodes, read-only.
    ///   - observer: the view.
    ///   - signals: SIGINT and SIGTERM.
    /// - Returns: the last words and the exit code: 0, or 4 when something is not right.
    /// - Throws: when the run cannot be kept in memory.
    package func run(
        over hosts: HostDirectory,
        observer: any RunObserver,
        signals: AsyncStream<RunEngine.Signal>
    ) async throws -> RunConclusion {
        let controller = RunController(
            store: InMemoryRunStore(),
            connector: hosts.connector,
            stateArguments: "",
            version: "",
            command: .verify
        )
        return try await controller.run(
            plan,
            of: play,
            request: request,
            over: hosts,
            observer: observer,
            signals: signals
        )
    }
}
