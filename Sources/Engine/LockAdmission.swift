// SPDX-License-Identifier: Apache-2.0

import Remote

/// The lock of a run, which may still be on its way: nothing is changed before it is held.
///
/// To take it needs two rounds to the nodes, and a new run looks at them first, for which it needs no lock.
struct LockAdmission: Sendable {
    /// Locks that were on the nodes, of controllers that are gone.
    let replaced: Set<NodeLock>
    private let taking: Task<Result<ClusterLock, RunControllerError>, Never>

    /// Begins to take a lock.
    init(
        replacing replaced: Set<NodeLock>,
        _ take: @escaping @Sendable () async throws(RunControllerError) -> ClusterLock
    ) {
        self.replaced = replaced
        taking = Task {
            do throws(RunControllerError) {
                return .success(try await take())
            } catch {
                return .failure(error)
            }
        }
    }

    /// The lock, once it is held; `nil` when it was refused.
    var lock: ClusterLock? {
        get async {
            if case .success(let lock) = await taking.value { lock } else { nil }
        }
    }

    /// Why it could not be taken; `nil` once it is held.
    var refusal: RunControllerError? {
        get async {
            if case .failure(let error) = await taking.value { error } else { nil }
        }
    }

    /// Gives it back on every node that has it.
    ///
    /// - Returns: for each node where that failed, why.
    func release() async -> [String: String] { await lock?.release() ?? [:] }

    /// The fence in front of every change of a host.
    func fence(on host: String) -> any MutationGuard { AdmittedFence(admission: self, host: host) }
}

/// A fence that is there as soon as the lock is.
private struct AdmittedFence: MutationGuard {
    let admission: LockAdmission
    let host: String

    func prologue(for command: RemoteCommand) async throws(RemoteError) -> String {
        guard let lock = await admission.lock else {
            throw RemoteError(.fenced, host: host, "\(command.label): this run does not have the lock")
        }
        return try await lock.fence(on: host).prologue(for: command)
    }

    func epilogue(for command: RemoteCommand) async -> String {
        await admission.lock?.fence(on: host).epilogue(for: command) ?? ""
    }
}
