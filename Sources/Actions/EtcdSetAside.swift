// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_set_aside`: renames the data of a stopped member that was backed up, so that it can join a cluster anew.
package struct EtcdSetAside: Action {
    package static let schema = ActionSchema(
        word: "etcd_set_aside",
        summary: """
            Renames the data of a stopped member to `member.pawl-RUN` beside it, where its backup is complete and of this very \
            data. Nothing is removed.
            """,
        parameters: [
            .dataDir,
            .walDir,
        ],
        example: """
            - etcd_set_aside: { data_dir: /var/lib/etcd/default }
              only: others
            """
    )
    package static let scope = ActionScope.host

    private let dataDir: String
    private let walDir: String?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        (dataDir, walDir) = try requireDataDirectories(parameters)
    }

    package var traits: ActionTraits {
        // The data that the backup was taken of is where this step put it, so that it is asked for both.
        ActionTraits(
            effect: .repeatable,
            resource: "backup of \(dataDir)",
            hasUndo: true,
            defaultTimeout: .seconds(1800)
        )
    }

    private func data(_ context: ActionContext) -> MemberData {
        MemberData(dataDir: dataDir, walDir: walDir, run: context.run)
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        let report = try await context.requiredTarget().report(data(context).findCommand(timeout: context.timeout))
        switch report["aside"] {
        case "yes": return .done(Evidence("the data is at \(report["path"] ?? "")"))
        case "no": return .notBegun("the data is where it was")
        default: return .inDoubt("the data is set aside, and its WAL is not")
        }
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard let path = try await context.hostFact("backup_path") else {
            throw ActionFailure(
                "there is no verified backup of this run",
                remedy: "put a step `backup` before `etcd_set_aside`"
            )
        }
        let command = data(context).setAsideCommand(backup: ColdBackup(path: path), timeout: context.timeout)
        let report = try await context.requiredTarget().report(command)
        let aside = report["path"] ?? ""
        try await context.record("set_aside", aside)
        return Evidence("the data is set aside as \(aside), and is kept there", ["path": aside, "backup": path])
    }

    /// Refused while the new cluster may serve: it has the id of the old one, and would tell this member that it was removed.
    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let name = try context.requiredTarget().host.name
        var others: Set<String> = []
        if let seed = try await context.fact(ReseedFact.seed) { others.insert(seed) }
        for target in context.cluster {
            let joined = try await context.fact(EtcdRejoin.rejoined, of: target.host.name) ?? ""
            if !joined.isEmpty { others.insert(target.host.name) }
        }
        try await context.demandStopped(
            context.etcdNodes.filter { others.contains($0.name) && $0.name != name },
            because: "the new cluster must be down before this member may be in the old one"
        )
        _ = try await context.requiredTarget().report(data(context).putBackCommand(timeout: context.timeout))
        try await context.record("set_aside", "")
        return Evidence("the data is back in its place")
    }
}
