// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Journal
import Remote
import Rollout

/// Whether what the nodes say of runs fits a run that is to be begun, gone on with, or taken up.
///
/// Every answer that is not yes is an error with the difference in words, and what to do.
struct ReplicaJudgement: Sendable {
    let round: ReplicaRound
    /// As an operator would name the inventory: `-i FILE`.
    let inventory: String

    // MARK: - A new run

    /// Refuses when the nodes are in the middle of a run, but for the one that the new run goes on from.
    func demandFree(but origin: String? = nil) throws(RunControllerError) {
        try demandReadable { _ in true }
        let open = round.open.filter { $0.key != origin }
        guard let run = open.keys.sorted().first, let carried = open[run] else { return }
        throw RunControllerError(
            .drift,
            "nothing was changed: the nodes are in the middle of another run\n"
                + open.keys.sorted().map { "  " + describe($0, open[$0] ?? []) }.joined(separator: "\n"),
            remedy: "go on with it: `pawl resume \(inventory) \(run)`; take it back: `pawl rollback \(run)` where its"
                + " journal is (\(carried[0].replica.run.controllerHost)); or give it up for this one: --supersede"
        )
    }

    // MARK: - A run that is to be gone on with

    /// What a journal still has to be told of its run by the nodes: what it had not flushed when its machine lost power.
    struct Arrears: Sendable {
        var records: [StepRecord] = []
        var facts: [FactRecord] = []
    }

    /// Refuses when the nodes know more of a run than its journal, or something else.
    ///
    /// Intents of changes are flushed before their effect, so that what a journal may have lost by itself holds none.
    /// Nodes that know of one were changed from elsewhere.
    ///
    /// - Parameters:
    ///   - run: the run, as the journal has it.
    ///   - records: all that the journal has of it.
    ///   - facts: the same.
    ///   - changes: the steps that change something.
    /// - Returns: what the nodes know beyond it.
    /// - Throws: the difference, with what to do.
    func demandAgreement(
        with run: RunRecord,
        records: [StepRecord],
        facts: [FactRecord],
        changes: Set<String>
    ) throws(RunControllerError) -> Arrears {
        try demandReadable { _ in true }
        let open = round.open
        if let other = open.keys.sorted().first(where: { $0 != run.id }) {
            throw RunControllerError(
                .drift,
                "the journal says that the nodes are in run \(run.id); "
                    + "they say that they are in another: \(describe(other, open[other] ?? []))",
                remedy:
                    "go on with that one: `pawl resume \(inventory) \(other)`, or begin anew: `pawl run --supersede`"
            )
        }
        try demandNotEnded(run, ReplicaExtent(records: records.count, facts: facts.count))
        try demandNotOvertaken(run, lastActive: records.last?.at ?? run.createdAt)
        let carried = round.carried[run.id] ?? []
        for item in carried {
            let isKnown = item.replica.records.dropFirst(records.count).allSatisfy { record in
                ![.intent, .undoIntent].contains(record.kind) || !changes.contains(record.step)
            }
            let isOfPlan = item.replica.run.planDigest == run.planDigest
            guard isOfPlan, isKnown, item.replica.isCompatible(withRecords: records, facts: facts) else {
                throw disagreement(of: item, with: run, records, facts)
            }
        }
        guard let joined = RunReplica.joined(carried.map(\.replica)) else {
            if let first = carried.first { throw disagreement(of: first, with: run, records, facts) }
            return Arrears()
        }
        return Arrears(
            records: Array(joined.records.dropFirst(records.count)),
            facts: Array(joined.facts.dropFirst(facts.count))
        )
    }

    private func disagreement(
        of carried: ReplicaRound.Carried,
        with run: RunRecord,
        _ records: [StepRecord],
        _ facts: [FactRecord]
    ) -> RunControllerError {
        let replica = carried.replica
        let mine = records.last.map { "\($0.step) (\($0.kind.rawValue)) at \(Self.time($0.at))" } ?? "nothing"
        return RunControllerError(
            .drift,
            replica.run.planDigest != run.planDigest
                ? "run \(run.id) has the plan \(run.planDigest.prefix(12)) in the journal, and "
                    + "\(replica.run.planDigest.prefix(12)) on \(carried.host)"
                : "the nodes know more of run \(run.id) than this journal does, or something else\n"
                    + "  the journal: \(records.count) records and \(facts.count) facts, the last of \(mine)\n"
                    + "  \(carried.host): \(replica.extent), the last of \(Self.deed(replica.entry))",
            remedy: "the run went on elsewhere: go on where its journal is (\(replica.entry.writer.host)), or from "
                + "the nodes: `pawl resume \(inventory) \(run.id) --state NEWDIR`"
        )
    }

