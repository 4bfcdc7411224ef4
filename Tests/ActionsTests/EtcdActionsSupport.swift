// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import Synchronization
import TestSupport

@testable import Actions

/// Facts of a run in memory.
final class MemoryFacts: FactLedger {
    private let values = Mutex<[String: String]>([:])

    init(_ values: [String: String] = [:]) {
        self.values.withLock { $0 = values }
    }

    func fact(_ name: String) -> String? { values.withLock { $0[name] } }
    func record(_ name: String, _ value: String) { values.withLock { $0[name] = value } }
    func forget(_ name: String) { values.withLock { $0[name] = nil } }
    var all: [String: String] { values.withLock { $0 } }
}

extension EtcdCluster {
    /// The cluster as a play's hosts, with variables on top of those that fit this machine.
    func targets(_ variables: [String: Value] = [:]) -> [ActionTarget] {
        members.map { member in
            let defaults: [String: Value] = [
                "etcd_endpoint": .string(member.clientURL), "etcd_data_dir": .string(member.dataDir),
                "etcd_user": .string("root"),
            ]
            return ActionTarget(
                host: LocalHost(name: member.name),
                variables: defaults.merging(variables) { $1 }
            )
        }
    }

    func context(
        _ facts: MemoryFacts,
        host: String? = nil,
        targets: [ActionTarget]? = nil,
        progress: @escaping @Sendable (String) -> Void = { _ in }
    ) -> ActionContext {
        let cluster = targets ?? self.targets()
        return ActionContext(
            run: "test",
            step: StepID("gate.1/*"),
            attempt: 1,
            timeout: .seconds(60),
            target: cluster.first { $0.host.name == host },
            cluster: cluster,
            completedHosts: [],
            facts: facts,
            progress: progress
        )
    }

    /// Migrates a member by hand and records what `etcd_migrate` records.
    func migrate(_ index: Int, _ facts: MemoryFacts, _ flags: String = "") async throws {
        try await migrate(members[index], flags)
        facts.record("\(members[index].name):migrated_revision", facts.fact("gate_max_index") ?? "1")
        facts.record("\(members[index].name):migrated_keys", facts.fact("gate_keys") ?? "0")
    }
}

extension EtcdCluster {
    /// The lease that a key of v3 is bound to; 0 when it is not.
    func lease(of key: String) async throws -> UInt64 {
        struct Answer: Decodable {
            struct Pair: Decodable { var lease: UInt64? }
            var kvs: [Pair]
        }
        let text = try await sh("etcdctl --endpoints $url get '\(key)' -w json")
        return try JSONDecoder().decode(Answer.self, from: Data(text.utf8)).kvs.first?.lease ?? 0
    }

    /// The seconds that a key's lease has left; 0 when it has none.
    func leaseSeconds(of key: String) async throws -> Int {
        struct Answer: Decodable { var ttl: Int }
        let id = try await lease(of: key)
        if id == 0 { return 0 }
        let text = try await sh("etcdctl --endpoints $url lease timetolive \(String(id, radix: 16)) -w json")
        return try JSONDecoder().decode(Answer.self, from: Data(text.utf8)).ttl
    }
}

extension EtcdCluster {
    /// The cluster as a play's hosts, whose connections are all cut at a change.
    func targets(cutAfter changes: Int, isLate: Bool) -> [ActionTarget] {
        targets().map { target in
            ActionTarget(
                host: CutHost(inner: target.host, after: changes, isLate: isLate),
                variables: target.variables
            )
        }
    }

    func leaseCount() async throws -> Int {
        let text = try await sh("etcdctl --endpoints $url lease list | grep -c '^[0-9a-f]*$' || true")
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }
}

/// The message of the failure that an action ends with.
func failure(of action: some Action, _ context: ActionContext) async throws -> String {
    do {
        let evidence = try await action.perform(context)
        return "no failure: \(evidence.summary)"
    } catch {
        return error.message
    }
}
