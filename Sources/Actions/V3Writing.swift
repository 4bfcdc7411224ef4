// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote

/// Writes of a step's own to the v3 store, through one member, with the proof that all members have them.
struct V3Writing: Sendable {
    let context: ActionContext
    let nodes: [EtcdNode]
    /// The member that is written through.
    let node: EtcdNode
    private let version: EtcdVersion
    private let writer: V3Writer

    init(_ context: ActionContext, through name: String? = nil) async throws(ActionFailure) {
        self.context = context
        nodes = context.etcdNodes
        guard let node = name.flatMap({ name in context.etcdNodes.first { $0.name == name } }) ?? nodes.last else {
            throw ActionFailure("there is no member to write through")
        }
        self.node = node
        do throws(EtcdProbeError) {
            version = try await ClusterProbe.version(node).server
        } catch {
            throw ActionFailure(error)
        }
        writer = V3Writer(node, version: version)
    }

    /// Runs transactions; each writes only where its key is as it was seen.
    func run(_ transactions: [V3Transaction]) async throws(ActionFailure) -> V3Writer.Outcome {
        let requests = writer.requests(transactions)
        return try await send(requests, "write to v3") { result throws(EtcdProbeError) in
            try writer.outcome(of: requests, result)
        } ?? V3Writer.Outcome()
    }

    /// Grants leases of these lengths in seconds, with ids of this run's own.
    func grant(_ seconds: [Int]) async throws(ActionFailure) -> [Int64] {
        if seconds.isEmpty { return [] }
        let taken = try await allLeases()
        let family = LeaseFamily(run: context.run)
        let ids = taken.map { family.ids(seconds.count, beside: $0) } ?? seconds.map { _ in 0 }
        let requests = writer.grants(seconds, ids: ids)
        return try await send(requests, "grant leases") { result throws(EtcdProbeError) in
            try writer.leases(requests, result)
        } ?? []
    }

    /// Leases of the time that is left now of each of these lengths in seconds, which were seen a while ago.
    func leases(
        of lengths: Set<Int>,
        since seen: ContinuousClock.Instant
    ) async throws(ActionFailure) -> [Int: Int64] {
        let lengths = lengths.sorted()
        let elapsed = Int((ContinuousClock.now - seen).components.seconds)
        let ids = try await grant(lengths.map { max(1, $0 - elapsed) })
        return Dictionary(uniqueKeysWithValues: zip(lengths, ids))
    }

    /// Those of the keys that a member's own store has.
    func read(_ names: [KeyListing.Name], on node: EtcdNode) async throws(ActionFailure) -> KeyListing {
        if names.isEmpty { return KeyListing([:]) }
        do {
            let reader = V3Writer(node, version: version)
            let requests = reader.reads(names)
            let command = reader.command(requests, label: "read v3 keys", effect: .readOnly, timeout: context.timeout)
            return try reader.keys(requests, try await node.host.run(command))
        } catch let error as EtcdProbeError {
            throw ActionFailure(error)
        } catch {
            throw ActionFailure("\(error)")
        }
    }

    /// Revokes the leases of this run that no key is bound to: those of an attempt that was cut off, and those whose keys
    /// were written already.
    ///
    /// To be done when all keys are written. To revoke a lease removes its keys, so it is asked of each whether it has any.
    func revokeUnused() async throws(ActionFailure) {
        let family = LeaseFamily(run: context.run)
        let own = (try await allLeases() ?? []).filter(family.contains)
        if own.isEmpty { return }
        let requests = writer.bindings(own)
        let bound =
            try await send(requests, "ask for the keys of leases", .readOnly) { result throws(EtcdProbeError) in
                try writer.areBound(requests, result)
            } ?? []
        try await revoke(zip(own, bound).filter { !$0.1 }.map(\.0))
    }

    /// All leases of the cluster; `nil` where this version of etcd does not tell.
    private func allLeases() async throws(ActionFailure) -> [Int64]? {
        do throws(EtcdProbeError) {
            return try await ClusterProbe.leases(node)
        } catch {
            throw ActionFailure(error)
        }
    }

    func revoke(_ leases: [Int64]) async throws(ActionFailure) {
        let requests = writer.revocations(leases)
        _ = try await send(requests, "revoke leases") { result throws(EtcdProbeError) in
            try writer.acknowledge(requests, result)
        }
    }

    private func send<Value>(
        _ requests: [GatewayRequest],
        _ label: String,
        _ effect: RemoteCommand.Effect = .mutating,
        _ read: (CommandResult) throws(EtcdProbeError) -> Value
    ) async throws(ActionFailure) -> Value? {
        if requests.isEmpty { return nil }
        let result: CommandResult
        do {
            result = try await node.host.run(
                writer.command(requests, label: label, effect: effect, timeout: context.timeout)
            )
        } catch {
            throw ActionFailure(error)
        }
        do throws(EtcdProbeError) {
            return try read(result)
        } catch {
            throw ActionFailure(error.description, remedy: "when that is mended, `pawl resume` does the step again")
        }
    }

    /// The hash that all members' v3 stores have.
    ///
    /// - Throws: when they differ.
    func proveEqual() async throws(ActionFailure) -> HashKV {
        let comparison = await ClusterProbe.compareHashes(nodes)
        if let hash = comparison.common { return hash }
        throw ActionFailure(
            "the members' v3 stores are not equal after a write through \(node.name)",
            problems: comparison.problems,
            remedy: "keep writers stopped, and find the member that is wrong with `pawl verify`"
        )
    }
}
