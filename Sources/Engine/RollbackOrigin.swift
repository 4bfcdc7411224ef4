// SPDX-License-Identifier: Apache-2.0

import Actions
import Foundation
import Journal
import Playbooks
import Rollout

/// The run that a rollback takes back: what is carried over from it, and how the two point at each other.
///
/// Everything here may be done again by a resumed rollback.
struct RollbackOrigin: Sendable {
    /// Fact of the run that is taken back: the rollback that was begun last.
    static let rolledBackBy = "rolled_back_by"

    let store: any RunStore
    /// The rollback.
    let run: String
    /// The run that it takes back.
    let origin: String

    /// The origin of a play that rolls back; `nil` for any other play.
    init?(of play: Play, run: String, store: any RunStore) {
        let steps = play.steps.lazy.flatMap(\.byHost.values)
        let ready = steps.first { $0.action == EtcdRollbackReady.schema.word }
        guard let origin = ready?.parameters.string("run") else { return nil }
        self.store = store
        self.run = run
        self.origin = origin
    }

    /// Gives the rollback what it must know of the run, and tells the run who takes it back.
    ///
    /// - Throws: ``JournalError``; a run that this journal does not know is left to the preflight, which refuses.
    func carry(to plan: Plan) async throws {
        guard try await store.fact(RollbackFact.origin, of: run) != origin else { return }
        guard let record = try? await store.run(origin), record.id == origin else { return }
        let facts = try await store.facts(of: origin)
        let before = try JSONDecoder().decode(Plan.self, from: Data(record.planJSON.utf8))
        let history = try await RunJournal(store: store, run: origin).history()
        let carried = Self.carried(facts, from: before, history, to: plan)
        for (name, value) in carried.sorted(by: { $0.key < $1.key }) {
            try await store.recordFact(name, value, of: run)
        }
        try await store.recordFact(Self.rolledBackBy, run, of: origin)
        // Last: its presence says that the others are there.
        try await store.recordFact(RollbackFact.origin, origin, of: run)
    }

    /// The facts of the rollback, from those of the run.
    static func carried(
        _ facts: [String: String],
        from before: Plan,
        _ history: [HistoryEntry],
        to plan: Plan
    ) -> [String: String] {
        var carried: [String: String] = [:]
        func carry(_ name: String, as other: String? = nil) {
            if let value = facts[name], !value.isEmpty { carried[other ?? name] = value }
        }
        carry("cluster_id")
        carry(RollbackFact.v3Users)
        carry("gate_fingerprint", as: RollbackFact.fingerprint)
        carry("gate_permanent_fingerprint", as: RollbackFact.permanentFingerprint)
        let begun = Set(history.map(\.step))
        for host in before.hosts {
            // The rollback keeps clients out for as long as it takes.
            for name in [FreezeWatch.run, FreezeWatch.ports, FreezeWatch.deadMan] { carry("\(host):\(name)") }
            for name in ["member_id", "member_name", "v3_revision", "v3_keys", "backup_path"] {
                carry("\(host):\(name)")
            }
            carry("\(host):migrated_revision", as: "\(host):\(RollbackFact.migratedRevision)")
            if facts["\(host):no_ttl"] == "true" { carried[RollbackFact.leftTTLKeysOut] = "yes" }
            let isChanged = before.steps.contains {
                $0.host == host && $0.phase == .steps && $0.effect == .once && begun.contains($0.id)
            }
            if isChanged { carried["\(host):\(RollbackFact.changedData)"] = "yes" }
        }
        for host in plan.hosts { carried["\(host):\(RollbackFact.isWanted)"] = "yes" }
        for host in plan.down { carried["\(host):\(RollbackFact.wasDown)"] = "yes" }
        return carried
    }

    /// Tells the run that it was taken back; whole when no member of it is left migrated.
    func close(_ plan: Plan) async throws {
        guard try await store.fact(RollbackFact.origin, of: run) == origin else { return }
        for host in plan.hosts {
            try await store.recordFact("\(host):\(Self.rolledBackBy)", run, of: origin)
        }
        let facts = try await store.facts(of: origin)
        let suffix = ":migrated_revision"
        let migrated = facts.filter { $0.key.hasSuffix(suffix) && !$0.value.isEmpty }.map {
            $0.key.dropLast(suffix.count)
        }
        guard migrated.allSatisfy({ facts["\($0):\(Self.rolledBackBy)"] != nil }) else { return }
        try await store.setState(of: origin, .rolledBack, exitCode: try await store.run(origin).exitCode)
    }

    /// Refuses to go on with a run that a rollback has begun to take back.
    static func refuseResume(of record: RunRecord, in store: any RunStore) async throws {
        guard let name = try await store.fact(rolledBackBy, of: record.id), let rollback = try? await store.run(name),
            rollback.state != .refused
        else { return }
        if rollback.state == .done {
            throw RunControllerError(
                .nothingToDo,
                "run \(record.id) was taken back by run \(name)",
                remedy: "begin anew with `pawl run`"
            )
        }
        throw RunControllerError(
            .nothingToDo,
            "run \(record.id) is being taken back by run \(name), which did not end",
            remedy: "go on with that: `pawl resume \(name)`"
        )
    }
}
