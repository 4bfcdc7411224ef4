// SPDX-License-Identifier: Apache-2.0

import Remote

/// Which members are to be taken back, and which of them were down when that was planned.
struct RollbackScope: Sendable {
    private(set) var wanted: Set<String> = []
    private(set) var down: Set<String> = []
    /// Members that the run migrated are left out on purpose.
    private(set) var isLimited = false

    init(_ context: ActionContext) async throws(ActionFailure) {
        for target in context.cluster {
            let name = target.host.name
            let isWanted = try await context.fact(RollbackFact.isWanted, of: name) != nil
            if isWanted { wanted.insert(name) }
            if try await context.fact(RollbackFact.wasDown, of: name) != nil { down.insert(name) }
            if !isWanted, try await context.fact(RollbackFact.migratedRevision, of: name) != nil { isLimited = true }
        }
    }
}
