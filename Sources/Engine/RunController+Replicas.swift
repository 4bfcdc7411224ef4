// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Journal
import Playbooks
import Remote
import Rollout

// What the nodes carry of a run: asked before a run is begun or gone on with, written as it goes, and told its end.
extension RunController {
    /// A look that keeps no journal leaves nothing on the nodes.
    var keepsReplicas: Bool { command == .run }

    // MARK: - Before

    /// Refuses when the nodes of a play are in the middle of a run; asks them, and changes nothing.
    package static func demandFreeNodes(
        of play: Play,
        _ request: RunRequest,
        over hosts: HostDirectory
    ) async throws(RunControllerError) {
        let round = await ReplicaRound.ask(hosts.readOnly().nodeWays(of: play))
        try ReplicaJudgement(round: round, inventory: request.inventoryWords).demandFree()
    }

    /// Makes sure that the nodes of a new run are not in the middle of another.
    ///
    /// Nodes that have the lock said so when it was taken: since then nobody else begins a run there.
    ///
    /// - Returns: the first lines of replicas that the new run may write over.
    func prepareNodes(
        for run: String,
        of play: Play,
        _ request: RunRequest,
        over hosts: HostDirectory,
        _ lock: ClusterLock?,
        _ superseding: Supersession
    ) async throws -> [String] {
        guard keepsReplicas else { return [] }
        let round = await ReplicaRound.ask(hosts.readOnly().nodeWays(of: play), but: lock?.replicas ?? [:])
        let judgement = ReplicaJudgement(round: round, inventory: request.inventoryWords)
        switch superseding {
        case .nothing: try judgement.demandFree()
        case .run(let other): try judgement.demandFree(but: other)
        case .everything: try await giveUp(round, for: run, of: play, over: hosts)
        }
        return try headers(of: round, except: run)
    }

    /// Makes sure that the nodes know nothing of a run that its journal does not, but for what the journal had not flushed
    /// when its machine lost power; that is put into it.
    ///
    /// - Returns: the first lines of replicas that the run may write over.
    func demandAgreement(
        of open: OpenRun,
        over hosts: HostDirectory,
        _ lock: ClusterLock?
    ) async throws -> [String] {
        guard keepsReplicas else { return [] }
        let round = await ReplicaRound.ask(hosts.readOnly().nodeWays(of: open.play), but: lock?.replicas ?? [:])
        let arrears = try ReplicaJudgement(round: round, inventory: open.request.inventoryWords).demandAgreement(
            with: try await store.run(open.id),
            records: try await store.records(of: open.id),
            facts: try await store.factHistory(of: open.id),
            changes: Set(open.plan.steps.filter { $0.effect != .readOnly }.map(\.id.text))
        )
        for record in arrears.records { try await store.append(record) }
        for fact in arrears.facts { try await store.recordFact(fact) }
        return try headers(of: round, except: open.id)
    }

    private func headers(of round: ReplicaRound, except run: String) throws -> [String] {
        try round.carried.keys.filter { $0 != run }.sorted().map { id throws in try ReplicaText.header(id) }
    }

    /// Marks what the nodes are in the middle of as given up, there and in this journal.
    private func giveUp(
        _ round: ReplicaRound,
        for run: String,
        of play: Play,
        over hosts: HostDirectory
    ) async throws {
        var failures: [String] = []
        for finding in round.findings {
            guard let target = hosts.target(finding.host, become: play.playbook.become.value) else { continue }
            var marker: String?
            switch finding.content {
            case .marker: continue
            case .unreadable: break
            case .replica(let replica): marker = try abandonment(of: replica, for: run).text()
            }
            let command = RemoteCommand(
                "give up the run that the node is in",
                script: ReplicaScript.givingUp(finding.path, marker: marker),
                effect: .mutating
            )
            let result = try await target.host.run(command)
            if result.exitCode != 0 { failures.append("\(finding.host): \(result.errorOutput)") }
        }
        guard failures.isEmpty else {
            throw RunControllerError(
                .refused,
                "a run on the nodes cannot be given up: \(failures.joined(separator: "; "))"
            )
        }
        for id in round.carried.keys {
            guard let record = try? await store.run(id), !record.state.isEnded else { continue }
            try await store.setState(of: record.id, .abandoned)
        }
    }

    private func abandonment(of replica: RunReplica, for run: String) throws -> RunMarker {
        RunMarker(
            run: replica.run.id,
            state: .abandoned,
            playbook: try ReplicaJudgement.plan(of: replica).name,
            planDigest: replica.run.planDigest,
            at: Date(),
            writer: writer,
            extent: replica.extent,
            reason: "superseded by run \(run)"
        )
    }

    // MARK: - While it goes

    var writer: RunReplica.Writer {
        let process = ProcessInfo.processInfo
        return RunReplica.Writer(host: process.hostName, pid: process.processIdentifier, version: version)
    }

    func replicaLedger(of open: OpenRun) async throws -> ReplicaLedger {
        var record = try await store.run(open.id)
        record.extraVariablesJSON = try extraVariablesJSON(try open.request.portable())
        return try ReplicaLedger(record, playbook: open.play.playbook.sourceText, store: store, writer: writer)
    }

    func replicaGuard(
        _ ledger: ReplicaLedger,
        _ call: StepRunner.Call,
        _ host: String,
        of play: Play,
        over hosts: HostDirectory,
        replacing stale: [String]
    ) -> ReplicaGuard {
        ReplicaGuard(
            ledger: ledger,
            script: ReplicaScript(
                state: NodeState(variables: play.allHosts[host]?.variables ?? [:]),
                header: ledger.header,
                stale: stale
            ),
            place: ReplicaLedger.Place(host: host, become: play.becomes(call.step)),
            step: call.step.id.text,
            attempt: call.attempt,
            turn: call.turn,
            isUndo: call.isUndo
        )
    }
}

extension RunRequest {
    /// `-i FILE …`, as words of a command line.
    var inventoryWords: String { ShellQuoting.line(inventory.arguments) }
}
