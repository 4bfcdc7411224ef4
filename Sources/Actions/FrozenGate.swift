// SPDX-License-Identifier: Apache-2.0

import Etcd
import Foundation
import Rollout

/// The proof that a cluster stands still while its members are migrated one by one.
struct FrozenGate: Sendable {
    private let context: ActionContext
    private let nodes: [EtcdNode]
    private let migrated: Set<String>
    private let leavesTTLKeysOut: Bool
    /// The digest that the first gate of the run recorded.
    private let recorded: String?
    private let hasBaseline: Bool

    init(_ context: ActionContext) async throws(ActionFailure) {
        self.context = context
        nodes = context.etcdNodes
        migrated = try await context.migratedHosts()
        leavesTTLKeysOut = try await context.leavesTTLKeysOut()
        let fact = leavesTTLKeysOut ? "gate_permanent_fingerprint" : "gate_fingerprint"
        recorded = Self.isFirst(context.step) && migrated.isEmpty ? nil : try await context.fact(fact)
        hasBaseline = try await context.fact("baseline_fingerprint") != nil
    }

    /// Whether this is the gate before the first member, which takes the baseline.
    ///
    /// A run that stopped before it changed a member has let its writers go. When it is resumed, what they wrote since
    /// is no stray write, and no member's data rests on the old baseline.
    private static func isFirst(_ step: StepID) -> Bool { step.text.contains("@start/") }

    var isMigration: Bool { hasBaseline || recorded != nil || !migrated.isEmpty }

    /// How old a preflight's baseline may be for the first gate to take it over.
    private static let freshness = 5.0

    /// Proves that the members hold what they held, and that whatever keeps writers out is in place.
    func prove() async throws(ActionFailure) -> Evidence {
        let openings = try await FreezeWatch(context.facts, context.cluster).look()
        let evidence: Evidence
        do throws(ActionFailure) {
            evidence = try await proveData()
        } catch {
            var failure = error
            failure.message += openings.map { "\n- the client ports had been closed, and are not: \($0)" }.joined()
            throw failure
        }
        guard openings.isEmpty else {
            throw ActionFailure(
                "nothing was written, but the client ports are not closed any more",
                problems: openings,
                remedy: "`pawl resume` closes them again and goes on"
            )
        }
        return evidence
    }

    private func proveData() async throws(ActionFailure) -> Evidence {
        if let evidence = try await takeOverBaseline() { return evidence }
        // The hash of a single store would be compared with nothing.
        let hashed = migrated.count > 1 ? migrated : []
        let answers = await ClusterProbe.states(nodes, fingerprints: true, hashed: hashed)
        try await refuseSick(answers, context)
        let states = answers.compactMapValues { try? $0.get() }
        let prints = states.compactMapValues(\.fingerprint)
        let fingerprint = try await agreed(prints)
        try await refuseStrayV3(states, fingerprint)
        // Each `/health` that was asked meanwhile put one entry into the log, and so did each login.
        let entries: UInt64 = nodes.contains { $0.settings.login != nil } ? 3 : 1
        try await proveCaughtUp(
            states.mapValues(\.status.raftAppliedIndex),
            nodes,
            tolerance: UInt64(nodes.count) * entries + 1
        )
        if recorded == nil { try await record(fingerprint) }
        let keys = fingerprint.keys(withoutTTL: leavesTTLKeysOut)
        let hash = states.values.lazy.compactMap(\.hash).first
        return Evidence(
            "all \(nodes.count) members hold the same \(keys) keys"
                + (migrated.isEmpty ? "" : ", \(migrated.count) of them in v3, too")
                + (recorded == nil ? "; this is the baseline" : ", unchanged since the freeze"),
            [
                "fingerprint": fingerprint.digest(withoutTTL: leavesTTLKeysOut), "keys": "\(keys)",
                "max_index": "\(fingerprint.newestIndex(withoutTTL: leavesTTLKeysOut))",
                "hash": hash.map { "\($0.hash)" } ?? "", "migrated": "\(migrated.count)",
            ]
        )
    }

