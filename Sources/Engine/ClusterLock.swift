// SPDX-License-Identifier: Apache-2.0

import Remote
import Rollout

/// The lock of a cluster, held: on a majority of the play's hosts, fenced by its token.
///
/// docs/design/lock.md says how it is taken, held and left.
struct ClusterLock: Sendable {
    /// What was written on the nodes.
    let lock: NodeLock
    /// The state directory of each host that has it.
    let directories: [String: String]
    /// Locks of controllers that are proven to be gone, which it replaced.
    let replaced: Set<NodeLock>
    /// What nodes said of runs when it was taken, but for those where it replaced another: a command of its holder may
    /// have been on its way to the disk.
    let replicas: [String: [UInt8]]
    /// The state directories of hosts that may have it, and did not say so: nothing is changed on them, and it is given
    /// back there too.
    private let doubtful: [String: String]
    private let nodes: LockNodes

    init(
        _ lock: NodeLock,
        in directories: [String: String],
        replacing replaced: Set<NodeLock>,
        doubtful: [String: String],
        replicas: [String: [UInt8]],
        on nodes: LockNodes
    ) {
        self.doubtful = doubtful
        self.replicas = replicas
        self.lock = lock
        self.directories = directories
        self.replaced = replaced
        self.nodes = nodes
    }

    // MARK: - Holding it

    /// The fence in front of every change of a host.
    func fence(on host: String) -> any MutationGuard {
        guard let directory = directories[host] else { return NoLock(host: host) }
        return LockGuard(lock.key, in: directory, of: nodes.nodes[host]?.user)
    }

    /// Asks the nodes of the cluster whether they still have it, by host.
    var questions: [String: String] { nodes.questions(to: nodes.members) }

    /// Where the lock stands among the nodes of the cluster.
    struct Standing: Sendable, Hashable {
        /// Nodes that do not have it, and what they have instead.
        var missing: [String: String] = [:]
        /// Why it must be taken for lost; `nil` while a majority has it.
        var objection: String?
    }

    /// Where the lock stands, from the answers to ``questions``.
    func standing(in answers: [String: String]) -> Standing {
        var survey = LockSurvey()
        for host in nodes.members { survey.note(answers[host], from: host) }
        var standing = Standing()
        for host in nodes.members where survey.sights[host]?.lock?.key != lock.key {
            let held = survey.sights[host].map { sight in sight.lock.map { "held by \($0)" } ?? "held by nobody" }
            standing.missing[host] = held ?? survey.failures[host] ?? "not asked"
        }
        let kept = nodes.members.count - standing.missing.count
        if kept < nodes.needed {
            let others = standing.missing.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            standing.objection =
                "this run has lost the lock of the cluster: \(kept) of \(nodes.members.count) nodes have it, "
                + "\(nodes.needed) are needed; " + others.joined(separator: "; ")
        }
        return standing
    }

    // MARK: - Leaving it

    /// Gives it back on every node that has it.
    ///
    /// - Returns: for each node where that failed, why.
    func release() async -> [String: String] {
        await LockRounds(nodes: nodes).release(lock.key, in: everywhere)
    }

    /// Whether a node said that it has it.
    func isHeld(on host: String) -> Bool { directories[host] != nil }

    /// The nodes that have it, or may have it.
    var holders: Set<String> { Set(everywhere.keys) }

    private var everywhere: [String: String] { directories.merging(doubtful) { known, _ in known } }

    /// Gives it back on one node.
    ///
    /// - Returns: why that failed, if it did.
    func release(on host: String) async -> String? {
        let rounds = LockRounds(nodes: nodes)
        return await rounds.release(lock.key, in: everywhere.filter { $0.key == host })[host]
    }

    /// Gives it back on one node, amid what else is to be done there for the last time.
    ///
    /// - Parameters:
    ///   - host: one of ``holders``.
    ///   - leaving: what is to be done.
    /// - Returns: what was not done, and why.
    /// - Throws: when nobody knows.
    func release(
        on host: String,
        _ leaving: LockScript.Leaving
    ) async throws(RemoteError) -> LockScript.LeavingFailures {
        guard let directory = everywhere[host] else { return LockScript.LeavingFailures() }
        return try await LockRounds(nodes: nodes).release(lock.key, in: directory, on: host, leaving)
    }
}

/// A host on which the lock was not taken: it did not answer then, so nothing is changed on it.
private struct NoLock: MutationGuard {
    let host: String

    func prologue(for command: RemoteCommand) throws(RemoteError) -> String {
        throw RemoteError(
            .fenced,
            host: host,
            "\(command.label): this run has no lock on \(host), which did not answer when the lock was taken",
            remedy: "make the host reachable, then `pawl resume`"
        )
    }

    func epilogue(for command: RemoteCommand) -> String { "" }
}
