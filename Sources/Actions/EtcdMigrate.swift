// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_migrate`: writes a stopped member's v2 keys into its v3 store, and proves the result before it is started.
package struct EtcdMigrate: Action {
    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "etcd_migrate",
        summary: """
            Takes a stopped member that was backed up to the v3 store: swaps in the db that `etcd_prepare` made and proved, or \
            runs `etcdctl migrate` in place, and proves the result offline.
            """,
        parameters: [
            .dataDir,
            .walDir,
            .init(
                "no_ttl",
                .boolean,
                default: .bool(false),
                "Leave out keys that expire instead of keeping them for good."
            ),
            .init(
                "may_expire",
                .boolean,
                default: .bool(false),
                """
                Accept that keys with a TTL have expired since the baseline; right where all members are stopped, and \
                `etcd_migrated` proves behind it that all were migrated alike.
                """
            ),
            TTLPolicy.parameter("With `skip` and `lease`, the same as `no_ttl`; as in `etcd_ready`."),
            .init(
                "transformer",
                .path,
                """
                A program on the node that every key goes through, as `etcdctl migrate --transformer` has it. It is run so \
                that no key is lost: without that etcdctl may end before it has read them all. Empty means none.
                """
            ),
        ],
        example: """
            - name: Migrate
              etcd_migrate: { data_dir: /var/lib/etcd/default }
              timeout: 30m
            """
    )

    private let dataDir: String
    private let walDir: String?
    private let noTTL: Bool
    private let mayExpire: Bool
    private let transformer: String?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        (dataDir, walDir) = try requireDataDirectories(parameters)
        noTTL = parameters.boolean("no_ttl") == true || TTLPolicy(parameters).leavesOut
        mayExpire = parameters.boolean("may_expire") ?? false
        transformer = try requireTransformer(parameters)
    }

    package var traits: ActionTraits {
        ActionTraits(
            effect: .once,
            resource: "etcd data",
            hasUndo: true,
            defaultTimeout: .seconds(1800),
            job: .always
        )
    }

    private func migration(_ context: ActionContext) async throws(ActionFailure) -> Migration? {
        guard let path = try await context.hostFact("backup_path") else { return nil }
        return Migration(dataDir: dataDir, walDir: walDir, backup: ColdBackup(path: path), run: context.run)
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        guard let migration = try await migration(context) else {
            return .notBegun("there is no backup of this run, and nothing is migrated without one")
        }
        let recorded = try await recorded(context)
        switch try await migration.settledState(thorough: false, context).conclude(
            baseline: try await baseline(context),
            recorded: recorded
        ) {
        case .done(let revision, let keys, let reason):
            try await recordFacts(revision: revision, keys: keys, context)
            return .done(Evidence(reason, ["revision": String(revision), "keys": String(keys)]))
        case .notBegun(let reason): return .notBegun(reason)
        case .inDoubt(let reason): return .inDoubt(reason)
        }
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        guard let migration = try await migration(context) else {
            throw ActionFailure(
                "there is no verified backup of this run",
                remedy: "put a step `backup` before `etcd_migrate`"
            )
        }
        let settings = EtcdSettings(variables: target.variables)
        let options = Migration.Options(
            etcdctl: settings.etcdctl,
            user: settings.user,
            noTTL: noTTL,
            attempt: context.attempt,
            timeout: context.timeout,
            transformer: transformer,
            prepared: try await prepared(context)
        )
        let baseline = try await baseline(context)
        var command = migration.runCommand(options)
        command.isDetached = context.isJob
        let report = try await target.report(command)
        let outcome: MigrationOutcome
        do {
            outcome = try MigrationOutcome.judge(report, baseline: baseline)
        } catch {
            throw ActionFailure(
                error.message,
                remedy: "the member must not be started; its backup is \(migration.backup.path)"
            )
        }
        try await recordFacts(revision: outcome.revision, keys: outcome.keys, context)
        var values = [
            "revision": String(outcome.revision), "keys": String(outcome.keys), "seconds": String(outcome.seconds),
            "no_ttl": String(noTTL), "restored_first": String(outcome.wasRestored), "backup": migration.backup.path,
        ]
        values["remark"] = outcome.remark
        values["transformer"] = transformer
        if let transformed = outcome.transformed {
            values["transformer_keys"] = String(transformed.keys)
            values["transformer_records"] = String(transformed.records)
        }
        values["prepared"] = String(outcome.wasPrepared)
        let remark = outcome.remark.map { "; \($0)" } ?? ""
        let how = outcome.wasPrepared ? "swapped in as prepared, at" : "migrated in \(outcome.seconds) s to"
        return Evidence("\(outcome.madeKeys) \(how) revision \(outcome.revision)\(remark)", values)
    }

    /// The copy that `etcd_prepare` made of this member, where it left out what this step leaves out.
    private func prepared(_ context: ActionContext) async throws(ActionFailure) -> PreparedMigration.Record? {
        guard let path = try await context.hostFact("prepared_path"),
            let identity = try await context.hostFact("prepared_identity"),
            let revision = try await context.hostFact("prepared_from_revision").flatMap(Int.init),
            try await context.hostFact("prepared_no_ttl") == String(noTTL),
            try await context.hostFact("prepared_transformer") == transformer
        else { return nil }
        return PreparedMigration.Record(path: path, identity: identity, revisionBefore: revision)
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        guard let migration = try await migration(context) else {
            return Evidence("nothing was migrated: there is no backup of this run")
        }
        let choice = MigrationRestore.decide(try await migration.settledState(thorough: true, context))
        let reason: String
        switch choice {
        case .refused(let message, let remedy): throw ActionFailure(message, remedy: remedy)
        case .nothing(let text), .full(let text), .databaseOnly(let text), .indexed(let text): reason = text
        }
        var command = migration.restoreCommand(choice, timeout: context.timeout)
        command.isDetached = context.isJob
        let report = try await target.report(command)
        for fact in ["migrated_revision", "migrated_keys", EtcdMigrated.index] { try await context.record(fact, "") }
        var values = ["restore": choice.kind, "backup": migration.backup.path]
        values["sha256"] = report["sha256"]
        return Evidence(reason, values)
    }

    private func baseline(_ context: ActionContext) async throws(ActionFailure) -> MigrationBaseline {
        var baseline = try await context.migrationBaseline(noTTL: noTTL, transformer: transformer)
        baseline.mayHaveExpired = mayExpire
        return baseline
    }

    private func recorded(_ context: ActionContext) async throws(ActionFailure) -> (revision: Int, keys: Int)? {
        guard let revision = try await context.hostFact("migrated_revision").flatMap(Int.init),
            let keys = try await context.hostFact("migrated_keys").flatMap(Int.init)
        else { return nil }
        return (revision, keys)
    }

    private func recordFacts(revision: Int, keys: Int, _ context: ActionContext) async throws(ActionFailure) {
        try await context.record("migrated_keys", String(keys))
        try await context.record("no_ttl", String(noTTL))
        try await context.record("transformer", transformer ?? "")
        try await context.record("migrated_revision", String(revision))
    }
}