    /// A marker that this journal's own end left, before its state was set, says nothing new.
    private func demandNotEnded(_ run: RunRecord, _ extent: ReplicaExtent) throws(RunControllerError) {
        guard let marker = round.ended[run.id] else { return }
        let isOurs =
            marker.planDigest == run.planDigest && marker.state != .abandoned
            && marker.extent.records <= extent.records && marker.extent.facts <= extent.facts
        guard !isOurs else { return }
        let host = round.findings.first { finding in
            if case .marker(let found) = finding.content { found == marker } else { false }
        }?.host
        throw RunControllerError(
            .drift,
            "the journal says that run \(run.id) is \(run.state.rawValue); \(host ?? "a node") says that it is "
                + "\(marker.state.rawValue) since \(Self.time(marker.at)), by \(marker.writer)"
                + (marker.reason.map { ": \($0)" } ?? ""),
            remedy: "there is nothing to resume; `pawl verify \(inventory)` shows whether the members are right"
        )
    }

    /// A run that another one came after, as a rollback, is over although nobody said so here.
    private func demandNotOvertaken(_ run: RunRecord, lastActive: Date) throws(RunControllerError) {
        let later = round.ended.values.filter { $0.run != run.id && $0.at > lastActive }
        guard let marker = later.max(by: { $0.at < $1.at }) else { return }
        throw RunControllerError(
            .drift,
            "the journal says that run \(run.id) is \(run.state.rawValue), last at \(Self.time(lastActive)); since then "
                + "run \(marker.run) (\(marker.playbook)) came to its end on the nodes at \(Self.time(marker.at)), by "
                + "\(marker.writer): \(marker.state.rawValue)",
            remedy: "what this run found is not so any more; look at the members, and begin anew where that is needed"
        )
    }

    // MARK: - A run that is to be taken up

    /// The run that the nodes are in, as the newest of them knows it.
    ///
    /// - Parameter name: the run's id or the beginning of it; `nil` for the only one that is open.
    /// - Returns: the run with all that any of the nodes has of it.
    /// - Throws: when there is none, or more than one, or nobody can say that it is the newest.
    func choose(_ name: String?) throws(RunControllerError) -> RunReplica {
        let all = round.open
        let open = all.filter { name.map($0.key.hasPrefix) ?? true }
        guard let run = open.keys.sorted().first, let carried = open[run] else { throw nothingOpen(name) }
        guard open.count == 1 else {
            throw RunControllerError(
                .drift,
                "the nodes are in more than one run\n"
                    + open.keys.sorted().map { "  " + describe($0, open[$0] ?? []) }.joined(separator: "\n"),
                remedy: "name the one to go on with: `pawl resume \(inventory) RUN`"
            )
        }
        guard let joined = RunReplica.joined(carried.map(\.replica)) else {
            throw RunControllerError(
                .drift,
                "run \(run) went on in two places, and the nodes contradict each other\n"
                    + carried.map { "  \($0.host): \($0.replica.extent), the last of \(Self.deed($0.replica.entry))" }
                    .joined(separator: "\n"),
                remedy:
                    "go on where its journal is (\(carried.map(\.replica.entry.writer.host).joined(separator: ", ")))"
                    + ", or look at the members, put them in order, and begin anew with `pawl run --supersede`"
            )
        }
        let plan = try Self.plan(of: joined)
        let doubtful = try Self.hostsThatMayKnowMore(than: joined, plan)
        try demandReadable { doubtful.contains($0) }
        let silent = round.unreachable.filter { doubtful.contains($0.host) }
        guard silent.isEmpty else {
            throw RunControllerError(
                .unreachable,
                "nothing was changed: what is known of run \(run) may not be the newest, because not every node of it "
                    + "could be asked\n" + silent.map { "  \($0)" }.joined(separator: "\n"),
                remedy: "bring the node up, or its connection, and resume again"
            )
        }
        return joined
    }

