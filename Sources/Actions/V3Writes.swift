// SPDX-License-Identifier: Apache-2.0

import Etcd
import Foundation

/// What was acknowledged by the v3 stores since the migration.
struct V3Writes: Sendable {
    /// Hosts whose v3 store holds any of it.
    private(set) var hosts: [String] = []
    private(set) var lines: [String] = []

    var isAny: Bool { !lines.isEmpty }

    /// Asks what the members hold above what the run left; whatever is acknowledged is on every member that serves.
    init(
        _ members: [String: MemberFacts],
        _ scope: RollbackScope,
        _ context: ActionContext
    ) async throws(ActionFailure) {
        var newest: (name: String, from: Int64, to: Int64)?
        for (name, facts) in members.sorted(by: { $0.key < $1.key }) {
            let before = try await context.v3Before(name).revision
            let migrated = try await context.fact(RollbackFact.migratedRevision, of: name).flatMap { Int64($0) }
            let revision = facts.status.revision
            guard let from = Self.written(revision, before: before, migrated: migrated) else { continue }
            hosts.append(name)
            lines.append(
                "\(name): v3 revision \(revision), the run left \(from): \(max(1, revision - from)) writes since"
            )
            if migrated == from, newest.map({ $0.to < revision }) ?? true { newest = (name, from, revision) }
        }
        let leases = members.values.compactMap { $0.leases?.ids.count }.max() ?? 0
        if leases > 0 { lines.append("\(leases) leases were granted in v3") }
        if let refusal = members.values.lazy.compactMap(\.countRefusal).first(where: { $0.contains("user name") }) {
            lines.append("authentication was turned on in v3: \(refusal)")
        }
        if let node = context.etcdNodes.first(where: { members[$0.name] != nil }),
            let users = try? await ClusterProbe.v3Users(node)
        {
            lines += Self.changes(of: users, since: try await context.fact(RollbackFact.v3Users))
        }
        if let newest, let node = context.etcdNodes.first(where: { $0.name == newest.name }) {
            lines += await Self.names(on: node, above: newest.from)
        }
    }

    /// The revision above which a store was written to; `nil` when it was not.
    ///
    /// A member that is taken back already has the one of before, and so has one that was not migrated yet.
    static func written(_ revision: Int64, before: Int64, migrated: Int64?) -> Int64? {
        if revision == before || revision == migrated { return nil }
        if let migrated, revision > migrated { return migrated }
        return before
    }

    /// Users that were made or removed since the preflight of the run.
    ///
    /// - Parameters:
    ///   - users: those that there are.
    ///   - before: what ``before(_:)`` made of those that there were; `nil` where the run did not ask, so that each is new.
    /// - Returns: a line for each kind of change.
    static func changes(of users: [String], since before: String?) -> [String] {
        let known = before.flatMap { try? JSONDecoder().decode([String].self, from: Data($0.utf8)) } ?? []
        let made = users.filter { !known.contains($0) }
        let removed = known.filter { !users.contains($0) }
        return [("made", made), ("removed", removed)].filter { !$1.isEmpty }.map { change, names in
            "\(names.count) users were \(change) in v3: \(names.prefix(5).joined(separator: ", "))"
        }
    }

    /// The fact of users that there are before a migration.
    static func before(_ users: [String]) -> String {
        String(decoding: (try? JSONEncoder().encode(users.sorted())) ?? Data(), as: UTF8.self)
    }

    private static func names(on node: EtcdNode, above revision: Int64) async -> [String] {
        guard let stores = try? await ClusterProbe.listings(node) else { return [] }
        let written = stores.v3.keys.filter { $0.value.modified > UInt64(max(0, revision)) }
            .sorted { $0.value.modified < $1.value.modified }
        guard !written.isEmpty else { return ["no key holds them any more: they were deletions, or were deleted"] }
        let names = written.prefix(5).map { String(decoding: $0.key, as: UTF8.self) }.joined(separator: ", ")
        let rest = written.count > 5 ? " and \(written.count - 5) more" : ""
        return ["\(written.count) keys hold them: \(names)\(rest)"]
    }
}