    /// Makes the baseline that the preflight has just taken the gate's own, where nothing was frozen since.
    ///
    /// The preflight has proven the same a moment ago: the members are well, stand still, and hold equal data. A freeze
    /// is a change; behind one the members are asked anew, because only then do writers stand still.
    private func takeOverBaseline() async throws(ActionFailure) -> Evidence? {
        guard recorded == nil, !context.hasChangedAnything,
            let taken = try await context.fact("baseline_at").flatMap(Double.init),
            case let age = Date.now.timeIntervalSince1970 - taken, (0..<Self.freshness).contains(age),
            let digest = try await context.fact("baseline_fingerprint"),
            let keys = try await context.fact("baseline_keys")
        else { return nil }
        for name in Self.baselineFacts {
            guard let value = try await context.fact("baseline_\(name)") else { return nil }
            try await context.facts.record("gate_\(name)", value)
        }
        return Evidence(
            "the preflight's baseline of \(keys) keys stands: nothing was changed since it was taken",
            ["fingerprint": digest, "keys": keys, "migrated": "0"]
        )
    }

    /// What both the preflight and the first gate record, the fingerprint last: its presence says that all are there.
    private static let baselineFacts = [
        "keys", "max_index", "ttl_keys", "inherited_keys", "permanent_keys", "permanent_max_index",
        "permanent_fingerprint", "fingerprint",
    ]

    // MARK: - v2

    /// The fingerprint that all members have, which is the recorded one where there is one.
    private func agreed(_ prints: [String: Fingerprint]) async throws(ActionFailure) -> Fingerprint {
        let digests = prints.mapValues { $0.digest(withoutTTL: leavesTTLKeysOut) }
        let isUnchanged = recorded == nil || digests.values.allSatisfy { $0 == recorded }
        if let first = prints.values.first, Set(digests.values).count == 1, isUnchanged { return first }
        var lines: [String] = []
        for (name, print) in prints.sorted(by: { $0.key < $1.key }) where digests[name] != recorded || recorded == nil {
            lines.append("\(name): \(print.keys) keys, highest index \(print.newestIndex), \(print.digest.prefix(12))")
        }
        lines += await StrayWrites(nodes: nodes, migrated: migrated, digests: digests, recorded: recorded)
            .named(newest: try await number("gate_max_index"), keys: try await number("gate_keys"), prints)
        throw ActionFailure(
            recorded == nil
                ? "the members do not hold the same v2 keys" : "somebody wrote to the v2 store since the freeze",
            problems: lines,
            remedy: wayOn
        )
    }

    /// What is right now depends on whether a member's v3 data was made without the write.
    private var wayOn: String {
        guard !migrated.isEmpty else {
            return
                "no member is migrated yet: stop whoever writes, and begin again, which takes the keys as they are then"
        }
        let names = nodes.map(\.name).filter(migrated.contains).joined(separator: ", ")
        return
            "stop whoever writes, then `pawl rollback`, which takes \(names) back to before the run and keeps what was "
            + "written to v2, and begin anew; `pawl resume` halts here again, because \(names) would never get the write"
    }

    private func number(_ fact: String) async throws(ActionFailure) -> UInt64? {
        try await context.fact(fact).flatMap { UInt64($0) }
    }

    private func record(_ fingerprint: Fingerprint) async throws(ActionFailure) {
        let ledger = context.facts
        if let before = try await context.fact("baseline_fingerprint"), before != fingerprint.digest {
            context.progress(
                "the keys changed between preflight and the freeze: \(fingerprint.keys) keys now, "
                    + "highest index \(fingerprint.newestIndex)"
            )
        }
        // What was true before the freeze is no baseline any more.
        for prefix in ["gate", "baseline"] {
            try await ledger.record("\(prefix)_keys", "\(fingerprint.keys)")
            try await ledger.record("\(prefix)_max_index", "\(fingerprint.newestIndex)")
            try await ledger.record("\(prefix)_ttl_keys", "\(fingerprint.temporaryKeys)")
            try await ledger.record("\(prefix)_inherited_keys", "\(fingerprint.inheritedKeys)")
            try await ledger.record("\(prefix)_permanent_keys", "\(fingerprint.permanentKeys)")
            try await ledger.record("\(prefix)_permanent_max_index", "\(fingerprint.newestPermanentIndex)")
            try await ledger.record("\(prefix)_permanent_fingerprint", fingerprint.permanent)
            // Last: its presence says that all of them are there.
            try await ledger.record("\(prefix)_fingerprint", fingerprint.digest)
        }
    }

    // MARK: - v3