    private func nothingOpen(_ name: String?) -> RunControllerError {
        if let bad = round.unreadable.first { return Self.unreadable(bad.host, bad.path, bad.error) }
        if !round.unreachable.isEmpty {
            return RunControllerError(
                .unreachable,
                "no node that answered is in the middle of a run; these did not answer:\n"
                    + round.unreachable.map { "  \($0)" }.joined(separator: "\n"),
                remedy: "bring them up, or their connections, and resume again"
            )
        }
        if let marker = round.ended.values.filter({ name.map($0.run.hasPrefix) ?? true }).max(by: { $0.at < $1.at }) {
            return RunControllerError(
                .nothingToDo,
                "the last run on the nodes, \(marker.run), is \(marker.state.rawValue) since \(Self.time(marker.at));"
                    + " there is nothing to resume"
            )
        }
        return RunControllerError(
            .unknownRun,
            "no node of the inventory is in the middle of \(name.map { "run \($0)" } ?? "a run")",
            remedy: "a run that was killed before its first change leaves nothing on the nodes: begin it again"
        )
    }

    /// Hosts of the run on which something may have been begun after all that is known.
    ///
    /// A host whose steps are all done, while the newest entry is of another host, is not touched any more. Of every
    /// other nobody can say so: the gate in front of its first change leaves no trace on the nodes.
    static func hostsThatMayKnowMore(than replica: RunReplica, _ plan: Plan) throws(RunControllerError) -> Set<String> {
        let machine = RolloutMachine(plan: plan, history: RunJournal.history(of: replica.records))
        let current = plan.steps.first { $0.id.text == replica.entry.step }?.host
        let changed = Set(plan.steps.filter { $0.effect != .readOnly }.compactMap(\.host))
        return changed.filter { host in host == current || machine.progress(of: host) != .complete }
    }

    static func plan(of replica: RunReplica) throws(RunControllerError) -> Plan {
        guard let plan = try? JSONDecoder().decode(Plan.self, from: Data(replica.run.planJSON.utf8)),
            (try? plan.digest()) == replica.run.planDigest
        else {
            throw RunControllerError(
                .drift,
                "the plan of run \(replica.run.id) that the nodes carry is not the one that they name",
                remedy: "use the version of pawl that began the run: \(replica.run.version)"
            )
        }
        guard Digest.sha256(replica.playbook) == plan.inputs.playbook else {
            throw RunControllerError(
                .drift,
                "the playbook of run \(replica.run.id) that the nodes carry is not the one that its plan was made from",
                remedy: "resume where its journal is (\(replica.run.controllerHost))"
            )
        }
        return plan
    }

    // MARK: - Words

    private func demandReadable(_ matters: (String) -> Bool) throws(RunControllerError) {
        guard let bad = round.unreadable.first(where: { matters($0.host) }) else { return }
        throw Self.unreadable(bad.host, bad.path, bad.error)
    }

    private static func unreadable(_ host: String, _ path: String, _ error: JournalError) -> RunControllerError {
        RunControllerError(
            .drift,
            "nothing was changed: what run \(host) is in cannot be told, because \(path) cannot be read: \(error.message)",
            remedy: error.remedy
                ?? "look at it on the node; when you know that no run is open there, remove it and try again"
        )
    }

    private func describe(_ run: String, _ carried: [ReplicaRound.Carried]) -> String {
        guard let newest = carried.map(\.replica).max(by: { $0.extent.sequence < $1.extent.sequence }) else {
            return run
        }
        let hosts = carried.map(\.host).joined(separator: ", ")
        return "run \(run), begun \(Self.time(newest.run.createdAt)) on \(newest.run.controllerHost), on \(hosts): "
            + Self.deed(newest.entry)
    }

    static func deed(_ entry: RunReplica.Entry) -> String {
        let what =
            switch entry.occasion {
            case .performing: "\(entry.step ?? "") was begun"
            case .undoing: "\(entry.step ?? "") was being taken back"
            case .halted: "halted"
            case .interrupted: "interrupted"
            }
        return "\(what) at \(time(entry.at)) by \(entry.writer)"
    }

    static func time(_ date: Date) -> String { date.formatted(.iso8601) }
}
