// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `backup`: a cold, verified copy of a stopped member's data on its node.
package struct Backup: Action {
    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "backup",
        summary: "Copies the data of a stopped member on its node, and proves that the copy is the same.",
        parameters: [
            .init("source", .path, required: true, "The data directory. Nothing may have files in it open."),
            .init("wal_dir", .path, "The WAL directory, when it is outside the source. Empty means none."),
            .init(
                "to",
                .path,
                required: true,
                "Where backups go, outside the source. The copy is TO/HOST-RUN; an older one is never overwritten."
            ),
            .init(
                "retain",
                .integer(0...1000),
                """
                How many complete backups of this host are kept in TO, the new one included; 0 keeps all. Older ones are \
                removed when the new one is verified, but none that an open run may need.
                """
            ),
            .init("keep", .boolean, default: .bool(true), "Noted in backup.json: whether to keep it after the run."),
        ],
        example: """
            - name: Back up the data
              backup: { source: /var/lib/etcd/default, to: /var/backups/pawl }
            """
    )

    private let source: String
    private let walDir: String?
    private let destination: String
    private let keep: Bool
    private let retain: Int?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        (source, walDir) = try requireDataDirectories(parameters, named: "source")
        destination = try requirePath(parameters.string("to"), "to")
        keep = parameters.boolean("keep") ?? true
        retain = parameters.integer("retain").flatMap { $0 == 0 ? nil : $0 }
    }

    package var traits: ActionTraits {
        ActionTraits(effect: .repeatable, resource: "backup of \(source)", defaultTimeout: .seconds(1800), job: .always)
    }

    private func request(
        _ context: ActionContext,
        openRuns: [String] = []
    ) throws(ActionFailure) -> ColdBackup.Request {
        ColdBackup.Request(
            source: source,
            walDir: walDir,
            destination: destination,
            host: try context.requiredTarget().host.name,
            run: context.run,
            keep: keep,
            retain: retain,
            openRuns: openRuns
        )
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        let command = ColdBackup.findCommand(try request(context), timeout: context.timeout)
        let report = try await context.requiredTarget().report(command)
        if let path = report["path"] {
            try await context.record("backup_path", path)
            return .done(evidence(report, "the backup of this run is at \(path)"))
        }
        if let outdated = report["outdated"] {
            return .notBegun("etcd wrote to its data after the backup \(outdated); a new one is needed")
        }
        if let partial = report["partial"] {
            return .notBegun("\(partial) was not finished; it will be removed and taken anew")
        }
        return .notBegun("there is no backup of this run")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let open = try await context.fact(Self.openRuns)?.split(separator: " ").map(String.init) ?? []
        var command = ColdBackup.takeCommand(try request(context, openRuns: open), timeout: context.timeout)
        command.isDetached = context.isJob
        let report = try await context.requiredTarget().report(command)
        guard let path = report["path"] else {
            throw ActionFailure("the end of the backup was not told", isInDoubt: true)
        }
        try await context.record("backup_path", path)
        let verb = report["reused"] == "yes" ? "found and verified" : "taken and verified"
        for path in report.all("removed") { context.progress("removed the older backup \(path)") }
        for path in report.all("unremoved") { context.progress("warning: \(path) could not be removed") }
        return evidence(report, "\(verb): \(path), \(report["files"] ?? "?") files, \(report["bytes"] ?? "?") bytes")
    }

    /// Fact: the other runs that were open when this one was begun or taken up, by their ids.
    package static let openRuns = "open_runs"

    /// A backup is never thrown away by a failure, so there is nothing to take back.
    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("the backup is kept")
    }

    private func evidence(_ report: NodeReport, _ summary: String) -> Evidence {
        var values: [String: String] = [:]
        for name in ["path", "bytes", "files", "manifest", "reused"] { values[name] = report[name] }
        let removed = report.all("removed")
        if !removed.isEmpty { values["removed"] = removed.joined(separator: " ") }
        return Evidence(summary, values)
    }
}
