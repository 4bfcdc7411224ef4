// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Journal
import Playbooks
import Remote
import Rollout

/// An operator's decision that the holder of a lock is gone for good.
///
/// It takes the lock over with a higher token on a majority of the nodes and gives it back at once. What the old
/// holder orders after that is refused by each node, also when that controller comes back to life.
package struct ClusterUnlock: Sendable {
    /// What the nodes show, before anything is decided.
    package struct Findings: Sendable {
        /// Hosts that a lock was ever on, or that could not be looked at, in inventory order.
        package var hosts: [String]
        package var survey: LockSurvey
        /// The lock to be taken over; `nil` when nobody holds one.
        package var holder: NodeLock?
        /// Whether its process is at work on this machine, or is gone; `nil` when that cannot be known from here.
        package var isAtWork: Bool?
    }

    /// What was done.
    package struct Report: Sendable {
        package var holder: NodeLock
        /// The nodes that have a new token now.
        package var hosts: [String]
        /// Whether the run's own journal is in this state directory, and has the decision.
        package var isJournalled: Bool
        package var warnings: [String]
    }

    private let order: [String]
    private let nodes: [String: LockNodes.Node]

    /// Reads the inventory.
    ///
    /// - Parameters:
    ///   - inventory: the sources, as `-i` names them.
    ///   - limit: a host pattern; `nil` for all hosts.
    ///   - extraVariables: the arguments of `-e`.
    ///   - become: whether the run's playbook says so, as the shipped ones do; the inventory may forbid it.
    ///   - connector: makes the ways to the hosts.
    /// - Throws: what is wrong with the inventory.
    package init(
        inventory: InventorySources,
        limit: String?,
        extraVariables: [String],
        become: Bool,
        connector: HostDirectory.Connector
    ) throws(DiagnosticsError) {
        let loaded = try Inventory.load(inventory)
        let extra = try ExtraVariables.parse(extraVariables)
        var nodes: [String: LockNodes.Node] = [:]
        var diagnostics: [Diagnostic] = []
        let selected = try loaded.hosts(matching: "all", limit: limit)
        for host in selected {
            do throws(DiagnosticsError) {
                let settled = try SettledHost(host, of: loaded, VariableScope(extra: extra))
                let mayBecome = become && settled.variables["ansible_become"]?.ansibleBool != false
                let user = settled.connection.becomeUser ?? (mayBecome ? settled.connection.become.user : nil)
                let way = connector(settled.connection)
                nodes[host.name] = LockNodes.Node(
                    host: user.map { way.elevated(as: $0) } ?? way,
                    state: NodeState(variables: settled.variables),
                    user: user
                )
            } catch {
                diagnostics += error.diagnostics
            }
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(diagnostics) }
        order = selected.map(\.name)
        self.nodes = nodes
    }

    /// Looks at all hosts; changes nothing.
    ///
    /// - Throws: when several runs hold hosts of the inventory, because one decision is about one of them.
    package func look() async throws(RunControllerError) -> Findings {
        var survey = await LockNodes(members: [], nodes: nodes).look(at: order)
        // Where no lock ever was, none is to be taken over: the inventory may hold more than the cluster.
        survey.sights = survey.sights.filter { $0.value.token > 0 || $0.value.lock != nil }
        let locks = order.compactMap { host in survey.sights[host]?.lock.map { (host, $0) } }
        guard Set(locks.map(\.1.key.run)).count <= 1 else {
            throw RunControllerError(
                .refused,
                "nothing was changed; several runs hold hosts of this inventory:\n"
                    + locks.map { "  \($0.0): \($0.1)" }.joined(separator: "\n"),
                remedy: "choose the hosts of one of them with --limit"
            )
        }
        // One run may have left several, where an unlock did not reach every node.
        let holder = locks.map(\.1).max { $0.key.token < $1.key.token }
        return Findings(
            hosts: order.filter { survey.sights[$0] != nil || survey.failures[$0] != nil },
            survey: survey,
            holder: holder,
            isAtWork: holder.flatMap { ControllerIdentity.isAtWork($0.controller) }
        )
    }

    /// Takes the lock over and gives it back.
    ///
    /// - Parameters:
    ///   - holder: the lock that was shown to the operator; any other stays.
    ///   - findings: what the nodes showed.
    ///   - reason: the operator's words.
    ///   - journal: opens the journal of this state directory; `nil` where there is none.
    /// - Returns: what was done.
    /// - Throws: when a majority did not answer, or the lock is another's by now.
    package func takeOver(
        _ holder: NodeLock,
        _ findings: Findings,
        reason: String,
        journal: (any RunStore)?
    ) async throws(RunControllerError) -> Report {
        let members = LockNodes(members: findings.hosts, nodes: nodes)
        let claim = LockClaim(
            run: "unlock-" + RunName.new(),
            nonce: NodeLock.Key.newNonce(),
            nodes: Set(findings.hosts),
            sights: findings.survey.sights.mapValues(LockClaim.Sight.init)
        )
        let now = Date().formatted(.iso8601)
        let me = ControllerIdentity.current
        let lock = NodeLock(
            key: .init(claim.claim),
            controller: me,
            since: now,
            reason: reason
        )
        let note = Self.note(holder, by: lock)
        let rounds = LockRounds(nodes: members)
        let end = await rounds.take(lock, claim, findings.survey, note: note)
        guard case .held(let held) = end.result else { throw Self.refusal(end, findings) }
        let isJournalled = await Self.record(note, of: holder.key.run, in: journal)
        let directories = findings.survey.sights.filter { held.contains($0.key) }.mapValues(\.directory)
        let left = await rounds.release(lock.key, in: directories).map { "\($0): the lock stayed there: \($1)" }
        let missed = findings.hosts.filter { !held.contains($0) }.map { host in
            "\(host) did not take part: \(end.failures[host] ?? findings.survey.failures[host] ?? "no answer")"
        }
        return Report(
            holder: holder,
            hosts: findings.hosts.filter(held.contains),
            isJournalled: isJournalled,
            warnings: left.sorted() + missed
        )
    }

    package func close() async {
        await withDiscardingTaskGroup { group in
            for node in nodes.values { group.addTask { await node.host.close() } }
        }
    }

    // MARK: - Words

    /// A line of the file `unlocks`; the operator's words come last.
    private static func note(_ holder: NodeLock, by lock: NodeLock) -> String {
        NodeLock.line(
            "at=\(lock.since) by=\(lock.controller.owner)@\(lock.controller.host) token=\(lock.key.token) "
                + "from_run=\(holder.key.run) from_token=\(holder.key.token) "
                + "from=\(holder.controller.owner)@\(holder.controller.host) since=\(holder.since) reason=\(lock.reason)"
        )
    }

    private static func record(_ note: String, of run: String, in journal: (any RunStore)?) async -> Bool {
        guard let journal else { return false }
        do {
            try await journal.recordFact("unlock", note, of: run)
            return true
        } catch {
            return false
        }
    }

    private static func refusal(_ end: LockRounds.End, _ findings: Findings) -> RunControllerError {
        switch end.result {
        case .lost(let node, _):
            let whom = end.holders[node].map { ": \($0)" } ?? ""
            return RunControllerError(
                .locked,
                "the lock was not taken over; on \(node) it is another's by now\(whom)",
                remedy: "look again with `pawl unlock`"
            )
        case .tooFew(let reached, let needed):
            let failures = findings.survey.failures.merging(end.failures) { $1 }
            let list = failures.sorted { $0.key < $1.key }.map { "\n  \($0.key): \($0.value)" }.joined()
            return RunControllerError(
                .unreachable,
                "the lock was not taken over; \(reached) of \(findings.hosts.count) nodes answered, "
                    + "and \(needed) are needed" + list,
                remedy: "make more of them reachable, or choose the cluster's hosts with --limit"
            )
        case .stale, .held:
            return RunControllerError(
                .locked,
                "the lock was not taken over; the nodes changed while they were looked at",
                remedy: "look again with `pawl unlock`"
            )
        }
    }
}
