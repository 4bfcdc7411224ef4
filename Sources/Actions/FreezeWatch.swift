// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Playbooks
import Remote

/// The members whose client ports a run has closed: looked at by every gate, and renewed as long as a controller is at work.
package struct FreezeWatch: Sendable {
    /// Facts of a host; empty where its ports are open.
    package static let run = "freeze_run"
    package static let ports = "freeze_ports"
    package static let deadMan = "freeze_dead_man"

    /// A host whose ports are closed.
    private struct Closed: Sendable {
        var target: ActionTarget
        /// The run that closed them, which may be the one that is being taken back.
        var run: String
    }

    private let closed: [Closed]
    /// The shortest time after which a node would open its ports; `nil` where none does.
    package let shortest: Duration?

    /// Whose ports the facts say are closed.
    package init(_ facts: any FactLedger, _ targets: [ActionTarget]) async throws(ActionFailure) {
        var closed: [Closed] = []
        var times: [Duration] = []
        for target in targets {
            let name = target.host.name
            guard let run = try await facts.fact("\(name):\(Self.run)"), !run.isEmpty else { continue }
            closed.append(Closed(target: target, run: run))
            if let seconds = try await facts.fact("\(name):\(Self.deadMan)").flatMap({ Int($0) }), seconds > 0 {
                times.append(.seconds(seconds))
            }
        }
        self.closed = closed
        shortest = times.min()
    }

    package var hosts: [String] { closed.map(\.target.host.name) }

    /// Looks on every such node, all at once, whether the rule is in place; changes nothing.
    ///
    /// - Returns: what is wrong, one line a host; empty when all is closed.
    package func look() async -> [String] {
        await each { $0.look() }
    }

    /// The same, and puts the dead-man time off.
    ///
    /// - Returns: what is wrong, one line a host; empty when all is closed.
    package func renew() async -> [String] {
        await each { $0.renew() }
    }

    private func each(_ command: @escaping @Sendable (ClientFirewall) -> RemoteCommand) async -> [String] {
        await withTaskGroup(of: String?.self) { group in
            for host in closed { group.addTask { await Self.ask(host, command) } }
            return await group.reduce(into: []) { if let line = $1 { $0.append(line) } }.sorted()
        }
    }

    private static func ask(
        _ closed: Closed,
        _ command: @Sendable (ClientFirewall) -> RemoteCommand
    ) async -> String? {
        let name = closed.target.host.name
        let firewall = ClientFirewall(
            state: NodeState(variables: closed.target.variables),
            host: name,
            run: closed.run
        )
        do throws(ActionFailure) {
            let report = try await closed.target.report(command(firewall))
            if report["state"] == "open" { return "\(name): \(EtcdFreeze.opened(report))" }
            guard report["run"] == closed.run else {
                return "\(name): run \(report["run"] ?? "unknown") has taken it over"
            }
            if report["state"] != "closed" { return "\(name): \(report["trouble"] ?? "its rule is not in place")" }
            return report["watched"] == "no" ? "\(name): its dead-man timer does not run" : nil
        } catch {
            return "\(name): \(error.message)"
        }
    }

    // MARK: - Facts

    static func record(
        _ context: ActionContext,
        ports text: String,
        deadMan time: Duration?
    ) async throws(ActionFailure) {
        try await context.record(ports, text)
        try await context.record(deadMan, String(time?.components.seconds ?? 0))
        // Last: its presence says that the others are there.
        try await context.record(run, context.run)
    }

    /// The ports stay known: they are needed where the run closes them again while the member is down.
    static func forget(_ context: ActionContext) async throws(ActionFailure) {
        if try await context.hostFact(run) != nil { try await context.record(run, "") }
    }
}
