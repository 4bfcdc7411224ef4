// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Rollout

extension ClusterLock {
    /// Whom a lock is taken for, and why.
    struct Purpose: Sendable {
        var run: String
        /// `run`, `resume`, `rollback`.
        var reason: String
        /// The command line that takes a lock over, for the messages.
        var unlock: String
    }

    /// Takes the lock of a play's hosts.
    ///
    /// - Parameters:
    ///   - purpose: whom it is for.
    ///   - nodes: what is locked.
    ///   - survey: what the nodes showed of their locks a moment ago; `nil` to look now.
    /// - Returns: the lock, held.
    /// - Throws: with exit code 5 when another controller has it; nothing of this one is left on the nodes then.
    static func acquire(
        for purpose: Purpose,
        on nodes: LockNodes,
        seen survey: LockSurvey? = nil
    ) async throws(RunControllerError) -> ClusterLock {
        let rounds = LockRounds(nodes: nodes, asksForReplicas: true)
        var seen = survey
        for _ in 0..<3 {
            let survey: LockSurvey
            if let known = seen { survey = known } else { survey = await nodes.look(at: nodes.nodes.keys) }
            seen = nil
            try await demandFree(survey, by: purpose.run, unlock: purpose.unlock, on: nodes)
            let claim = LockClaim(
                run: purpose.run,
                nonce: NodeLock.Key.newNonce(),
                nodes: Set(nodes.members),
                sights: survey.sights.mapValues(LockClaim.Sight.init)
            )
            let lock = NodeLock(
                key: NodeLock.Key(claim.claim),
                controller: ControllerIdentity.current,
                since: Date().formatted(.iso8601),
                reason: purpose.reason
            )
            let end = await rounds.take(lock, claim, survey)
            switch end.result {
            case .held(let held):
                return ClusterLock(
                    lock,
                    in: survey.sights.filter { held.contains($0.key) }.mapValues(\.directory),
                    replacing: Set(survey.sights.values.compactMap(\.lock)),
                    doubtful: survey.sights.filter { end.doubtful.contains($0.key) }.mapValues(\.directory),
                    replicas: end.replicas.filter { survey.sights[$0.key]?.lock == nil },
                    on: nodes
                )
            case .lost(let node, _):
                throw await refusal(end.holders.filter { $0.key == node }, unlock: purpose.unlock, on: nodes)
            case .tooFew(let reached, let needed):
                throw tooFew(reached, needed, of: nodes, survey.failures.merging(end.failures) { $1 })
            case .stale: continue
            }
        }
        throw RunControllerError(
            .locked,
            "nothing was changed; other controllers take and leave the lock all the time",
            remedy: "try again when they have ended"
        )
    }

    /// Refuses when a node is held by a controller that is not proven to be gone.
    ///
    /// A lock of this very process and run is one that it left for a resume.
    static func demandFree(
        _ survey: LockSurvey,
        by run: String? = nil,
        unlock: String,
        on nodes: LockNodes
    ) async throws(RunControllerError) {
        let held = survey.sights.compactMapValues(\.lock).filter { !mayReplace($0.value, for: run) }
        guard held.isEmpty else { throw await refusal(held, unlock: unlock, on: nodes) }
    }

    private static func mayReplace(_ lock: NodeLock, for run: String?) -> Bool {
        if lock.controller == ControllerIdentity.current, lock.key.run == run { return true }
        return ControllerIdentity.isGone(lock.controller)
    }

    // MARK: - Refusals

    private static func refusal(
        _ held: [String: NodeLock],
        unlock: String,
        on nodes: LockNodes
    ) async -> RunControllerError {
        let newest = held.max { ($0.value.key.token, $1.key) < ($1.value.key.token, $0.key) }
        guard let newest else {
            return RunControllerError(.locked, "nothing was changed; another controller holds the cluster")
        }
        let step = await RunPlace.newest(of: newest.value.key.run, on: nodes).map { "; it is \($0)" } ?? ""
        let names = held.filter { $0.value.key == newest.value.key }.keys.sorted().joined(separator: ", ")
        return RunControllerError(
            .locked,
            "nothing was changed; another controller holds the cluster: \(newest.value) (on \(names))\(step)",
            remedy: "wait for it, or stop it with SIGINT; when it is gone for good: \(unlock)"
        )
    }

    private static func tooFew(
        _ reached: Int,
        _ needed: Int,
        of nodes: LockNodes,
        _ failures: [String: String]
    ) -> RunControllerError {
        let list = failures.sorted { $0.key < $1.key }.map { "\n  \($0.key): \($0.value)" }.joined()
        return RunControllerError(
            .unreachable,
            "nothing was changed; the lock could be taken on \(reached) of \(nodes.members.count) nodes, "
                + "and \(needed) are needed" + list,
            remedy: "`pawl check` looks at each host by itself"
        )
    }
}

extension LockClaim.Holder {
    init(_ key: NodeLock.Key) { self.init(run: key.run, token: key.token, nonce: key.nonce) }
}

extension NodeLock.Key {
    init(_ holder: LockClaim.Holder) { self.init(run: holder.run, token: holder.token, nonce: holder.nonce) }

    /// For one taking of a lock.
    static func newNonce() -> String { String(UInt64.random(in: .min ... .max), radix: 36) }
}

extension LockClaim.Sight {
    init(_ sight: LockSight) {
        self.init(
            rank: sight.rank,
            token: sight.token,
            holder: sight.lock.map { LockClaim.Holder($0.key) }
        )
    }
}
