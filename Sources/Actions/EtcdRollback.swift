// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_rollback`: takes a stopped member's data back to what it was before a run, in the way that its state allows.
///
/// It may be done any number of times: each time it looks at what is there and does what is missing.
package struct EtcdRollback: Action {
    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "etcd_rollback",
        summary: """
            Takes the data of a stopped member back to its backup of an earlier run: whole, or its db alone. Belongs to \
            `pawl rollback`, which brings what must be known of that run.
            """,
        parameters: [
            .dataDir,
            .walDir,
        ],
        example: """
            - name: Put the data back
              etcd_rollback: { data_dir: /var/lib/etcd/default }
            """
    )

    private let dataDir: String
    private let walDir: String?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        (dataDir, walDir) = try requireDataDirectories(parameters)
    }

    package var traits: ActionTraits {
        ActionTraits(
            effect: .repeatable,
            resource: "etcd data",
            hasUndo: true,
            defaultTimeout: .seconds(1800),
            job: .always
        )
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        guard let migration = try await migration(context) else {
            return .done(Evidence("there is no backup, and nothing to put back"))
        }
        let report = try await context.requiredTarget().report(migration.rolledBackCommand(timeout: context.timeout))
        switch report["rolled_back"] {
        case "yes":
            return .done(Evidence("was put back by this run", ["restore": report["kind"] ?? ""]))
        case "changed":
            return .inDoubt("the db is another file than the one that this run put back")
        default:
            return .notBegun("this run has not put the data back yet")
        }
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        let name = target.host.name
        guard let migration = try await migration(context) else {
            guard try await context.fact(RollbackFact.changedData, of: name) == nil else {
                throw ActionFailure(
                    "the run changed the data of \(name), and no backup of it is known",
                    remedy: "put the data back by hand; the member is stopped"
                )
            }
            return Evidence("nothing to put back: the run took no backup, and changed no data without one")
        }
        let replacement = await MemberReplacement(context, host: name).text
        let state: MigrationState
        do throws(ActionFailure) {
            state = try await migration.settledState(thorough: true, context)
        } catch {
            throw error.isMissingMember ? ActionFailure(error.message, remedy: replacement) : error
        }
        let isV3Written = try await context.fact(RollbackFact.v3Written) == "yes"
        let choice = MigrationRestore.rollback(state, isV3Written: isV3Written)
        if case .refused(let message, let remedy) = choice { throw ActionFailure(message, remedy: remedy) }
        context.progress("\(choice.kind): \(choice.reason)")
        let settings = EtcdSettings(variables: target.variables)
        var command = migration.restoreCommand(
            choice,
            etcdctl: settings.etcdctl,
            byHand: replacement,
            timeout: context.timeout
        )
        command.isDetached = context.isJob
        let report = try await target.report(command)
        var values = ["restore": choice.kind, "backup": migration.backup.path]
        values["sha256"] = report["sha256"]
        return Evidence("\(choice.kind): \(choice.reason)", values)
    }

    /// What was put back is not taken away again: the member may be started on the one db as on the other, and is,
    /// rather than to be left down.
    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard let migration = try await migration(context) else { return Evidence("nothing was put back") }
        _ = try await context.requiredTarget().report(migration.provenWholeCommand(timeout: context.timeout))
        return Evidence("the db is whole, as it was or as it was put back, and the member may be started on it")
    }

    private func migration(_ context: ActionContext) async throws(ActionFailure) -> Migration? {
        guard let path = try await context.hostFact("backup_path") else { return nil }
        return Migration(dataDir: dataDir, walDir: walDir, backup: ColdBackup(path: path), run: context.run)
    }
}

extension MigrationRestore {
    /// Why, in one line.
    package var reason: String {
        switch self {
        case .nothing(let text), .full(let text), .databaseOnly(let text), .indexed(let text), .refused(let text, _):
            text
        }
    }
}

/// Facts of a rollback: what it knows of the run that it takes back, and what it found when it began.
package enum RollbackFact {
    /// The run that is taken back; recorded when all the others are.
    package static let origin = "rollback_of"
    /// Of a host: it is to be taken back.
    package static let isWanted = "rollback"
    /// Of a host: its member was down when the rollback was planned.
    package static let wasDown = "rollback_down"
    /// Of a host: a step that must not happen twice was begun on it.
    package static let changedData = "origin_changed_data"
    /// Of a host: the revision that the migration left.
    package static let migratedRevision = "origin_migrated_revision"
    /// The users that v3 had before the run, a list in JSON; missing where it could not be asked.
    package static let v3Users = "v3_users"
    /// The v2 store at the freeze; with `Permanent`, without the keys that expire.
    package static let fingerprint = "origin_fingerprint"
    package static let permanentFingerprint = "origin_permanent_fingerprint"
    /// The run left keys with a TTL out.
    package static let leftTTLKeysOut = "origin_no_ttl"
    /// Whether v3 was written to since the migration, and the writes are given up.
    package static let v3Written = "rollback_v3_written"
    /// Of a host: the revision of its v3 store when the rollback began.
    package static let revision = "rollback_revision"
    /// Whether the v2 store was that of the freeze when the rollback began.
    package static let v2Unchanged = "rollback_v2_unchanged"
}
