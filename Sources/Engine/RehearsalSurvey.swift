// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote

/// The migration rehearsed on copies of all members, one member after the other.
///
/// One after the other, because it is work for a node that serves: so one member is slowed at a time, and what is measured is
/// what a run will find, which changes one member at a time, too.
package struct RehearsalSurvey: Sendable {
    /// What to rehearse.
    package struct Request: Sendable {
        package var inventory: InventorySources
        package var limit: String?
        package var extraVariables: [String]
        /// Where the copies go on each node; `nil` for beside the data directory.
        package var scratch: String?
        package var noTTL: Bool
        /// What keys are to go through on all hosts; `nil` for what the inventory says of each, empty for nothing.
        package var transformer: String?
        /// For one member.
        package var timeout: Duration

        package init(
            inventory: InventorySources,
            limit: String?,
            extraVariables: [String],
            scratch: String?,
            noTTL: Bool,
            transformer: String?,
            timeout: Duration
        ) {
            self.inventory = inventory
            self.limit = limit
            self.extraVariables = extraVariables
            self.scratch = scratch
            self.noTTL = noTTL
            self.transformer = transformer
            self.timeout = timeout
        }
    }

    private let request: Request
    private let hosts: [InspectedHost]

    /// - Throws: what is wrong with the inventory.
    package init(_ request: Request, connector: HostDirectory.Connector) throws(DiagnosticsError) {
        self.request = request
        hosts = try InspectedHost.all(
            inventory: request.inventory,
            limit: request.limit,
            extraVariables: request.extraVariables,
            connector: connector
        )
    }

    /// Rehearses on all members.
    ///
    /// - Parameter progress: is told which member it is at.
    /// - Returns: what it came to.
    /// - Throws: ``RunControllerError`` when a run has the cluster's lock, or a member does not answer.
    package func rehearse(
        progress: @escaping @Sendable (String) -> Void
    ) async throws(RunControllerError) -> RehearsalReport {
        try await refuseLocked()
        // What a member knows to be committed comes to its disk with its next entry. A question for its health is one: the
        // first makes all that was written before known as committed, the second stands behind the cut.
        _ = try await healths()
        let before = try await statuses()
        guard let index = before.values.map(\.raftAppliedIndex).min(), index > 0 else {
            throw RunControllerError(.refused, "no member told its raft index")
        }
        _ = try await healths()
        var members: [RehearsalReport.Member] = []
        for host in hosts {
            progress("\(host.host.name): rehearsing")
            let member = try await rehearse(on: host, upTo: index, before[host.host.name])
            if let prediction = member.prediction {
                progress("\(host.host.name): done; out for about \(Self.seconds(prediction.prepared)) in a run")
            } else {
                progress("\(host.host.name): \(member.outcome.problems.first ?? "done")")
            }
            members.append(member)
        }
        let after = try await statuses()
        let newest = after.values.map(\.raftIndex).max() ?? index
        await close()
        return RehearsalReport(index: index, entriesMeanwhile: newest - min(index, newest), members: members)
    }

    package func close() async {
        await withDiscardingTaskGroup { group in
            for host in hosts { group.addTask { await host.host.close() } }
        }
    }

    private static func seconds(_ value: Double) -> String { "\((value * 10).rounded() / 10) s" }

    private func refuseLocked() async throws(RunControllerError) {
        let names = hosts.map(\.host.name)
        let nodes = hosts.map { ($0.host.name, LockNodes.Node(host: $0.host, state: $0.state, user: $0.user)) }
        let survey = await LockNodes(members: names, nodes: Dictionary(nodes) { first, _ in first }).look(at: names)
        let held = names.compactMap { name in survey.sights[name]?.lock.map { "\(name): \($0)" } }
        if !held.isEmpty {
            throw RunControllerError(
                .locked,
                "a run is at work on the cluster, so nothing is rehearsed: " + held.joined(separator: "; "),
                remedy: "rehearse when it has ended; if its controller is gone for good, `pawl unlock`"
            )
        }
        let failures = survey.failures.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        if !failures.isEmpty { throw RunControllerError(.unreachable, failures.joined(separator: "; ")) }
    }

    private var nodes: [EtcdNode] {
        hosts.map { EtcdNode(name: $0.host.name, host: $0.host, settings: $0.settings) }
    }

    private func statuses() async throws(RunControllerError) -> [String: EndpointStatus] {
        try Self.all(await ClusterProbe.statuses(nodes))
    }

    private func healths() async throws(RunControllerError) -> [String: MemberHealth] {
        try Self.all(await ClusterProbe.health(nodes))
    }

    private static func all<Value: Sendable>(
        _ answers: [String: Result<Value, EtcdProbeError>]
    ) throws(RunControllerError) -> [String: Value] {
        var found: [String: Value] = [:]
        for (name, answer) in answers.sorted(by: { $0.key < $1.key }) {
            switch answer {
            case .success(let value): found[name] = value
            case .failure(let error): throw RunControllerError(.unreachable, error.description)
            }
        }
        return found
    }

    private func rehearse(
        on host: InspectedHost,
        upTo index: UInt64,
        _ status: EndpointStatus?
    ) async throws(RunControllerError) -> RehearsalReport.Member {
        let transformer = request.transformer.map { $0.isEmpty ? nil : $0 } ?? host.transformer
        let rehearsal = Rehearsal(
            settings: host.settings,
            state: host.state,
            scratch: request.scratch,
            index: index,
            noTTL: request.noTTL,
            transformer: transformer,
            timeout: request.timeout
        )
        var outcome = RehearsalOutcome()
        var prediction: OutagePrediction?
        do throws(RemoteError) {
            let report = NodeReport(try await host.host.run(rehearsal.command()))
            if let refusal = report.refusal {
                if refusal.message == Rehearsal.runHasBegun {
                    throw RemoteError(.fenced, host: host.host.name, refusal.message)
                }
                outcome.problems = [refusal.message + (refusal.remedy.map { " (\($0))" } ?? "")]
            } else {
                outcome = RehearsalOutcome(
                    report,
                    noTTL: request.noTTL,
                    transformer: transformer,
                    hiddenKeys: host.hiddenKeys
                )
                if outcome.times.start != nil {
                    prediction = OutagePrediction(outcome.times, command: try await commandTime(host.host))
                }
            }
        } catch {
            if error.code == .fenced {
                throw RunControllerError(
                    .locked,
                    "\(host.host.name): \(error.message)",
                    remedy: "rehearse when it has ended"
                )
            }
            outcome.problems = [error.message + (error.remedy.map { " (\($0))" } ?? "")]
        }
        if let revision = status?.revision, revision > 1 {
            outcome.problems.append("its v3 store is not empty: it is at revision \(revision)")
        }
        return RehearsalReport.Member(
            host: host.host.name,
            version: status?.version?.description,
            transformer: transformer,
            outcome: outcome,
            prediction: prediction
        )
    }

    /// What a remote command takes that does nothing: the middle one of three.
    private func commandTime(_ host: any RemoteHost) async throws(RemoteError) -> Double {
        var times: [Double] = []
        for _ in 0..<3 {
            let began = ContinuousClock.now
            _ = try await host.run(RemoteCommand("take the time of a command", script: "id -u\n", effect: .readOnly))
            times.append((ContinuousClock.now - began) / .seconds(1))
        }
        return times.sorted()[1]
    }
}
