// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_prepare`: migrates a copy of a running member, and proves it, so that `etcd_migrate` has only to swap it in.
package struct EtcdPrepare: Action {
    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "etcd_prepare",
        summary: """
            Migrates a copy of a running member's WAL and snapshots beside its data directory, and proves the result, so that \
            the member is out for a restart only. Writers must be frozen. Where the data directory is a file system of its own, \
            or nothing can be made beside it, there is no copy, and `etcd_migrate` migrates in place.
            """,
        parameters: [
            .dataDir,
            .walDir,
            .init(
                "no_ttl",
                .boolean,
                default: .bool(false),
                "Leave out keys that expire; must be as in `etcd_migrate`."
            ),
            TTLPolicy.parameter("With `skip` and `lease`, the same as `no_ttl`; as in `etcd_ready`."),
            .init("transformer", .path, "As in `etcd_migrate`, and must be the same. Empty means none."),
        ],
        example: """
            - name: Migrate a copy
              etcd_prepare: { data_dir: /var/lib/etcd/default }
              timeout: 30m
            """
    )

    private let dataDir: String
    private let walDir: String?
    private let noTTL: Bool
    private let transformer: String?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        (dataDir, walDir) = try requireDataDirectories(parameters)
        noTTL = parameters.boolean("no_ttl") == true || TTLPolicy(parameters).leavesOut
        transformer = try requireTransformer(parameters)
    }

    package var traits: ActionTraits {
        ActionTraits(
            effect: .repeatable,
            resource: "prepared copy",
            hasUndo: true,
            defaultTimeout: .seconds(1800),
            job: .always
        )
    }

    private func migration(_ context: ActionContext) -> PreparedMigration {
        PreparedMigration(dataDir: dataDir, walDir: walDir, run: context.run)
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        if let why = try await context.hostFact("prepared_unfit"), !why.isEmpty {
            return .done(Self.withoutCopy(why))
        }
        let command = migration(context).findCommand(timeout: context.timeout)
        let report = try await context.requiredTarget().report(command)
        if let damaged = report["damaged"] { return .notBegun("\(damaged); it is made anew") }
        guard let record = PreparedMigration.Record(report) else { return .notBegun("there is no copy of this run") }
        let baseline = try await context.migrationBaseline(noTTL: noTTL, transformer: transformer)
        let content: (revision: Int, keys: Int, remark: String?)
        do throws(MigrationOutcome.Failure) {
            content = try PreparedMigration.judge(found: report, baseline: baseline)
        } catch {
            return .notBegun("the copy cannot be used: \(error.message)")
        }
        try await keep(record, context)
        return .done(Evidence("a copy at revision \(content.revision) is prepared", ["keys": "\(content.keys)"]))
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        let settings = EtcdSettings(variables: target.variables)
        let options = Migration.Options(
            etcdctl: settings.etcdctl,
            user: settings.user,
            noTTL: noTTL,
            attempt: context.attempt,
            timeout: context.timeout,
            transformer: transformer
        )
        let report = try await target.report(migration(context).makeCommand(options, settings: settings))
        if let why = report["unfit"] { return try await goWithout(why, context) }
        let baseline = try await context.migrationBaseline(noTTL: noTTL, transformer: transformer)
        let outcome: MigrationOutcome
        do throws(MigrationOutcome.Failure) {
            outcome = try MigrationOutcome.judge(report, baseline: baseline)
        } catch {
            throw ActionFailure(
                "the copy cannot be used: \(error.message)",
                remedy: "the member was not touched; mend this on its node, and see that nothing writes to etcd"
            )
        }
        if report["nothing"] != nil { return try await goWithout("v2 holds no keys", context) }
        guard let record = PreparedMigration.Record(report) else { throw ActionFailure("the copy was not told of") }
        try await keep(record, context)
        return Evidence(
            "\(outcome.madeKeys) migrated on a copy to revision \(outcome.revision) in \(outcome.seconds) s",
            ["keys": "\(outcome.keys)", "revision": "\(outcome.revision)", "seconds": "\(outcome.seconds)"]
        )
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let command = migration(context).removeCommand(timeout: context.timeout)
        let report = try await context.requiredTarget().report(command)
        try await context.record("prepared_path", "")
        try await context.record("prepared_unfit", "")
        return Evidence(report["removed"].map { "\($0) is removed" } ?? "there was no copy")
    }

    private func goWithout(_ why: String, _ context: ActionContext) async throws(ActionFailure) -> Evidence {
        try await context.record("prepared_path", "")
        try await context.record("prepared_unfit", why)
        return Self.withoutCopy(why)
    }

    private static func withoutCopy(_ why: String) -> Evidence {
        Evidence("no copy is made, the member is migrated in place after its stop: \(why)", ["unfit": why])
    }

    /// What `etcd_migrate` finds the copy by.
    private func keep(_ record: PreparedMigration.Record, _ context: ActionContext) async throws(ActionFailure) {
        try await context.record("prepared_identity", record.identity)
        try await context.record("prepared_from_revision", String(record.revisionBefore))
        try await context.record("prepared_no_ttl", String(noTTL))
        try await context.record("prepared_transformer", transformer ?? "")
        try await context.record("prepared_unfit", "")
        try await context.record("prepared_path", record.path)
    }
}
