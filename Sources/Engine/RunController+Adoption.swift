// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Journal
import Remote
import Rollout

extension RunController {
    /// Takes up a run that the nodes are in the middle of, where this journal may not know of it.
    ///
    /// - Parameters:
    ///   - name: the run's id or the beginning of it; `nil` for the one that the nodes are in.
    ///   - inventory: this machine's.
    ///   - limit: which of its hosts are asked; `nil` for all.
    ///   - playbooks: the directory that the playbook's text is kept in.
    /// - Returns: the run, ready for ``resume(_:observer:signals:)``.
    /// - Throws: ``RunControllerError`` when the nodes are in no run, or nobody can say in which.
    package func open(
        _ name: String?,
        from inventory: InventorySources,
        limit: String?,
        keepingPlaybooksIn playbooks: URL
    ) async throws -> OpenRun {
        let ways = try NodeWay.all(inventory: inventory, limit: limit, connector: connector)
        let round = await ReplicaRound.ask(ways)
        await NodeWay.close(ways)
        let request = RunRequest(playbook: "", inventory: inventory)
        let judgement = ReplicaJudgement(round: round, inventory: request.inventoryWords)
        let choice = Result { () throws(RunControllerError) in try judgement.choose(name) }
        if case .failure(let error) = choice, [.unknownRun, .nothingToDo].contains(error.code),
            let known = try? await resumable(name)
        {
            // A run that was stopped before its first change is in the journal only.
            return try await open(known, inventory: inventory)
        }
        let replica = try choice.get()
        if let known = try? await store.run(replica.run.id) { return try await open(known, inventory: inventory) }
        return try await adopt(replica, inventory: inventory, playbooks)
    }

    private func open(_ record: RunRecord, inventory: InventorySources) async throws -> OpenRun {
        let request = try RunRequest(record).read(from: inventory)
        return try await open(record, request)
    }

    /// Puts a run of the nodes into this journal, unless what it would be gone on with is another play.
    private func adopt(_ replica: RunReplica, inventory: InventorySources, _ playbooks: URL) async throws -> OpenRun {
        let plan = try ReplicaJudgement.plan(of: replica)
        let file = playbooks.appending(path: "\(replica.run.id).yaml")
        try FileManager.default.createDirectory(
            at: playbooks,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        try Data(replica.playbook.utf8).write(to: file, options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
        var record = replica.run
        record.playbookPath = file.path
        let request = try RunRequest(record).read(from: inventory)
        record.inventoryPaths = request.inventory.paths
        record.extraVariablesJSON = try extraVariablesJSON(request)
        let play = try PlayLoader.load(request, discovered: plan.inputs.discovered)
        try refuseDrift(of: play, from: plan, run: record.id)
        let note = FactRecord(
            run: record.id,
            name: "note:*",
            value: "taken up from the nodes by \(writer): \(replica.extent), the last of "
                + ReplicaJudgement.deed(replica.entry),
            at: Date()
        )
        try await store.adopt(record, records: replica.records, facts: replica.facts + [note])
        return try await open(record, request)
    }
}

extension RunRequest {
    /// The same over an inventory of this machine, and with its settings of Ansible; where no vault passwords are named
    /// with it, the run's own are.
    fileprivate func read(from inventory: InventorySources) -> RunRequest {
        var request = self
        request.inventory.paths = inventory.paths
        request.inventory.ansibleConfiguration = inventory.ansibleConfiguration
        if !inventory.vaultIDs.isEmpty { request.inventory.vaultIDs = inventory.vaultIDs }
        return request
    }
}
