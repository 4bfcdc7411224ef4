// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_canary`: writes a key of pawl's own through each member, reads it on all, and deletes it again.
///
/// A member that has the right data may still be unable to take more of it: without room in its quota, or cut off from the
/// others. The key is bound to a lease, so that it goes by itself when nobody is left to delete it.
package struct EtcdCanary: Action {
    package static let schema = ActionSchema(
        word: "etcd_canary",
        summary: """
            Prove that the cluster takes v3 writes: put a key of pawl's own through each member in turn, read it from every \
            member's own store, delete it, and compare the stores. It raises the revision by two for each member, so that a rollback is only made with \
            lose_v3_writes.
            """,
        parameters: [
            .init(
                "through",
                .choice(["each", "none"]),
                default: .string("each"),
                "Each member in turn; with none the step does nothing."
            )
        ],
        example: """
            - name: Cluster takes writes
              etcd_canary: { through: each }
            """
    )
    package static let scope = ActionScope.cluster

    /// How long the key outlives a step that nobody ends.
    private static let lease = 120

    private let isWanted: Bool

    package init(_ parameters: Parameters) throws(ActionFailure) {
        isWanted = parameters.string("through") != "none"
    }

    package var traits: ActionTraits {
        ActionTraits(effect: isWanted ? .repeatable : .readOnly, defaultTimeout: .seconds(120))
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a write is tried anew each time; a key that is left is deleted first")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        throw ActionFailure("a canary is not taken back: it has deleted its key, or the key's lease will")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard isWanted else { return .switchedOff("no write was wanted") }
        let key = Array("pawl/canary/\(context.run)".utf8)
        guard let first = context.etcdNodes.first else { throw ActionFailure("etcd_canary needs at least one host") }
        var revisions = 0
        for node in context.etcdNodes {
            context.progress("a write through \(node.name)")
            revisions += try await fly(key, through: node, context)
        }
        let writing = try await V3Writing(context, through: first.name)
        // Of an attempt that was cut off.
        try await writing.revokeUnused()
        let hash = try await writing.proveEqual()
        return Evidence(
            "\(context.cluster.count) members took a key, showed it and deleted it, and are equal (\(hash))",
            ["hash": "\(hash.hash)", "revision": "\(hash.revision)", "writes": "\(revisions)"]
        )
    }

    /// One put and one delete through a member.
    ///
    /// - Returns: how many revisions they made.
    private func fly(
        _ key: [UInt8],
        through node: EtcdNode,
        _ context: ActionContext
    ) async throws(ActionFailure) -> Int {
        let writing = try await V3Writing(context, through: node.name)
        let word = String(UInt64.random(in: .min ... .max), radix: 16)
        var revisions = 0
        if let left = try await Self.read(key, on: node) {
            // Of an attempt that was cut off; its name is this run's alone.
            revisions += try await writing.run([V3Transaction(key, if: .unchanged(since: left.revision), .delete)])
                .revisions
        }
        let lease = try await writing.grant([Self.lease])
        let put = try await writing.run([
            V3Transaction(key, if: .absent, .put(value: Array(word.utf8), lease: lease.first))
        ])
        guard put.written == 1 else {
            throw ActionFailure("\(node.name): the key of this step is there again after it was deleted")
        }
        let revision = try await proveSeen(key, word, through: node, context)
        let delete = try await writing.run([V3Transaction(key, if: .unchanged(since: revision), .delete)])
        guard delete.written == 1 else {
            throw ActionFailure("\(node.name): somebody else has written to the key of this step")
        }
        try await writing.revoke(lease)
        return revisions + put.revisions + delete.revisions
    }

    /// Waits until each member's own store shows the key.
    private func proveSeen(
        _ key: [UInt8],
        _ word: String,
        through node: EtcdNode,
        _ context: ActionContext
    ) async throws(ActionFailure) -> UInt64 {
        var blind: [String] = []
        for attempt in 0..<25 {
            if attempt > 0 { try? await Task.sleep(for: .milliseconds(200)) }
            blind = []
            var revisions: Set<UInt64> = []
            for other in context.etcdNodes {
                if let seen = try await Self.read(key, on: other), seen.value == Array(word.utf8) {
                    revisions.insert(seen.revision)
                } else {
                    blind.append(other.name)
                }
            }
            if blind.isEmpty, let revision = revisions.first {
                if revisions.count == 1 { return revision }
                throw ActionFailure(
                    "the members hold a write through \(node.name) at different revisions: "
                        + revisions.sorted().map(String.init).joined(separator: ", "),
                    remedy: "their v3 stores are not equal; see `pawl verify`"
                )
            }
        }
        throw ActionFailure(
            "a write through \(node.name) is not seen on \(blind.joined(separator: ", ")) within 5 s",
            remedy: "see whether that member follows the leader: etcdctl endpoint status"
        )
    }

    private static func read(
        _ key: [UInt8],
        on node: EtcdNode
    ) async throws(ActionFailure) -> (value: [UInt8], revision: UInt64)? {
        do throws(EtcdProbeError) {
            guard let stored = try await ClusterProbe.v3Key(key, on: node) else { return nil }
            return (stored.value, stored.modified)
        } catch {
            throw ActionFailure(error)
        }
    }
}
