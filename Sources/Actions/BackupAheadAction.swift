// SPDX-License-Identifier: Apache-2.0

import Etcd
import Playbooks
import Remote
import Rollout

/// `backup_ahead`: copies what is at rest of a running member's data, for the backup after its stop to take over.
package struct BackupAheadAction: Action {
    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "backup_ahead",
        summary: """
            Copies a running member's data and proves what is at rest of it (sealed WAL segments, snapshots), so that `backup`, \
            with the same parameters, has only the rest to copy while the member is out.
            """,
        parameters: [
            .init("source", .path, required: true, "The data directory; as in `backup`."),
            .init("wal_dir", .path, "The WAL directory, when it is outside the source. Empty means none."),
            .init("to", .path, required: true, "Where backups go; as in `backup`. The copy is TO/HOST-RUN.ahead."),
        ],
        example: """
            - name: Back up what is at rest
              backup_ahead: { source: /var/lib/etcd/default, to: /var/backups/pawl }
              timeout: 30m
            """
    )

    private let source: String
    private let walDir: String?
    private let destination: String

    package init(_ parameters: Parameters) throws(ActionFailure) {
        (source, walDir) = try requireDataDirectories(parameters, named: "source")
        destination = try requirePath(parameters.string("to"), "to")
    }

    package var traits: ActionTraits {
        ActionTraits(
            effect: .repeatable,
            resource: "copy ahead of \(source)",
            hasUndo: true,
            defaultTimeout: .seconds(1800),
            job: .always
        )
    }

    private func request(_ context: ActionContext) throws(ActionFailure) -> ColdBackup.Request {
        ColdBackup.Request(
            source: source,
            walDir: walDir,
            destination: destination,
            host: try context.requiredTarget().host.name,
            run: context.run,
            keep: false
        )
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        let command = BackupAhead.findCommand(try request(context), timeout: context.timeout)
        let report = try await context.requiredTarget().report(command)
        guard report["path"] != nil else { return .notBegun("nothing of this run was copied ahead") }
        return .done(Self.evidence(report))
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        var command = BackupAhead.takeCommand(try request(context), timeout: context.timeout)
        command.isDetached = context.isJob
        let report = try await context.requiredTarget().report(command)
        guard report["path"] != nil else { throw ActionFailure("the end of the copy was not told", isInDoubt: true) }
        return Self.evidence(report)
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let command = BackupAhead.removeCommand(try request(context), timeout: context.timeout)
        let report = try await context.requiredTarget().report(command)
        return Evidence(report["removed"].map { "\($0) is removed" } ?? "there was no copy")
    }

    private static func evidence(_ report: NodeReport) -> Evidence {
        let (files, bytes) = (report["files"] ?? "?", report["bytes"] ?? "?")
        return Evidence(
            "\(files) files at rest are copied and verified, \(bytes) bytes",
            ["path": report["path"] ?? "", "files": files, "bytes": bytes]
        )
    }
}