    private func refuseStrayV3(
        _ states: [String: MemberState],
        _ fingerprint: Fingerprint
    ) async throws(ActionFailure) {
        var problems: [String] = []
        for (name, state) in states.sorted(by: { $0.key < $1.key }) {
            problems +=
                migrated.contains(name)
                ? try await migratedProblems(name, state, fingerprint) : try await untouchedProblems(name, state)
        }
        let migratedStates = states.filter { migrated.contains($0.key) }.mapValues {
            Result<MemberState, EtcdProbeError>.success($0)
        }
        if migratedStates.count > 1 { problems += ClusterProbe.compare(migratedStates).problems }
        if problems.isEmpty { return }
        throw ActionFailure(
            "the v3 stores are not what the migration must have left",
            problems: problems + (try await strayV3(states, fingerprint)),
            remedy: migrated.isEmpty
                ? "no member is migrated yet: stop whoever writes to v3, remove its keys or decide about them, and begin a new "
                    + "run; etcd_ready says what it demands of v3"
                : "stop whoever writes, then `pawl rollback`; it names the v3 writes that would be lost, and refuses to lose "
                    + "them unless --lose-v3-writes gives them up"
        )
    }

    /// The keys that were written to v3, of each member that has a higher revision than it must have; ten lines in all.
    private func strayV3(
        _ states: [String: MemberState],
        _ fingerprint: Fingerprint
    ) async throws(ActionFailure) -> [String] {
        var lines: [String] = []
        let transformer = try await context.transformer()
        for node in nodes {
            guard let revision = states[node.name]?.status.revision else { continue }
            var expected = try await baselineV3(node.name).revision
            if migrated.contains(node.name) {
                let newest = max(1, Int64(clamping: fingerprint.newestIndex(withoutTTL: leavesTTLKeysOut)))
                let left = try await context.fact("migrated_revision", of: node.name).flatMap { Int64($0) }
                expected = expected <= 1 && transformer == nil ? newest : left ?? revision
            }
            if revision > expected { lines += await StrayWrites.inV3(node, above: expected) }
        }
        return lines.count > 10 ? lines.prefix(10) + ["and \(lines.count - 10) more"] : lines
    }

    /// A migrated member must hold exactly the frozen store, also when it was proven earlier: a snapshot from a member
    /// that is not migrated replaces its db.
    private func migratedProblems(
        _ name: String,
        _ state: MemberState,
        _ fingerprint: Fingerprint
    ) async throws(ActionFailure) -> [String] {
        // What a transformer left need not be what v2 holds.
        guard try await baselineV3(name).revision <= 1, try await context.transformer() == nil else {
            return try await recordedProblems(name, state)
        }
        let isShort = leavesTTLKeysOut
        let revision = max(1, Int64(clamping: fingerprint.newestIndex(withoutTTL: isShort)))
        let keys = fingerprint.keys(withoutTTL: isShort)
        // Of keys whose directory has expired since the freeze, v3 may hold any; that members agree their hashes say.
        let inherited = isShort ? Int(clamping: try await number("gate_inherited_keys") ?? 0) : 0
        let gone = max(0, inherited - fingerprint.inheritedKeys)
        let frozen = gone > 0 ? try await number("gate_permanent_max_index").map { Int64(clamping: $0) } : nil
        var problems: [String] = []
        if !(revision...max(revision, frozen ?? revision)).contains(state.status.revision) {
            problems.append(
                "\(name): v3 revision \(state.status.revision), the highest v2 index is \(revision)"
            )
        }
        if !(keys...(keys + gone)).contains(state.count?.count ?? -1) {
            problems.append("\(name): \(state.count.map { "\($0.count)" } ?? "unknown") v3 keys, \(keys) in v2")
        }
        return problems
    }

    /// Where v3 was not empty before, what the migration itself recorded is compared instead.
    private func recordedProblems(_ name: String, _ state: MemberState) async throws(ActionFailure) -> [String] {
        guard let revision = try await context.fact("migrated_revision", of: name),
            revision != "\(state.status.revision)"
        else { return [] }
        return ["\(name): v3 revision \(state.status.revision), the migration left \(revision)"]
    }

    private func untouchedProblems(_ name: String, _ state: MemberState) async throws(ActionFailure) -> [String] {
        let before = try await baselineV3(name)
        var problems: [String] = []
        if state.status.revision != before.revision {
            problems.append(
                "\(name): v3 revision \(state.status.revision), although it is not migrated; it was \(before.revision)"
            )
        }
        if let count = state.count?.count, count != before.count {
            problems.append("\(name): \(count) v3 keys, although it is not migrated; there were \(before.count)")
        }
        return problems
    }

    private func baselineV3(_ name: String) async throws(ActionFailure) -> (revision: Int64, count: Int) {
        let revision = try await context.fact("v3_revision", of: name).flatMap { Int64($0) }
        let count = try await context.fact("v3_keys", of: name).flatMap { Int($0) }
        return (revision ?? 1, count ?? 0)
    }
}
