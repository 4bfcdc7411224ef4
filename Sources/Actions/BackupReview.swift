// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Remote

/// Reads the backups of all members that are to be taken back, each on its own node, at the same time.
struct BackupReview: Sendable {
    let scope: RollbackScope
    let context: ActionContext

    init(_ scope: RollbackScope, _ context: ActionContext) {
        self.scope = scope
        self.context = context
    }

    /// What is found on one node; `nil` where there is no backup because no data was changed.
    private struct Finding: Sendable {
        var node: String
        var state: Result<MigrationState?, ActionFailure>
    }

    /// What is found on each node; `nil` where there is no backup because no data was changed.
    func read() async -> [String: Result<MigrationState?, ActionFailure>] {
        await withTaskGroup(of: Finding.self) { group in
            for target in context.cluster where scope.wanted.contains(target.host.name) {
                group.addTask { await finding(on: target) }
            }
            return await group.reduce(into: [:]) { $0[$1.node] = $1.state }
        }
    }

    private func finding(on target: ActionTarget) async -> Finding {
        do throws(ActionFailure) {
            return Finding(node: target.host.name, state: .success(try await read(target)))
        } catch {
            return Finding(node: target.host.name, state: .failure(error))
        }
    }

    private func read(_ target: ActionTarget) async throws(ActionFailure) -> MigrationState? {
        let name = target.host.name
        guard let path = try await context.fact("backup_path", of: name) else {
            guard try await context.fact(RollbackFact.changedData, of: name) == nil else {
                throw ActionFailure("the run changed its data, and no backup of it is known")
            }
            return nil
        }
        context.progress("\(name): reading the backup \(path) whole")
        let settings = EtcdSettings(variables: target.variables)
        let migration = Migration(
            dataDir: settings.dataDir,
            walDir: settings.walDir,
            backup: ColdBackup(path: path),
            run: context.run
        )
        return try await migration.look(target, thorough: true, timeout: context.timeout)
    }
}
