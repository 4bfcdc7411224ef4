// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_rolled_back`: the gate of a rollback, and its proof at the end.
///
/// Every member that was taken back has the v3 store that it had before the run, every other one still has what it had
/// when the rollback began, and all hold the same v2 keys.
package struct EtcdRolledBack: Action {
    package static let schema = ActionSchema(
        word: "etcd_rolled_back",
        summary: """
            Prove that the members taken back hold what they held before the run, that the others are unchanged, and \
            that all v2 stores are equal. Belongs to `pawl rollback`.
            """,
        parameters: [],
        example: """
            - etcd_rolled_back: {}
            """
    )
    package static let scope = ActionScope.cluster

    package init(_ parameters: Parameters) throws(ActionFailure) {}

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(300)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a gate is looked at anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the gate only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard try await context.fact(RollbackFact.v3Written) != nil else {
            throw ActionFailure(
                "it is not known what is to be rolled back",
                remedy: "begin with the step etcd_rollback_ready, by way of `pawl rollback`"
            )
        }
        let absent = try await absentHosts(context)
        guard absent.count < context.cluster.count else {
            return Evidence("no member serves yet; each is looked at when it is back")
        }
        // Clients may go on writing to v2, so that equal members may be seen at different moments.
        var states: [String: MemberState] = [:]
        var digests: Set<String> = []
        for attempt in 0..<8 {
            if attempt > 0 { try? await Task.sleep(for: .milliseconds(300)) }
            let answers = await ClusterProbe.states(context.etcdNodes, fingerprints: true, hashed: [])
            try await refuseSick(answers.filter { !absent.contains($0.key) }, context, absent: absent)
            states = answers.filter { !absent.contains($0.key) }.compactMapValues { try? $0.get() }
            digests = Set(states.values.compactMap { $0.fingerprint?.permanent })
            if digests.count == 1 { break }
        }
        guard digests.count == 1 else {
            throw ActionFailure(
                "the members do not hold the same v2 keys",
                problems: states.sorted { $0.key < $1.key }.map { name, state in
                    "\(name): \(state.fingerprint.map { "\($0.keys) keys, highest index \($0.newestIndex)" } ?? "unknown")"
                },
                remedy: "stop whoever writes to v2 while the members are compared, then resume"
            )
        }
        let problems = try await v3Problems(states, context)
        guard problems.isEmpty else {
            throw ActionFailure(
                "the v3 stores are not what they must be",
                problems: problems,
                remedy:
                    "stop whoever writes to v3; then begin anew with `pawl rollback`, which looks at each member again"
            )
        }
        try await proveCaughtUp(
            states.mapValues(\.status.raftAppliedIndex),
            context.etcdNodes.filter { !absent.contains($0.name) },
            tolerance: EtcdHealthy.tolerableLag
        )
        return try await evidence(states, context)
    }

    /// Hosts that were down when the rollback began and have not been taken back yet.
    private func absentHosts(_ context: ActionContext) async throws(ActionFailure) -> Set<String> {
        var absent: Set<String> = []
        for target in context.cluster {
            let name = target.host.name
            let wasDown = try await context.fact(RollbackFact.wasDown, of: name) != nil
            if wasDown, !context.completedHosts.contains(name) { absent.insert(name) }
        }
        return absent
    }

    private func v3Problems(
        _ states: [String: MemberState],
        _ context: ActionContext
    ) async throws(ActionFailure) -> [String] {
        var problems: [String] = []
        for (name, state) in states.sorted(by: { $0.key < $1.key }) {
            let revision = state.status.revision
            if context.completedHosts.contains(name) {
                let before = try await context.v3Before(name)
                let keys = state.count.map { "\($0.count)" } ?? "unknown"
                if revision != before.revision || state.count?.count != before.keys {
                    problems.append(
                        "\(name) was taken back and has v3 revision \(revision) with \(keys) keys; before the run it had "
                            + "revision \(before.revision) with \(before.keys)"
                    )
                }
            } else if let begun = try await context.fact(RollbackFact.revision, of: name), begun != "\(revision)" {
                problems.append("\(name) has v3 revision \(revision), and had \(begun) when the rollback began")
            }
        }
        return problems
    }

    private func evidence(
        _ states: [String: MemberState],
        _ context: ActionContext
    ) async throws(ActionFailure) -> Evidence {
        let backCount = states.keys.count { context.completedHosts.contains($0) }
        let print = states.values.lazy.compactMap(\.fingerprint).first
        var isAsFrozen = false
        if let print { isAsFrozen = try await context.isAsFrozen(print) }
        let v2 = isAsFrozen ? "unchanged since the freeze of the run" : "written to since the run, which is kept"
        return Evidence(
            "\(states.count) members hold the same \(print?.keys ?? 0) v2 keys, \(v2); \(backCount) taken back, with the "
                + "v3 store of before the run",
            ["fingerprint": print?.digest ?? "", "keys": "\(print?.keys ?? 0)", "rolled_back": "\(backCount)"]
        )
    }
}

extension ActionContext {
    /// The v3 store of a host before the run that is taken back; empty where nothing else was recorded.
    func v3Before(_ name: String) async throws(ActionFailure) -> (revision: Int64, keys: Int) {
        let revision = try await fact("v3_revision", of: name).flatMap { Int64($0) }
        let keys = try await fact("v3_keys", of: name).flatMap { Int($0) }
        return (revision ?? 1, keys ?? 0)
    }

    /// Whether a v2 store is the one that the run froze; keys that expire do not count where they were left out.
    func isAsFrozen(_ fingerprint: Fingerprint) async throws(ActionFailure) -> Bool {
        if try await fact(RollbackFact.leftTTLKeysOut) != nil {
            return try await fact(RollbackFact.permanentFingerprint) == fingerprint.permanent
        }
        return try await fact(RollbackFact.fingerprint) == fingerprint.digest
    }
}
